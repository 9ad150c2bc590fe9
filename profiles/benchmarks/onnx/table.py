"""The benchmark's result for people and for programs."""

from typing import Any

from profiles.benchmarks.onnx.bench import OnnxBench


def document(bench: OnnxBench) -> dict[str, Any]:
    """The result as a JSON document."""
    return {
        "threads": bench.threads,
        "rounds": bench.rounds,
        "read_bytes_per_s": bench.read_bandwidth,
        "skipped": list(bench.skipped),
        "figures": [{"name": f.name, "value": f.value, "target": f.target, "met": f.met} for f in bench.figures],
        "peak_bytes": dict(bench.peaks),
        "medians": [
            {"contender": name, "k": k, "prefill_ms": row.prefill_ms, "decode_ms": row.decode_ms, "error": row.error}
            for (name, k), row in bench.rows.items()
        ],
    }


def table(bench: OnnxBench) -> str:
    """The medians, a row a contender, then the figures with their targets; at most 80 columns."""
    head = f"median of {bench.rounds}, {bench.threads} threads"
    lines = [f"{head:<30}{'prefill 512':>12}{'per token':>12}{'error':>10}{'peak memory':>14}"]
    for (name, k), row in bench.rows.items():
        peak = f"{bench.peaks[name] / 2**20:.0f} MiB" if name in bench.peaks else ""
        times = f"{row.prefill_ms:>9.1f} ms{row.decode_ms:>9.2f} ms"
        lines.append(f"{f'{name}, k {k}':<30}{times}{row.error:>10.1e}{peak:>14}".rstrip())
    lines.append(f"{'reading memory':<30}{bench.read_bandwidth / 1e9:>19.1f} GB/s")
    lines += ["", f"{'ratio':<50}{'measured':>10}{'target':>9}"]
    for figure in bench.figures:
        verdict = "not run" if figure.met is None else "met" if figure.met else "MISSED"
        value = "–" if figure.met is None else figure.value
        lines.append(f"{figure.name:<50}{value:>10}{figure.target:>9}  {verdict}")
    return "\n".join([*lines, *(f"left out: {one}" for one in bench.skipped)])
