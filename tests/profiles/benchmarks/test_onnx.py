"""The benchmark's arithmetic; its timings are its own business."""

from click.testing import CliRunner

from profiles.benchmarks.commands.onnx import _table, bench_onnx
from profiles.benchmarks.figures import speed_ratios
from profiles.benchmarks.onnx import OnnxBench, active_bytes
from profiles.benchmarks.timing import Timing, median_of
from tests.support.graph_families import GraphFamilies


def rounds(*times: tuple[float, float]) -> list[Timing]:
    return [Timing(prefill_ms=prefill, decode_ms=decode, read_s=0.1) for prefill, decode in times]


TIMINGS = {
    ("onnx", 8): rounds((400.0, 10.0), (800.0, 20.0), (400.0, 10.0)),
    ("onnx", 2): rounds((200.0, 4.0), (400.0, 8.0), (200.0, 5.0)),
    ("transformers eager", 8): rounds((500.0, 30.0), (500.0, 30.0), (500.0, 30.0)),
    ("transformers grouped_mm", 8): rounds((380.0, 20.0), (760.0, 40.0), (380.0, 20.0)),
    ("transformers eager", 2): rounds((300.0, 10.0), (600.0, 20.0), (300.0, 10.0)),
    ("transformers grouped_mm", 2): rounds((290.0, 12.0), (580.0, 24.0), (290.0, 12.0)),
}


def test_ratios_are_taken_in_each_round_and_a_missing_mobius_is_skipped_visibly() -> None:
    figures = {figure.name: (figure.value, figure.met) for figure in speed_ratios(TIMINGS)}
    assert figures == {
        "decode over transformers, k 8": ("2.00", True),
        "decode over transformers, k 2": ("2.50", True),
        "decode over mobius-onnx, k 8": ("not installed", None),
        "prefill over transformers, k 8": ("0.95", False),
        "prefill over transformers, k 2": ("1.45", True),
        "prefill over mobius-onnx, k 8": ("not installed", None),
        "decode, k 2 over k 8": ("2.50", True),
    }


def test_active_bytes_count_the_chosen_experts_only(graph_families: GraphFamilies) -> None:
    exported = graph_families.exported("olmoe")
    attention = 64 * 128 + 64 * 64 + 64 * (1 + 1) + 64 + 32  # qkv, output, both norms, query and key norm
    expert, router, head = 3 * 32 * 64, 8 * 64, 128 * 64
    elements = 3 * (attention + router) + (4 + 2 + 2) * expert + head
    assert active_bytes(exported.source, exported.plan, exported.plan.variants[0]) == 4 * elements


def test_the_command_has_help_without_loading_torch() -> None:
    result = CliRunner().invoke(bench_onnx, ["--help"])
    assert result.exit_code == 0
    assert "mobius-onnx" in result.output


def test_the_table_fits_eighty_columns_and_says_what_was_skipped() -> None:
    medians = {key: (median_of("prefill_ms", found), median_of("decode_ms", found)) for key, found in TIMINGS.items()}
    bench = OnnxBench(figures=speed_ratios(TIMINGS), medians=medians, read_bandwidth=2e10, threads=2, rounds=3)
    table = _table(bench)
    assert max(map(len, table.splitlines())) <= 80
    row = next(line for line in table.splitlines() if line.startswith("transformers grouped_mm, k 8"))
    assert row.split()[-4:] == ["380.0", "ms", "20.00", "ms"]
    assert "skipped" in table and "MISSED" in table
