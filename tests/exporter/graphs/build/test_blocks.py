"""The graphs of blocks, put together by hand, against the whole graph of a variant."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from exporter.graphs.block_graphs import block_pairs
from exporter.graphs.check.graph_run import open_graph
from exporter.graphs.check.inspect import check_model, metadata
from exporter.graphs.weights.precision import find_precision
from runtime.documents.family_layout import HEAD, TOKEN_EMBEDDINGS, block_name
from runtime.documents.graph_contract import BLOCK, FAMILY_DIGEST, PRECISION, TOP_K
from runtime.engines.onnx.decoder import OnnxDecoder
from tests.support.graph_families import CASES, Exported, GraphFamilies, quantisable

COUNTS, STEPS = np.asarray([7, 11]), 3
TYPES = ("float32", "float16", "bfloat16", "int8", "int4")


def block_names(exported: Exported) -> list[str]:
    """The graphs that the one variant is composed of."""
    variant, blocks = exported.plan.variants[0], exported.source.spec.blocks
    top_k = variant.top_k or (None,) * len(variant.layers)
    return [
        block_name(block, k if blocks[block].sparse else None) for block, k in zip(variant.layers, top_k, strict=True)
    ]


class Composed:
    """One graph after the other, over keys and values of their own."""

    def __init__(self, exported: Exported) -> None:
        precision, spec, names = find_precision(exported.precision), exported.source.spec, block_names(exported)
        *self.blocks, self.head = (open_graph(exported.path(name), precision, threads=1) for name in (*names, HEAD))
        first = exported.path(TOKEN_EMBEDDINGS)
        self.embeddings = open_graph(first, precision, threads=1) if first.exists() else None
        empty = np.zeros((len(COUNTS), spec.kv_heads, 0, spec.head_dim), np.float32)
        self.pasts = [(empty, empty) for _ in names]

    def run(self, values: Any, counts: Any, seen: Any) -> Any:
        """The logits of `values` [rows, n, …] behind the `seen` tokens of each row."""
        hidden = values if self.embeddings is None else self.embeddings.run(None, {"input_ids": values})[0]
        total = np.asarray(self.pasts[0][0].shape[2] + values.shape[1], np.int32)
        lengths = {"seqlens_k": (seen + counts - 1).astype(np.int32), "total_sequence_length": total}
        for layer, (block, (key, value)) in enumerate(zip(self.blocks, self.pasts, strict=True)):
            past = {"past_key_values.0.key": key, "past_key_values.0.value": value}
            hidden, *present = block.run(None, {"hidden": hidden, **lengths, **past})
            self.pasts[layer] = tuple(present)
        return self.head.run(None, {"hidden": hidden})[0]


@pytest.mark.parametrize(("case", "precision"), [(case, kind) for case in (*CASES, "molmoe") for kind in TYPES])
def test_blocks_one_after_the_other_are_the_whole_graph(
    case: str, precision: str, graph_families: GraphFamilies
) -> None:
    """A prefill of two rows, one of them padded, and decoding."""
    top_k = {"llama": None, "qwen2_moe": (4, 4, 3, 1)}.get(case, (4, 3, 2, 1) if case != "molmoe" else 2)
    fields = {"vision_backbone": None} if case == "molmoe" else quantisable(case)
    exported = graph_families.exported(case, precision=precision, top_k=top_k, **fields)
    whole = OnnxDecoder(
        open_graph(exported.path(exported.plan.variants[0].id), find_precision(precision), threads=1)
    ).start(batch=2, capacity=16)
    composed, generator, seen = Composed(exported), np.random.default_rng(1), np.zeros(2, np.int64)
    for new in (max(COUNTS), *[1] * STEPS):
        ids = generator.integers(2, 100, (2, new))
        values = ids if composed.embeddings else generator.standard_normal((*ids.shape, 64)).astype(np.float32)
        counts = np.minimum(COUNTS, new)
        wanted, found = whole.run(values, counts=counts)["logits"], composed.run(values, counts, seen)
        seen += counts
        for row, count in enumerate(counts):
            expected = wanted[row, :count]
            np.testing.assert_allclose(found[row, :count], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_block_graphs_are_valid_and_say_which_block_they_are(graph_families: GraphFamilies) -> None:
    exported = graph_families.exported("qwen2_moe", top_k=(4, 4, 3, 1))
    names = sorted(path.stem for path in exported.path("any").parent.glob("*.onnx"))
    pairs = ["block-00-k4", "block-01", *(f"block-03-k{k}" for k in (1, 4))]
    assert [name for name in names if name not in (exported.plan.variants[0].id, "head", "token-embeddings")] == pairs
    for name in names:
        says = metadata(check_model(exported.path(name)))
        assert says[PRECISION] == "float32"
        assert FAMILY_DIGEST not in says
        if name.startswith("block"):
            _, block, *k = name.split("-")
            assert (int(says[BLOCK]), says[TOP_K]) == (int(block), k[0][1:] if k else "")


def test_a_family_has_its_blocks_with_every_number_of_experts_in_use() -> None:
    def variant(layers: tuple[int, ...], top_k: tuple[int, ...] | None) -> Any:
        return SimpleNamespace(layers=layers, top_k=top_k)

    variants = [variant((0, 1, 3), (8, 4, 4)), variant((0, 3), (8, 2))]
    assert block_pairs(variants, lambda block: True) == (
        *((0, 8), (1, 2), (1, 4), (1, 8)),
        *((3, 2), (3, 4), (3, 8)),
    )
    assert block_pairs(variants, lambda block: block != 1) == ((0, 8), (1, None), (3, 2), (3, 4), (3, 8))
    assert block_pairs([variant((0, 2), None)], lambda block: False) == ((0, None), (2, None))
