"""The header of a golden file: read strictly, and read before anything is compared with it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from runtime.documents.tolerances import GOLDEN
from runtime.documents.torch_golden import (
    GoldenHeader,
    Machine,
    allowed_difference,
    header_document,
    parse_header,
)
from runtime.engines.torch.self_test import self_test
from runtime.errors import VerificationError

MACHINE = Machine(torch="2", transformers="5", cpu="c", instructions="i", threads=1)
HEADER = GoldenHeader(variant="b2-k1", machine=MACHINE, dtype="float32")


def text(**changes: Any) -> str:
    return json.dumps({**header_document(HEADER), **changes})


def test_a_header_comes_back_as_it_was_written() -> None:
    assert parse_header(text(), path=Path("golden")) == HEADER


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "golden: metadata: version: this trimoe reads version 1, the file has 2"),
        ({"format": "trimoe.other"}, "golden: metadata: format: expected 'trimoe.golden'"),
        ({"variant": 3}, "golden: metadata: variant: expected a string"),
        ({"spare": 1}, "spare"),
    ],
)
def test_another_header_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        parse_header(text(**changes), path=Path("golden"))


def test_a_type_that_is_not_known_is_held_to_the_strictest_limit() -> None:
    assert allowed_difference("float32") == GOLDEN["float32"]
    assert allowed_difference("float99") == min(GOLDEN.values())


def test_the_torch_engine_does_not_take_another_variants_golden_outputs(tmp_path: Path) -> None:
    (tmp_path / "golden").mkdir()
    save_file({"input_ids": np.ones((1, 2), np.int64)}, tmp_path / "golden" / "inputs.safetensors")
    save_file({"logits": np.ones((1, 2, 3))}, tmp_path / "golden" / "b2-k1.safetensors", metadata={"trimoe": text()})
    with pytest.raises(VerificationError, match=r"golden/b2-k1\.safetensors: the golden outputs of b2-k1, not of b3"):
        self_test(None, "b3", tmp_path, "golden/b2-k1.safetensors")
