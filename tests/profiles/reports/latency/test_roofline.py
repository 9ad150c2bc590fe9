"""Operations and bytes by hand, and shapes as the weight files have them."""

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from safetensors.numpy import save_file

from profiles.reports.latency.roofline import best_rates, places
from profiles.reports.latency.series import ProfileFile, Series, split_series
from profiles.reports.latency.shapes import BlockShape, FamilyShape, VisionShape, read_shape
from runtime.documents.latency.profile_document import Point
from runtime.documents.manifest import read_manifest
from runtime.errors import CheckpointError
from tests.support.families import ModelFamilies
from tests.support.latency_documents import PROFILE, point

BLOCK = BlockShape(shared=100, expert=10, experts=64, query_width=6, cache_width=8)
SHAPE = FamilyShape(
    variants={"b2-k4": (BLOCK, BLOCK)}, head=50, vision=VisionShape(tower=1000, projector=200, patches=4)
)


def series(*points: Point, dtype: str = "float32") -> Series:
    profile = replace(PROFILE, points=tuple(replace(one, dtype=dtype) for one in points))
    return split_series(ProfileFile(path=Path("p.json"), sha256="0" * 64, profile=profile))[0]


def hit(tokens: int, k: int) -> float:
    return 64 * (1 - (1 - k / 64) ** tokens)


CASES = [
    # 16 tokens through two blocks (k 8 and 4), attention over (16 + 1) / 2 positions, the head once
    (
        point("prefill"),
        2 * 16 * (2 * 100 + 12 * 10) + 2 * 4 * 16 * 8.5 * 6 + 2 * 50,
        4 * (2 * 100 + 10 * (hit(16, 8) + hit(16, 4)) + 50) + 4 * 2 * 16 * 8,
    ),
    # three sequences, one token each, 19 before it
    (
        replace(point("decode", 19.0), batch=3),
        3 * 2 * (2 * 100 + 12 * 10) + 2 * 4 * 3 * 20 * 6 + 3 * 2 * 50,
        4 * (2 * 100 + 10 * (hit(3, 8) + hit(3, 4)) + 50) + 4 * 2 * 3 * 20 * 8,
    ),
    # five image features, four patches each
    (replace(point("vision"), vision_tokens=5), 2 * 5 * (4 * 1000 + 200), 4 * 1200),
]


@pytest.mark.parametrize(("given", "operations", "moved"), CASES)
def test_work_is_counted_from_the_shapes(given: Point, operations: float, moved: float) -> None:
    (place,) = places(series(given), SHAPE)
    assert place.work.operations == pytest.approx(operations)
    assert place.work.moved == pytest.approx(moved)
    assert place.gflops == pytest.approx(operations / 2.5e-3 / 1e9)
    assert place.gigabytes == pytest.approx(moved / 2.5e-3 / 1e9)
    assert place.work.intensity == pytest.approx(operations / moved)


def test_smaller_weights_move_fewer_bytes_for_the_same_operations() -> None:
    full, half = (places(series(point("vision"), point("prefill"), dtype=one), SHAPE)[0] for one in ("float32", "int8"))
    assert half.work.operations == full.work.operations
    assert full.work.moved / 4 < half.work.moved < full.work.moved


def test_stages_without_matrices_and_unknown_types_have_no_place() -> None:
    assert places(series(point("image"), point("embeddings"), point("sampling"), point("vision")), SHAPE) == ()
    assert places(series(point("prefill"), dtype="nf4"), SHAPE) == ()
    assert places(series(point("prefill")), FamilyShape(variants={}, head=1, vision=None)) == ()


def test_the_roof_is_the_most_that_any_point_reached() -> None:
    found = places(series(point("prefill"), point("decode", 19.5)), SHAPE)
    assert best_rates(found) == (max(one.gflops for one in found), max(one.gigabytes for one in found))


@pytest.mark.parametrize("architecture", ["molmoe", "mixtral", "llama"])
def test_the_matrices_of_a_family_are_those_of_its_files(architecture: str, model_family: ModelFamilies) -> None:
    _, folder = model_family(architecture)
    manifest = read_manifest(folder)
    shape = read_shape(folder, manifest)
    assert (shape.vision is not None) == (architecture == "molmoe")
    for variant in manifest.variants:
        blocks = shape.variants[variant.id]
        assert len(blocks) == len(variant.layers)
        top_k = variant.top_k or (0,) * len(blocks)
        used = sum(block.shared + k * block.expert for block, k in zip(blocks, top_k, strict=True))
        held = sum(block.shared + block.experts * block.expert for block in blocks)
        assert used < variant.active_parameters
        norms = variant.parameters - held - (variant.active_parameters - used)
        assert abs(norms) == 0, "what an expert does not use is all that parameters and active parameters differ by"
        assert all(block.experts == (manifest.source.experts or 0) for block in blocks)
        assert all(block.query_width > 0 and block.cache_width % 2 == 0 for block in blocks)


def test_a_block_without_attention_is_refused_by_name(own_bare_family: Path) -> None:
    shard = own_bare_family / "weights" / "block-00-layer-00.safetensors"
    save_file({"model.layers.0.self_attn.q_proj.weight": np.zeros((4, 4), np.float32)}, shard)
    with pytest.raises(CheckpointError, match=r"block-00-layer-00\.safetensors: no matrix self_attn\.o_proj\.weight"):
        read_shape(own_bare_family, read_manifest(own_bare_family))
