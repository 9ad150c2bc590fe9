"""The document of an accuracy model: round trip, and each thing that is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.documents.accuracy.accuracy_model import AccuracyModel, dump_accuracy_model, read_accuracy_model
from runtime.errors import DocumentError
from tests.support.accuracy_models import accuracy_model


@pytest.fixture(scope="module")
def model() -> AccuracyModel:
    return accuracy_model(12)


def test_what_is_written_is_read_again(model: AccuracyModel, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(dump_accuracy_model(model))
    assert read_accuracy_model(path) == model


def put(value: object, *keys: str | int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("trimoe.baseline", "format"), "this is not an accuracy model"),
        (put([0, 1], "settings", 0, "layers"), "the first has to be the whole model, 8 blocks with top_k 8"),
        (put([1, 2], "settings", 2, "layers"), "not ascending source blocks from block 0 on"),
        (put([0, 9], "settings", 2, "layers"), "no block 9: the source has blocks 0–7"),
        (put([8], "settings", 2, "top_k"), "settings.2..top_k: 1 values for 7 layers"),
        (put([9] * 7, "settings", 2, "top_k"), "9 is above the source's, 8"),
        (put([0, 2, 3, 4, 5, 6, 7], "settings", 2, "layers"), "this setting occurs twice"),
        (put(12, "tasks", 0, "scores", 3, "setting"), "no setting 12: there are 12"),
        (put(1, "tasks", 0, "scores", 3, "setting"), "setting 1 occurs twice"),
        (put(1, "tasks", 0, "scores", 0, "setting"), "the first has to be of setting 0, the whole model"),
        (put(-1.0, "tasks", 0, "variances", "residual"), "is below the least allowed"),
        (lambda document: document["tasks"].append(document["tasks"][0]), "read occurs twice"),
    ],
)
def test_what_cannot_be_is_refused_by_file_and_key(
    model: AccuracyModel, tmp_path: Path, change: Callable[[Any], None], said: str
) -> None:
    document = json.loads(dump_accuracy_model(model))
    change(document)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DocumentError, match=said) as error:
        read_accuracy_model(path)
    assert str(path) in str(error.value)
