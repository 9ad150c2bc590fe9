"""Requests as arrays and tokens as text, by the files of a variant's folder alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime.engines.prompts import PromptReader, Question
from runtime.errors import DocumentError
from runtime.modeling.processing_trimoe_molmoe import TrimoeMolmoeProcessor
from tests.support.byte_pair_tokenizers import write_tokenizer
from tests.support.prompt_folders import molmoe_folder, text_folder


def test_a_request_becomes_ids_without_padding_and_their_text_again(tmp_path: Path) -> None:
    reader = PromptReader(text_folder(tmp_path))
    prompts = reader.read([Question(text="Say yes"), Question(text="No")], variant="b1")
    assert [prompt.variant for prompt in prompts] == ["b1", "b1"]
    assert [prompt.arrays["input_ids"].shape for prompt in prompts] == [(7,), (2,)]
    assert all(prompt.arrays.keys() == {"input_ids"} for prompt in prompts)
    assert reader.texts([prompt.arrays["input_ids"].tolist() for prompt in prompts]) == ["Say yes", "No"]


def test_a_family_that_takes_images_reads_text_alone_too(tmp_path: Path) -> None:
    reader = PromptReader(molmoe_folder(tmp_path))
    (prompt,) = reader.read([Question(text="Hello")], variant="b1")
    assert prompt.arrays.keys() == {"input_ids"}
    assert reader.texts([prompt.arrays["input_ids"]]) == [" User: Hello Assistant:"]
    assert isinstance(prompt.arrays["input_ids"], np.ndarray)


@pytest.mark.parametrize(
    ("generation", "config", "ends"),
    [
        ({"eos_token_id": 7}, {"eos_token_id": 9}, {7}),
        ({"eos_token_id": [7, 8]}, {}, {7, 8}),
        ({"pad_token_id": 1}, {"eos_token_id": 9}, {9}),
        (None, {"eos_token_id": 9}, {9}),
        (None, {}, {0}),
    ],
)
def test_an_answer_ends_where_the_folder_says(
    generation: dict[str, Any] | None, config: dict[str, Any], ends: set[int], tmp_path: Path
) -> None:
    text_folder(tmp_path, **config)
    if generation is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation), "utf-8")
    assert PromptReader(tmp_path).ends == ends


@pytest.mark.parametrize(
    "name",
    [
        "processing_trimoe_molmoe.Other",
        "processing_other.TrimoeMolmoeProcessor",
        "processing_trimoe_x.Y",
        "os.system",
        3,
    ],
)
def test_code_that_trimoe_does_not_have_is_not_looked_for_elsewhere(name: object, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"config\.json: auto_map\.AutoProcessor: .* is no class that this trimoe"):
        PromptReader(molmoe_folder(tmp_path, auto_map={"AutoProcessor": name}))


def test_pixels_and_places_are_those_of_the_processor(tmp_path: Path) -> None:
    folder = molmoe_folder(tmp_path)
    reader, processor = PromptReader(folder), TrimoeMolmoeProcessor.from_pretrained(folder)
    generator = np.random.default_rng(0)
    for size in ((1, 30), (30, 1), (24, 24), (300, 17), (401, 503)):
        pixels = generator.integers(0, 256, (*size, 3), np.uint8)
        for mode in ("RGB", "L", "RGBA", "P", "CMYK"):
            picture = Image.fromarray(pixels).convert(mode)
            if min(size) == 1:
                with pytest.raises(ValueError, match="is too narrow"):
                    reader.read([Question(text="What?", image=picture)], variant="b1")
                continue
            (prompt,) = reader.read([Question(text="What is it?", image=picture)], variant="b1")
            expected = processor(text=["What is it?"], images=[picture], return_tensors="np")
            assert prompt.arrays.keys() == expected.keys() - {"attention_mask"}
            for name, value in prompt.arrays.items():
                np.testing.assert_array_equal(value, expected[name][0], err_msg=name)
    with pytest.raises(ValueError, match="mode 'I;16'"):
        reader.read([Question(text="What?", image=Image.new("I;16", (24, 24)))], variant="b1")


def test_a_family_of_text_takes_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a picture for a family that reads no images"):
        PromptReader(text_folder(tmp_path)).read([Question(text="?", image=Image.new("L", (2, 2)))], variant="b1")


def test_settings_nested_in_the_processors_file_come_first_and_misfits_are_refused(tmp_path: Path) -> None:
    folder = molmoe_folder(tmp_path)
    stored = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": stored | {"max_crops": 2}}), "utf-8")
    settings = PromptReader(folder).crop_settings
    assert settings is not None and settings.max_crops == 2
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": {"max_crops": 0}}), "utf-8")
    with pytest.raises(DocumentError, match=r"processor_config\.json: max_crops"):
        PromptReader(folder)


def test_a_chat_with_molmoe_is_asked_in_its_own_style_and_not_wrapped_again(tmp_path: Path) -> None:
    reader = PromptReader(molmoe_folder(tmp_path))
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes"},
        {"role": "user", "content": "Why?"},
    ]
    text = reader.chat_text(messages)
    assert text == " User: Be brief.\nHi Assistant: Yes User: Why? Assistant:"
    (asked,) = reader.read([Question(text=text)], variant="b1")
    assert reader.texts([asked.arrays["input_ids"]]) == [text.replace("\n", "")]  # which has no newline
    (plain,) = reader.read([Question(text="Why?")], variant="b1")
    (chat,) = reader.read([Question(text=reader.chat_text(messages[-1:]))], variant="b1")
    np.testing.assert_array_equal(plain.arrays["input_ids"], chat.arrays["input_ids"])


def test_a_chat_without_a_template_is_its_texts(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert PromptReader(text_folder(tmp_path)).chat_text(messages) == "Be brief.\nHi"


def test_a_text_that_begins_as_texts_begin_gets_no_second_beginning(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, template="<|endoftext|> $A", bos_token="<|endoftext|>")
    (tmp_path / "config.json").write_text('{"eos_token_id": 0}', "utf-8")
    reader = PromptReader(tmp_path)
    prompts = reader.read([Question(text=text) for text in ("How many", "<|endoftext|>How many")], variant="b1")
    np.testing.assert_array_equal(prompts[0].arrays["input_ids"], prompts[1].arrays["input_ids"])
