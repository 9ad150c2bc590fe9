"""What the benchmark builds and counts."""

from pathlib import Path

import onnx_ir as ir

from profiles.benchmarks.onnx.built import Family, active_bytes, build_timed
from runtime.documents.family_layout import graph_path
from tests.support.graph_families import GraphFamilies


def test_active_bytes_count_the_chosen_experts_only(graph_families: GraphFamilies) -> None:
    exported = graph_families.exported("olmoe")
    attention = 64 * 128 + 64 * 64 + 64 * (1 + 1) + 64 + 32  # qkv, output, both norms, query and key norm
    expert, router, head = 3 * 32 * 64, 8 * 64, 128 * 64
    family = Family(plan=exported.plan, source=exported.source, graphs={}, build_s=0.0)
    blocks = len({block for variant in exported.plan.variants for block in variant.layers})
    assert active_bytes(family, 2) == 4 * (blocks * (attention + router + 2 * expert) + head)


def test_timed_graphs_have_one_k_in_every_block(graph_families: GraphFamilies, tmp_path: Path) -> None:
    exported = graph_families.exported("olmoe")
    family = Family(plan=exported.plan, source=exported.source, graphs={}, build_s=0.0)
    (tmp_path / graph_path("int8", "x")).parent.mkdir(parents=True)
    graph = ir.load(build_timed(family, "int8", 2, tmp_path)).graph
    assert {node.attributes["k"].as_int() for node in graph if node.op_type == "QMoE"} == {2}
