"""Copying one variant out of a family: whole, compared with its digests, in one visible step."""

import errno
import fcntl
import os
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from exporter.family.staging import staging_path
from exporter.family.standalone import copy_variant
from runtime.documents.family_files import place_in_copy
from runtime.documents.manifest import read_manifest
from runtime.documents.tensor_digests import read_tensor_digests
from runtime.errors import DocumentError, TargetError, VerificationError
from runtime.text.progress import NoProgress
from tests.support.families import digests


@pytest.fixture
def family(own_bare_family: Path) -> Path:
    return own_bare_family


def copy_out(family: Path, variant: str, target: Path) -> int:
    return copy_variant(family, read_manifest(family), variant, target, progress=NoProgress())


def test_a_copied_variant_equals_its_folder_and_shares_nothing_with_it(family: Path, tmp_path: Path) -> None:
    size = copy_out(family, "b5-k1", tmp_path / "deep" / "alone")
    alone = tmp_path / "deep" / "alone"
    assert without_trimoe(alone) == digests(family / "variants" / "b5-k1")
    assert size == sum((alone / name).stat().st_size for name in without_trimoe(alone))
    assert all(p.stat().st_nlink == 1 for p in alone.rglob("*") if p.is_file())
    assert load_file(alone / "model-00001-of-00006.safetensors")
    assert not staging_path(alone).exists()


def without_trimoe(alone: Path) -> dict[str, str]:
    return {path: digest for path, digest in digests(alone).items() if not path.startswith("trimoe/")}


def test_the_copy_says_what_it_is_in_documents_of_its_own(family: Path, tmp_path: Path) -> None:
    copy_out(family, "b5-k1", tmp_path / "alone")
    manifest = read_manifest(tmp_path / "alone" / "trimoe")
    assert [variant.id for variant in manifest.variants] == ["b5-k1"]
    assert manifest.source == read_manifest(family).source
    assert manifest.variants[0].shared_bytes == 0
    assert not any(record.link_of for record in manifest.files)
    places = {record.path: place_in_copy(record.path) for record in manifest.files}
    found = digests(tmp_path / "alone")
    assert {places[record.path]: record.sha256 for record in manifest.files} == {
        path: digest for path, digest in found.items() if path != "trimoe/manifest.json"
    }
    shards = read_tensor_digests(tmp_path / "alone" / "trimoe")
    assert {shard.sha256 for shard in shards} == {d for path, d in found.items() if path.endswith(".safetensors")}


def test_graphs_in_a_type_that_the_family_has_not_are_refused(family: Path, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"family: no ONNX graphs in int8; it has none"):
        copy_variant(
            family, read_manifest(family), "b5-k1", tmp_path / "a", precisions=("int8",), progress=NoProgress()
        )
    assert not (tmp_path / "a").exists()


def test_a_damaged_file_is_named_and_nothing_is_published(family: Path, tmp_path: Path) -> None:
    path = family / "variants" / "b5-k1" / "model-00003-of-00006.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        VerificationError, match=r"variants/b5-k1/model-00003-of-00006\.safetensors: not the file the manifest records"
    ):
        copy_out(family, "b5-k1", tmp_path / "alone")
    path.unlink()
    with pytest.raises(
        VerificationError, match=r"model-00003-of-00006\.safetensors: listed in the manifest but cannot be read"
    ):
        copy_out(family, "b5-k1", tmp_path / "alone")
    assert not (tmp_path / "alone").exists()
    assert not staging_path(tmp_path / "alone").exists()


def test_unknown_variants_and_taken_targets_are_refused(family: Path, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="no variant 'b9' in this family; it has b6-k2, b6-k1, b5-k2"):
        copy_out(family, "b9", tmp_path / "alone")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("x", "utf-8")
    with pytest.raises(TargetError, match="taken: exists and is not empty"):
        copy_out(family, "b5-k1", tmp_path / "taken")
    with pytest.raises(TargetError, match="inside the source"):
        copy_out(family, "b5-k1", family / "alone")


def test_clones_of_the_file_system_are_compared_as_well(
    family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(target: int, _: int, source: int) -> None:
        os.sendfile(target, source, 0, os.fstat(source).st_size)

    monkeypatch.setattr(fcntl, "ioctl", clone)
    copy_out(family, "b4-k2", tmp_path / "alone")
    assert without_trimoe(tmp_path / "alone") == digests(family / "variants" / "b4-k2")
    (family / "variants" / "b4-k2" / "config.json").write_bytes(b"{}")
    with pytest.raises(VerificationError, match=r"config\.json: not the file the manifest records"):
        copy_out(family, "b4-k2", tmp_path / "again")


def test_a_full_disk_is_a_target_error(family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(TargetError, match="no space left: "):
        copy_out(family, "b4-k2", tmp_path / "alone")
    assert not (tmp_path / "alone").exists()
