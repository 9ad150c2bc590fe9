"""Requests as arrays and tokens as text, by the files of a variant's folder alone."""

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.engines.prompts import PromptReader, Request
from runtime.errors import DocumentError, MissingPackageError
from tests.support.prompt_folders import molmoe_folder, text_folder


def test_a_request_becomes_ids_without_padding_and_their_text_again(tmp_path: Path) -> None:
    reader = PromptReader(text_folder(tmp_path))
    prompts = reader.read([Request(text="Say yes"), Request(text="No")], variant="b1")
    assert [prompt.variant for prompt in prompts] == ["b1", "b1"]
    assert [prompt.arrays["input_ids"].shape for prompt in prompts] == [(7,), (2,)]
    assert all(prompt.arrays.keys() == {"input_ids"} for prompt in prompts)
    assert reader.texts([prompt.arrays["input_ids"].tolist() for prompt in prompts]) == ["Say yes", "No"]


def test_a_family_that_takes_images_reads_text_alone_too(tmp_path: Path) -> None:
    reader = PromptReader(molmoe_folder(tmp_path))
    (prompt,) = reader.read([Request(text="Hello")], variant="b1")
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


def test_without_transformers_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "transformers":
            raise ModuleNotFoundError("No module named 'transformers'", name="transformers")
        return real(name, *arguments, **options)

    folder = text_folder(tmp_path)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(
        MissingPackageError, match=r"tokenizers needs the package transformers, .*pip install 'trimoe\["
    ):
        PromptReader(folder)
