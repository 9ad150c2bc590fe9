"""`python -m profiles.benchmarks onnx`: what the ONNX variants cost, against transformers and mobius-onnx on the same
weights."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.checked_json import dump_document

if TYPE_CHECKING:
    from profiles.benchmarks.onnx import OnnxBench

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("onnx", short_help="Graphs against transformers and mobius-onnx.")
@click.argument("checkpoint", type=FOLDER)
@click.option(
    "--scratch",
    type=FOLDER,
    required=True,
    help="A folder for the graphs; needs once the checkpoint, twice with mobius-onnx.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Rounds of all contenders in turn; the median counts.",
)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="Threads of every contender.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as a JSON document.")
def bench_onnx(checkpoint: Path, scratch: Path, rounds: int, threads: int, as_json: bool) -> None:
    """Measure ONNX variants of CHECKPOINT, an OLMoE such as `trimoe synth --like bench` writes, which the targets are
    for.

    Exits with 1 when a target is missed. mobius-onnx is compared with where it is installed.
    """
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.onnx import bench_onnx as measure

    with tempfile.TemporaryDirectory(dir=scratch, prefix="bench-onnx-") as folder:
        bench = measure(
            checkpoint, Path(folder), rounds=rounds, threads=threads, say=lambda line: click.echo(line, err=True)
        )
    if as_json:
        click.echo(dump_document(_document(bench)).decode(), nl=False)
    else:
        click.echo(_table(bench))
    if any(figure.met is False for figure in bench.figures):
        click.get_current_context().exit(1)


def _document(bench: "OnnxBench") -> dict[str, Any]:
    return {
        "threads": bench.threads,
        "rounds": bench.rounds,
        "read_bytes_per_s": bench.read_bandwidth,
        "figures": [{"name": f.name, "value": f.value, "target": f.target, "met": f.met} for f in bench.figures],
        "medians": [
            {"contender": name, "k": k, "prefill_ms": prefill_ms, "decode_ms": decode_ms}
            for (name, k), (prefill_ms, decode_ms) in bench.medians.items()
        ],
    }


def _table(bench: "OnnxBench") -> str:
    """The medians, a row a contender, then the figures with their targets; at most 80 columns."""
    head = f"median of {bench.rounds}, {bench.threads} threads"
    lines = [f"{head:<34}{'prefill 512':>14}{'per token':>14}"]
    for (name, k), (prefill_ms, decode_ms) in bench.medians.items():
        lines.append(f"{f'{name}, k {k}':<34}{prefill_ms:>11.1f} ms{decode_ms:>11.2f} ms")
    lines.append(f"{'reading memory':<34}{bench.read_bandwidth / 1e9:>21.1f} GB/s")
    lines += ["", f"{'ratio':<44}{'measured':>14}{'target':>10}"]
    for figure in bench.figures:
        verdict = "skipped" if figure.met is None else "met" if figure.met else "MISSED"
        lines.append(f"{figure.name:<44}{figure.value:>14}{figure.target:>10}  {verdict}")
    return "\n".join(lines)
