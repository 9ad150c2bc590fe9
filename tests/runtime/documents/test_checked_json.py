"""Checked JSON: what is read is what stands there, and every refusal names file and place."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.documents.checked_json import Node, dump_document, parse_document, read_document
from runtime.errors import DocumentError


def node(text: str) -> Node:
    return parse_document(text.encode(), file="a.json")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "a.json: line 1 column 2:"),
        (b'{"a": 1,\n "a": 2}', 'a.json: the key "a" occurs twice'),
        (b'{"a": NaN}', "a.json: a: NaN is not a JSON number"),
        (b'{"a": -Infinity}', "a.json: a: -Infinity is not a JSON number"),
        (b'{"a": "\xff"}', "a.json: byte 7: not UTF-8"),
        (b"[" * 200_000, "a.json: nested too deeply"),
        (b"[" * 65 + b"]" * 65, "a.json: nested too deeply: more than 64 levels"),
        (b'{"a": 1e999}', "a.json: a: the number 1e999 is too large"),
        (b'{"a": [{"b c": {"d": 1, "d": 2}}]}', 'a.json: a[0]["b c"]: the key "d" occurs twice in one object'),
        (b'{"a": [0, {"4": -Infinity}]}', 'a.json: a[1]["4"]: -Infinity is not a JSON number'),
        (b'{"scores": {"4": ' + b"9" * 5000 + b"}}", 'a.json: scores["4"]: a number of 5000 digits is too large'),
        (b"9" * 5000, "a.json: a number of 5000 digits is too large"),
        (b"", "a.json: line 1 column 1:"),
        (b"\xef\xbb\xbf{}", "a.json: begins with a byte order mark; save it as UTF-8 without one"),
        (b'{"a": "\\ud800"}', "a.json: a string holds half of a surrogate pair, '\\ud800'"),
    ],
)
def test_bad_json_is_refused_with_file_and_place(data: bytes, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_document(data, file="a.json")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "read", "message"),
    [
        (
            '{"a": {"b": "3"}}',
            lambda n: n.require("a").require("b").integer(),
            'a.json: a.b: expected an integer, found the string "3"',
        ),
        (
            '{"a": [1, true]}',
            lambda n: n.require("a").elements()[1].integer(),
            "a.json: a[1]: expected an integer, found true",
        ),
        ('{"a": 2.0}', lambda n: n.require("a").integer(), "a.json: a: expected an integer, found the number 2.0"),
        ('{"a": 16}', lambda n: n.require("a").integer(maximum=15), "a.json: a: 16 is above the greatest allowed, 15"),
        ('{"a": -1}', lambda n: n.require("a").integer(minimum=0), "a.json: a: -1 is below the least allowed, 0"),
        ('{"a": 1e400}', lambda n: n.require("a").number(), "a.json: a: the number 1e400 is too large"),
        ('{"a": null}', lambda n: n.require("a").number(), "a.json: a: expected a number, found null"),
        ('{"a": 1}', lambda n: n.require("b"), 'a.json: the key "b" is missing'),
        ("[]", lambda n: n.require("b"), "a.json: expected an object, found a list of 0"),
        ("3", lambda n: n.elements(), "a.json: expected a list, found the number 3"),
        ('{"a": 1}', lambda n: n.require("a").boolean(), "a.json: a: expected true or false, found the number 1"),
        (
            '{"4": {}}',
            lambda n: next(n.items())[1].string(),
            'a.json: ["4"]: expected a string, found an object of 0 keys',
        ),
    ],
)
def test_a_value_of_the_wrong_type_names_its_key_path(text: str, read, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(node(text))
    assert str(caught.value) == message


def test_a_missing_file_a_folder_and_an_oversized_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"no\.json: cannot be read: No such file"):
        read_document(tmp_path / "no.json")
    with pytest.raises(DocumentError, match="cannot be read: Is a directory"):
        read_document(tmp_path)
    big = tmp_path / "big.json"
    with big.open("wb") as stream:
        stream.truncate(64 * 1024 * 1024 + 1)
    with pytest.raises(DocumentError, match="larger than 67108864 bytes"):
        read_document(big)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(DocumentError, match=r"pipe\.json: not a regular file"):
        read_document(tmp_path / "pipe.json")


def test_64_levels_of_nesting_are_read() -> None:
    assert node("[" * 64 + "]" * 64).elements()


def test_a_long_key_is_cut_in_messages() -> None:
    entry = next(node(json.dumps({"9" * 5000: 1})).items())[1]
    with pytest.raises(DocumentError) as caught:
        entry.string()
    assert len(str(caught.value)) < 120


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda children: st.lists(children) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), children),
    max_leaves=20,
)


@given(json_values)
def test_what_is_written_reads_back_equal(value) -> None:
    assert parse_document(dump_document(value), file="a.json").value == json.loads(json.dumps(value))


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert parse_document(b'"\\ud83d\\ude00"', file="a.json").value == "\U0001f600"


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_a_value_or_a_document_error(data: bytes) -> None:
    try:
        parse_document(data, file="a.json")
    except DocumentError as error:
        assert str(error).startswith("a.json: ")
