"""Prompts stacked into batches as MolmoE's own processor does it, and grouped by variant."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.engines.padding import group_by_variant, stack
from runtime.engines.prompts import PromptReader, Question
from runtime.engines.protocol import Prompt
from runtime.modeling.processing_trimoe_molmoe import TrimoeMolmoeProcessor
from tests.support.prompt_folders import molmoe_folder


def test_the_places_of_each_variant_are_kept_in_order() -> None:
    prompts = [Prompt(variant=name, arrays={}) for name in ("b2", "b1", "b2", "b1", "b3")]
    assert group_by_variant(prompts) == {"b2": (0, 2), "b1": (1, 3), "b3": (4,)}
    assert list(group_by_variant(prompts)) == ["b2", "b1", "b3"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_stack_is_the_batch_of_the_processor(side: str, tmp_path: Path) -> None:
    folder = molmoe_folder(tmp_path)
    reader = PromptReader(folder)
    generator = np.random.default_rng(0)
    pictures = [
        Image.fromarray(generator.integers(0, 256, (*size, 3), np.uint8)) for size in ((24, 24), (20, 60), (50, 20))
    ]
    requests = [
        Question(text="What is this thing?", image=pictures[0]),
        Question(text="No picture"),
        *(Question(text="Eh" * length, image=picture) for length, picture in enumerate(pictures[1:])),
    ]
    found = stack(reader.read(requests, variant="b1"), side=side)
    expected = TrimoeMolmoeProcessor.from_pretrained(folder)(
        text=[request.text for request in requests],
        images=[request.image for request in requests],
        padding=True,
        padding_side=side,
        return_tensors="np",
    )
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        used = value if name != "input_ids" else np.where(expected["attention_mask"], value, 0)  # masked: any id
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], used, err_msg=name)


def test_without_images_there_are_only_ids_and_their_mask() -> None:
    prompts = [Prompt(variant="b1", arrays={"input_ids": np.asarray(ids)}) for ids in ([5], [6, 7])]
    found = stack(prompts, side="left")
    assert {name: value.tolist() for name, value in found.items()} == {
        "input_ids": [[0, 5], [6, 7]],
        "attention_mask": [[0, 1], [1, 1]],
    }
