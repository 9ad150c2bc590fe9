"""The baseline document: a round trip, and the key path of everything that can be wrong."""

import json
from pathlib import Path

import pytest

from runtime.documents.baseline import (
    dump_baseline,
    read_baseline,
)
from runtime.errors import DocumentError
from tests.support.documents import BASELINE
from tests.support.json_edits import write_changed


def test_a_baseline_survives_writing_and_reading(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_bytes(dump_baseline(BASELINE))
    assert read_baseline(path) == BASELINE
    assert dump_baseline(read_baseline(path)) == path.read_bytes()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("format",), "trimoe.family", "format: expected 'trimoe.baseline'"),
        (("version",), 2, "version: this trimoe reads version 1, the file has 2"),
        (("family", "digest"), "abc", "family.digest: expected 64 lower-case hexadecimal digits"),
        (("software", "torch"), 2, "software.torch: expected a string, found the number 2"),
        (("scores", 0, "engine"), "tpu", r"scores\[0\].engine: expected one of torch, onnx, found 'tpu'"),
        (("scores", 1, "dataset", "samples"), 0, r"scores\[1\].dataset.samples: 0 is below the least allowed, 1"),
        (("scores", 0, "definition", "metric"), None, r"scores\[0\].definition.metric: expected a string, found null"),
        (("scores", 0, "decoding", "batch_size"), 1.0, r"scores\[0\].decoding.batch_size: expected an integer"),
        (("scores", 0, "score"), "0.5", r"scores\[0\].score: expected a number"),
        (("scores", 0, "interval", "level"), 95, r"scores\[0\].interval.level: 95.0 is not between 0 and 1"),
        (("scores", 0, "interval", "low"), 0.9, r"scores\[0\].interval.low: 0.9 is above high, 0.75"),
        (("scores", 0, "results", "path"), "../a", r"scores\[0\].results.path: '../a' is not a plain relative path"),
        (("scores", 1, "engine"), "torch", "scores: b14-k4 torch float32 okvqa occurs twice"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, place: tuple, value: object, message: str) -> None:
    path = write_changed(dump_baseline(BASELINE), place, value, tmp_path / "baseline.json")
    with pytest.raises(DocumentError, match=message):
        read_baseline(path)


@pytest.mark.parametrize("key", ["variant", "dataset", "definition", "decoding", "score", "interval", "results"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    document = json.loads(dump_baseline(BASELINE))
    del document["scores"][0][key]
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DocumentError, match=rf'scores\[0\]: the key "{key}" is missing'):
        read_baseline(path)
