"""The benchmark's command and its table."""

from click.testing import CliRunner

from profiles.benchmarks.commands.onnx import bench_onnx
from profiles.benchmarks.onnx.bench import OnnxBench, Row
from profiles.benchmarks.onnx.table import document, table
from profiles.benchmarks.onnx.targets import memory_figures, speed_figures
from tests.profiles.benchmarks.onnx.test_targets import TIMINGS

BENCH = OnnxBench(
    figures=(*speed_figures(TIMINGS), *memory_figures({"float32": 1, "int8": 1, "int4": 1})),
    rows={key: Row(prefill_ms=380.0, decode_ms=20.0, error=1e-6) for key in TIMINGS},
    peaks={"int8": 3 << 30},
    read_bandwidth=2e10,
    skipped=("mobius-onnx: not installed",),
    threads=2,
    rounds=3,
)


def test_the_command_has_help_without_loading_torch() -> None:
    result = CliRunner().invoke(bench_onnx, ["--help"])
    assert result.exit_code == 0
    assert "llama.cpp" in result.output


def test_the_table_fits_eighty_columns_and_says_what_was_left_out() -> None:
    shown = table(BENCH)
    assert max(map(len, shown.splitlines())) <= 80
    row = next(line for line in shown.splitlines() if line.startswith("transformers grouped_mm, k 8"))
    assert row.split()[-5:] == ["380.0", "ms", "20.00", "ms", "1.0e-06"]
    assert "3072 MiB" in shown and "MISSED" in shown
    assert shown.splitlines()[-1] == "left out: mobius-onnx: not installed"


def test_the_document_has_every_figure() -> None:
    found = document(BENCH)
    assert len(found["figures"]) == len(BENCH.figures)
    assert found["peak_bytes"] == {"int8": 3 << 30}
