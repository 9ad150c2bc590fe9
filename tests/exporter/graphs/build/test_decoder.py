"""The decoder graphs of the text families against transformers itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.graphs.check.inspect import check_decoder, check_model
from runtime.errors import PlanError
from tests.support.graph_families import (
    CASES,
    GraphFamilies,
    export_graphs,
    quantisable,
    reference_logits,
    write_graph_model,
)
from tests.support.tiny_transformers import masked_original

ROWS = (7, 11)


ODD_WIDTHS = {
    "hidden_size": 48,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "intermediate_size": 33,
    "experts_implementation": "eager",
}

TILED = {"hidden_size": 512, "num_attention_heads": 8, "intermediate_size": 256}  # experts and columns
OVERRIDES = [
    *((case, {}) for case in CASES),
    ("olmoe", ODD_WIDTHS),
    ("olmoe", TILED),
    ("qwen2_moe", {"moe_intermediate_size": 128}),
]


@pytest.mark.parametrize(("case", "overrides"), OVERRIDES)
def test_a_variant_computes_what_transformers_computes_without_the_removed_blocks(
    case: str, overrides: dict[str, Any], tmp_path: Path
) -> None:
    """Right-padded prefill of two rows, decoding of both, and for one row a second prefill over what was decoded."""
    model = write_graph_model(tmp_path / "source", case, **overrides)
    exported = export_graphs(
        tmp_path / "source",
        tmp_path / "family",
        top_k=None if case == "llama" else 2,
    )
    variant = exported.plan.variants[0]
    reference, decoder = masked_original(model, variant.layers, variant.top_k), exported.decoder(variant)
    generator = np.random.default_rng(1)
    ids = generator.integers(2, 128, (2, max(ROWS)))
    rows = [list(ids[row, :length]) for row, length in enumerate(ROWS)]
    cache = decoder.start(batch=2, capacity=32)
    logits = cache.run(ids, counts=ROWS)["logits"]
    scale = np.abs(logits).max()
    for row, length in enumerate(ROWS):
        np.testing.assert_allclose(
            logits[row, :length], reference_logits(reference, rows[row]), rtol=0, atol=1e-5 * scale
        )
    for _ in range(4):
        step = generator.integers(2, 128, (2, 1))
        logits = cache.run(step)["logits"]
        for row in range(2):
            rows[row].append(int(step[row, 0]))
            np.testing.assert_allclose(
                logits[row, 0], reference_logits(reference, rows[row])[-1], rtol=0, atol=1e-5 * scale
            )
    single = decoder.start(batch=1, capacity=32)
    single.run(np.asarray([rows[0]]))
    more = generator.integers(2, 128, (1, 5))
    logits = single.run(more, first_logits=-2)["logits"]
    assert logits.shape == (1, 2, 128)
    expected = reference_logits(reference, rows[0] + list(more[0]))[-2:]
    np.testing.assert_allclose(logits[0], expected, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "int8", "int4"])
@pytest.mark.parametrize("case", ["olmoe", "qwen2_moe"])
def test_every_precision_gives_graphs_that_the_checker_accepts(
    case: str, precision: str, graph_families: GraphFamilies
) -> None:
    exported = graph_families.exported(case, precision=precision, **quantisable(case))
    variant = exported.plan.variants[0]
    planned = [
        k if exported.source.spec.blocks[block].sparse else None
        for block, k in zip(variant.layers, variant.top_k or (), strict=True)
    ]
    path = exported.path(variant.id)
    assert "expert nodes with the planned k" in check_decoder(path, check_model(path), top_k=planned)


def test_heads_that_the_attention_kernel_refuses_are_refused_at_export(tmp_path: Path) -> None:
    write_graph_model(tmp_path / "source", "olmoe", num_attention_heads=8, num_key_value_heads=8)
    with pytest.raises(
        PlanError, match="heads of width 8 have no ONNX form: the attention kernel takes multiples of 16"
    ):
        export_graphs(tmp_path / "source", tmp_path / "family")


def test_rotary_tables_that_change_with_the_length_are_refused(tmp_path: Path) -> None:
    write_graph_model(
        tmp_path / "source", "llama", rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    )
    with pytest.raises(PlanError, match="rope_type 'dynamic': its rotary frequencies change with the length"):
        export_graphs(tmp_path / "source", tmp_path / "family", top_k=None)


def test_a_partial_rotary_factor_is_without_effect_as_in_transformers(tmp_path: Path) -> None:
    rope = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}
    model = write_graph_model(tmp_path / "source", "qwen3_moe", rope_parameters=rope)
    exported = export_graphs(tmp_path / "source", tmp_path / "family")
    variant, ids = exported.plan.variants[0], np.arange(3, 12)
    expected = reference_logits(masked_original(model, variant.layers, variant.top_k), ids.tolist())
    logits = exported.decoder(variant).start(batch=1, capacity=9).run(ids[None])["logits"][0]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_rotary_tables_that_do_not_fill_the_heads_are_refused(tmp_path: Path) -> None:
    rope = {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0, "partial_rotary_factor": 0.5}
    write_graph_model(tmp_path / "source", "qwen3_moe", rope_parameters=rope)
    with pytest.raises(PlanError, match="rope_type 'linear' gives 8 rotary frequencies: heads of width 32 take 16"):
        export_graphs(tmp_path / "source", tmp_path / "family")


def test_an_activation_other_than_silu_is_refused(tmp_path: Path) -> None:
    write_graph_model(tmp_path / "source", "olmoe", hidden_act="gelu")
    with pytest.raises(PlanError, match="hidden_act is 'gelu'"):
        export_graphs(tmp_path / "source", tmp_path / "family")


def test_a_position_beyond_the_buffers_is_an_error(graph_families: GraphFamilies) -> None:
    exported = graph_families.exported("llama")
    cache = exported.decoder(exported.plan.variants[0]).start(batch=1, capacity=4)
    with pytest.raises(ValueError, match="5 tokens do not fit: the buffers hold 4"):
        cache.run(np.ones((1, 5), np.int64))
