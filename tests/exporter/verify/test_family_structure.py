"""What the manifest states of variants is compared with their folders and tensors."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.verify.family_structure import check_variants
from runtime.documents.manifest import Manifest, read_manifest
from runtime.errors import VerificationError


@pytest.fixture
def family(own_bare_family: Path) -> tuple[Path, Manifest]:
    return own_bare_family, read_manifest(own_bare_family)


def test_what_an_export_wrote_agrees(family: tuple[Path, Manifest]) -> None:
    folder, manifest = family
    assert check_variants(folder, manifest, manifest.variants).startswith("6 variants: config, index")
    assert check_variants(folder, manifest, manifest.variants[:1]).startswith("1 variant: ")


def test_a_folder_that_is_no_variant_is_named(family: tuple[Path, Manifest]) -> None:
    folder, manifest = family
    (folder / "variants" / "b9").mkdir()
    with pytest.raises(VerificationError, match="variants/b9: no variant that the manifest lists"):
        check_variants(folder, manifest, manifest.variants)


@pytest.mark.parametrize("key", ["bytes", "shared_bytes"])
def test_sizes_that_the_tensors_do_not_have_are_named(key: str, family: tuple[Path, Manifest]) -> None:
    folder, manifest = family
    first = manifest.variants[0]
    edited = replace(manifest, variants=(replace(first, **{key: 1}), *manifest.variants[1:]))
    with pytest.raises(
        VerificationError,
        match=rf"manifest\.json: variant {first.id}: {key} is 1, its tensors have {getattr(first, key)}",
    ):
        check_variants(folder, edited, edited.variants)


def test_a_synthetic_mark_that_the_config_lacks_is_named(family: tuple[Path, Manifest]) -> None:
    folder, manifest = family
    edited = replace(manifest, source=replace(manifest.source, synthetic=True))
    with pytest.raises(VerificationError, match=r"config\.json: trimoe_synthetic: the manifest says synthetic is True"):
        check_variants(folder, edited, edited.variants)
