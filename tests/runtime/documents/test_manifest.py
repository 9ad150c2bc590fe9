"""The manifest survives a round trip and refuses what it does not understand."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.documents.manifest import (
    dump_manifest,
    manifest_digest,
    read_manifest,
)
from runtime.errors import DocumentError
from tests.support.documents import MANIFEST


def test_the_checks_of_a_variant_do_not_name_it_again() -> None:
    checks = json.loads(dump_manifest(MANIFEST))["variants"][0]["checks"]
    assert checks == [{"name": "structure", "outcome": "passed", "detail": "3 tensors"}]


def test_a_manifest_reads_back_equal(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(dump_manifest(MANIFEST))
    assert read_manifest(tmp_path) == MANIFEST


def change(*keys: str | int, to: object) -> Callable[[Any], None]:
    def edit(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = to

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change("format", to="other"), "format: expected 'trimoe.family'"),
        (change("version", to=2), "version: this trimoe reads version 1, the file has 2"),
        (change("files", 1, "path", to="../secret"), "files[1].path: '../secret' is not a plain relative path"),
        (change("files", 1, "path", to="/etc/passwd"), "files[1].path: '/etc/passwd' is not a plain relative path"),
        (change("files", 1, "path", to="weights//a"), "files[1].path: 'weights//a' is not a plain relative path"),
        (change("files", 1, "sha256", to="XYZ"), "files[1].sha256: expected 64 lower-case hexadecimal digits"),
        (change("files", 0, "size", to=-1), "files[0].size: -1 is below the least allowed, 0"),
        (
            change("files", 2, "link_of", to="weights/b"),
            "variants/b2-k2/a: link_of names weights/b, which is not listed",
        ),
        (change("files", 2, "path", to="weights/a"), "files: two entries have the same path"),
        (change("variants", 0, "top_k", to=[4]), "variants[0].top_k: 1 values for 2 layers"),
        (change("variants", 0, "golden", to="golden/x"), "b2-k2: golden names golden/x, which is not listed"),
        (
            change("variants", 0, "drop", "mean", to="0.1"),
            'variants[0].drop.mean: expected a number, found the string "0.1"',
        ),
        (lambda d: d.pop("choice"), 'the key "choice" is missing'),
        (lambda d: d.pop("digest"), 'the key "digest" is missing'),
        (change("more", to=1), 'the key "more" is unknown'),
        (change("variants", to=[]), "variants: a family has at least one variant"),
        (change("variants", 0, "id", to="../b2"), 'variants[0].id: "../b2" is not a plain name'),
        (
            change("variants", 0, "folder", to="variants/b3"),
            'variants[0].folder: "variants/b3", but the folder of this variant is variants/b2-k2',
        ),
        (
            change("variants", 0, "layers", to=[2, 0]),
            "variants[0].layers: [2, 0] are not ascending source blocks from block 0 on",
        ),
        (change("variants", 0, "layers", to=[1, 2]), "variants[0].layers: [1, 2] are not ascending"),
        (change("variants", 0, "layers", to=[0, 3]), "variants[0].layers: no block 3: the source has blocks 0–2"),
        (
            change("variants", 0, "removed", to=[2]),
            "variants[0].removed: [2] and the layers [0, 2] are not the 3 blocks of the source",
        ),
        (change("source", "blocks", to=10**30), "variants[0].removed: [1] and the layers [0, 2] are not the"),
        (change("variants", 0, "top_k", to=None), "variants[0].top_k: missing, but the source has experts"),
        (change("variants", 0, "shared_bytes", to=41), "variants[0].shared_bytes: 41 of 40 bytes"),
        (change("choice", "notes", to=[]), "was edited: its digest is "),
        (change("variants", 0, "parameters", to=11), "was edited: its digest is "),
        (change("variants", 0, "checks", 0, "outcome", to="skipped"), "was edited: its digest is "),
    ],
)
def test_a_wrong_manifest_is_refused_by_key_path(tmp_path: Path, edit: Callable[[Any], None], message: str) -> None:
    document = json.loads(dump_manifest(MANIFEST))
    edit(document)
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(DocumentError) as caught:
        read_manifest(tmp_path)
    assert message in str(caught.value)
    assert str(tmp_path / "manifest.json") in str(caught.value)


def test_a_manifest_that_is_a_link_out_of_the_folder_is_refused_by_name(tmp_path: Path) -> None:
    family = tmp_path / "family"
    family.mkdir()
    (tmp_path / "elsewhere.json").write_bytes(dump_manifest(MANIFEST))
    (family / "manifest.json").symlink_to("../elsewhere.json")
    with pytest.raises(DocumentError, match=r"family/manifest\.json: a link out of its folder, to .*elsewhere\.json$"):
        read_manifest(family)
    (family / "kept.json").write_bytes(dump_manifest(MANIFEST))
    (family / "manifest.json").unlink()
    (family / "manifest.json").symlink_to("kept.json")
    assert read_manifest(family) == MANIFEST


def test_a_link_to_the_folder_of_a_family_is_followed(tmp_path: Path) -> None:
    (tmp_path / "family").mkdir()
    (tmp_path / "family" / "manifest.json").write_bytes(dump_manifest(MANIFEST))
    (tmp_path / "link").symlink_to("family")
    assert read_manifest(tmp_path / "link") == MANIFEST


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.symlink_to("/dev/null"), "a link out of its folder, to /dev/null"),
        (lambda path: path.symlink_to("manifest.json"), "cannot be read: Too many levels of symbolic links"),
        (lambda path: path.symlink_to("gone.json"), "cannot be read: No such file"),
    ],
)
def test_what_is_no_regular_file_is_refused_by_name(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "manifest.json")
    with pytest.raises(DocumentError, match=rf"manifest\.json: {message}"):
        read_manifest(tmp_path)


def test_reading_manifests_needs_no_numpy() -> None:
    code = "import sys, runtime.documents.manifest; print(sorted({'numpy', 'safetensors', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_unknown_variant_is_answered_with_those_there_are() -> None:
    assert MANIFEST.variant("b2-k2").layers == (0, 2)
    with pytest.raises(DocumentError, match="no variant 'b9' in this family; it has b2-k2"):
        MANIFEST.variant("b9")


def test_the_manifest_states_the_digest_of_its_own_content(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(dump_manifest(MANIFEST))
    stated = json.loads(dump_manifest(MANIFEST))["digest"]
    assert stated == manifest_digest(MANIFEST) == manifest_digest(read_manifest(tmp_path))
