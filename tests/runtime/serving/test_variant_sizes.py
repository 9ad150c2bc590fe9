"""What variants take in memory, by the documents of a real family."""

from pathlib import Path

import pytest

from runtime.documents.manifest import read_manifest
from runtime.errors import DocumentError
from runtime.serving.variant_sizes import union_bytes, variant_sizes
from tests.support.json_edits import write_changed


def test_what_variants_share_is_counted_once(bare_family: Path) -> None:
    manifest = read_manifest(bare_family)
    sizes = variant_sizes(bare_family, manifest, engine="torch", dtype="float32")
    by_depth = sorted(manifest.variants, key=lambda one: len(one.layers))
    assert set(sizes) == {one.id for one in manifest.variants}
    whole, small = by_depth[-1], by_depth[0]
    assert union_bytes([sizes[whole.id]]) == union_bytes(sizes.values())  # a part of the blocks adds nothing
    assert union_bytes([sizes[small.id]]) < union_bytes([sizes[whole.id]])
    assert whole.bytes < union_bytes([sizes[whole.id]]) < 1.5 * whole.bytes  # files have headers
    assert sizes[whole.id].load_bytes == whole.bytes
    assert sizes[whole.id].token_bytes * len(small.layers) == sizes[small.id].token_bytes * len(whole.layers)


def test_sessions_that_pack_for_themselves_share_no_weights(bare_family: Path) -> None:
    manifest = read_manifest(bare_family)
    shared, packed = (
        variant_sizes(bare_family, manifest, engine="onnx", dtype="int8", shared=one) for one in (True, False)
    )
    names = [set(size.parts) for size in packed.values()]
    assert not set.intersection(*names) and set.intersection(*(set(size.parts) for size in shared.values()))


def test_half_the_width_halves_keys_and_values(bare_family: Path) -> None:
    manifest = read_manifest(bare_family)
    wide, narrow = (
        variant_sizes(bare_family, manifest, engine="torch", dtype=dtype)[manifest.variants[0].id]
        for dtype in ("float32", "bfloat16")
    )
    assert wide.token_bytes == 2 * narrow.token_bytes


def test_a_config_without_sizes_of_attention_is_refused(own_bare_family: Path) -> None:
    manifest = read_manifest(own_bare_family)
    path = own_bare_family / manifest.variants[0].folder / "config.json"
    path.chmod(0o644)
    write_changed(path.read_bytes(), ("num_attention_heads",), None, path)
    with pytest.raises(DocumentError, match=r"config\.json: says neither num_attention_heads nor n_heads"):
        variant_sizes(own_bare_family, manifest, engine="torch", dtype="float32")
