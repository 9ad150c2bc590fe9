"""What only looks like the path of an image, or of a data set."""

import json
import os
from pathlib import Path

import pytest

from profiles.datasets.changes import Changes
from profiles.datasets.json_lines import load_json_lines
from profiles.datasets.named import load_named
from profiles.errors import DatasetError
from runtime.errors import TrimoeError


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("data:image/png;base64,AAAA", "a data URI; give what stands behind its comma as image_base64"),
        ("https://example.org/a.png", "is an address; images are read from files"),
    ],
)
def test_addresses_and_data_uris_get_messages_of_their_own(tmp_path: Path, image: str, said: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"question": "what", "image": image, "answers": ["x"]}), encoding="utf-8")
    with pytest.raises(TrimoeError, match=said):
        load_json_lines("mine", path)


def test_a_pipe_is_no_image_and_no_data_set(tmp_path: Path) -> None:
    pipe, rows = tmp_path / "pipe", tmp_path / "rows.jsonl"
    os.mkfifo(pipe)
    rows.write_text(json.dumps({"question": "what", "image": "pipe", "answers": ["x"]}), encoding="utf-8")
    (sample,) = load_json_lines("mine", rows).samples
    with pytest.raises(DatasetError, match="is no regular file"):
        sample.open_image()
    with pytest.raises(DatasetError, match="is a pipe, a socket or a device"):
        load_named([f"mine={pipe}"], Changes())


def test_a_data_set_of_the_study_is_asked_as_such_from_json_lines_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"question": "what", "answers": ["x"] * 10}), encoding="utf-8")
    (known,) = load_named([f"okvqa={path}"], Changes())
    assert known.settings.prompt == "okvqa: {question}"
