"""Declared types: checked JSON becomes a value, or an error in our words that names file and key path."""

from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct, field

from runtime.documents.checked_json import Node, dump_document
from runtime.documents.schema import (
    Fraction,
    Natural,
    PlainName,
    Positive,
    RelativePath,
    Sha256,
    convert,
    fields_of,
    read_fields,
    relative_path,
)
from runtime.errors import DocumentError


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: PlainName
    count: Positive | None
    share: Fraction
    exact: bool


class Whole(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str = field(name="type")
    digest: Sha256
    path: RelativePath
    sizes: tuple[Natural, ...] | None
    parts: tuple[Part, ...]
    versions: Mapping[str, str]
    level: Annotated[float, Meta(gt=0, lt=1)]


PART = {"name": "b14-k4", "count": 3, "share": 0.5, "exact": True}
WHOLE: dict[str, Any] = {
    "type": "x",
    "digest": "0" * 64,
    "path": "a/b.txt",
    "sizes": [1, 2],
    "parts": [PART, PART],
    "versions": {"python": "3.11"},
    "level": 0.95,
}
VALUE = Whole(
    kind="x",
    digest="0" * 64,
    path="a/b.txt",
    sizes=(1, 2),
    parts=(Part(name="b14-k4", count=3, share=0.5, exact=True),) * 2,
    versions={"python": "3.11"},
    level=0.95,
)


def node(value: object) -> Node:
    return Node(value=value, file="a.json", place="")


def with_part(**changes: object) -> dict[str, Any]:
    return {**WHOLE, "parts": [PART, {**PART, **changes}]}


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


def test_json_becomes_the_declared_value_and_back_under_the_names_on_disk() -> None:
    assert convert(node(WHOLE), Whole) == VALUE
    assert dump_document(fields_of(VALUE)) == dump_document(WHOLE)


def test_an_integer_is_a_number_and_null_is_what_may_be_missing() -> None:
    part = convert(node({**PART, "share": 1, "count": None}), Part)
    assert (part.share, type(part.share), part.count) == (1.0, float, None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "expected an object, found a list of 0"),
        (without(WHOLE, "type"), 'the key "type" is missing'),
        ({**WHOLE, "kind": "x"}, 'the key "kind" is unknown'),
        ({**WHOLE, "level": 1}, "level: 1 is not below 1.0"),
        ({**WHOLE, "level": 0}, "level: 0 is not above 0.0"),
        ({**WHOLE, "level": 10**400}, "level: the number is too large"),
        ({**WHOLE, "digest": "0" * 64 + "\n"}, "digest: expected 64 lower-case hexadecimal digits"),
        ({**WHOLE, "digest": "A" * 64}, "digest: expected 64 lower-case hexadecimal digits"),
        ({**WHOLE, "sizes": {}}, "sizes: expected a list or null, found an object of 0 keys"),
        ({**WHOLE, "sizes": [1, 2.0]}, "sizes[1]: expected an integer, found the number 2.0"),
        ({**WHOLE, "sizes": [-1]}, "sizes[0]: -1 is below the least allowed, 0"),
        ({**WHOLE, "sizes": [-(10**50)]}, f"sizes[0]: -1{'0' * 35}... is below the least allowed, 0"),
        ({**WHOLE, "versions": {"a": "1", "b.c[0]": 2}}, "versions.b.c[0]: expected a string, found the number 2"),
        ({**WHOLE, "versions": []}, "versions: expected an object, found a list of 0"),
        (with_part(count="3"), 'parts[1].count: expected an integer or null, found the string "3"'),
        (with_part(count=True), "parts[1].count: expected an integer or null, found true"),
        (with_part(count=3.0), "parts[1].count: expected an integer or null, found the number 3.0"),
        (with_part(count=0), "parts[1].count: 0 is below the least allowed, 1"),
        (with_part(share=3.09), "parts[1].share: 3.09 is above the greatest allowed, 1.0"),
        (with_part(share="0.5"), 'parts[1].share: expected a number, found the string "0.5"'),
        (with_part(exact=1), "parts[1].exact: expected true or false, found the number 1"),
        (with_part(name="../b"), "parts[1].name: \"../b\" is not a plain name of letters, digits, '.', '-' and '_'"),
        (with_part(more=1), 'parts[1]: the key "more" is unknown'),
        ({**WHOLE, "parts": [PART, without(PART, "share")]}, 'parts[1]: the key "share" is missing'),
        ({**WHOLE, "parts": [3]}, "parts[0]: expected an object, found the number 3"),
    ],
)
def test_what_is_not_as_declared_is_refused_with_file_and_key_path(value: object, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        convert(node(value), Whole)
    assert str(caught.value) == f"a.json: {message}"


@pytest.mark.parametrize("key", ["`", "x` - at `$.parts[7]", "x - at `$.parts", "\n", "", "k" * 1000, "[...]", "é"])
def test_an_unknown_key_of_any_text_is_refused_in_a_short_message(key: str) -> None:
    for value in ({**WHOLE, key: 1}, with_part(**{key: 1})):
        with pytest.raises(DocumentError, match=r"^a\.json: .*key.* unknown$") as caught:
            convert(node(value), Whole)
        assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "..",
        ".",
        "a/..",
        "../a",
        "a/../b",
        "a/./b",
        "./a",
        "a//b",
        "a/",
        "a\\b",
        "a\0",
        "a\nb",
        "a\x85",
    ],
)
def test_a_path_that_is_not_plain_or_leaves_the_folder_is_refused(path: str) -> None:
    for read in (
        lambda value: convert(node({**WHOLE, "path": value}), Whole),
        lambda value: relative_path(node(value)),
    ):
        with pytest.raises(DocumentError, match="is not a plain relative path inside the folder"):
            read(path)


@pytest.mark.parametrize("path", ["a", "a/b c/…", ".hidden", "..a", "a..", "...", "a/.b"])
def test_a_relative_path_is_taken_as_it_stands(path: str) -> None:
    assert relative_path(node(path)) == convert(node({**WHOLE, "path": path}), Whole).path == path


def test_format_and_version_are_checked_before_anything_else() -> None:
    header = {"format": "trimoe.x", "version": 3}
    assert read_fields(node({**header, "a": 1}), format="trimoe.x", version=3, what="an x").value == {"a": 1}
    for changes, message in (
        ({"format": "trimoe.y"}, "a.json: format: expected 'trimoe.x': this is not an x"),
        ({"version": 4}, "a.json: version: this trimoe reads version 3, the file has 4"),
        ({"version": "3"}, 'a.json: version: expected an integer, found the string "3"'),
        ({"version": True}, "a.json: version: expected an integer, found true"),
    ):
        with pytest.raises(DocumentError) as caught:
            read_fields(node({**header, **changes}), format="trimoe.x", version=3, what="an x")
        assert str(caught.value) == message


class Version(str):
    """A text of a type of its own, as torch's version is."""


def test_subclasses_of_str_and_float_are_written_as_what_they_stand_for() -> None:
    import numpy as np

    fields = fields_of(Part(name=Version("v"), count=None, share=np.float64(0.25), exact=True))
    assert [(value, type(value)) for value in (fields["name"], fields["share"])] == [("v", str), (0.25, float)]
    with pytest.raises(TypeError, match="int64 is no type of JSON"):
        fields_of(Part(name="v", count=np.int64(1), share=0.0, exact=True))
