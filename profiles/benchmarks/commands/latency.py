"""`python -m profiles.benchmarks latency`: the times of `trimoe bench` beside the wall time of real answers."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.baseline import ENGINES, ONNX
from runtime.documents.manifest import read_manifest

if TYPE_CHECKING:
    from profiles.benchmarks.figures import Figure
    from profiles.benchmarks.latency import Comparison

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("latency", short_help="Times of trimoe bench against real answers.")
@click.argument("family", type=FOLDER)
@click.option("--engine", type=click.Choice(ENGINES), default=ONNX, show_default=True, help="What runs the variants.")
@click.option("--dtype", default="float32", show_default=True, help="Which ONNX graphs to run.")
@click.option(
    "--rounds", type=click.IntRange(min=2), default=9, show_default=True, help="Rounds of all cells; the median counts."
)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="Threads of the engine.")
def bench_latency(family: Path, engine: str, dtype: str, rounds: int, threads: int) -> None:
    """Compare the stages and tokens that trimoe bench times with real answers of 128 tokens of FAMILY's variants.

    Exits with 1 when a target is missed.
    """
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.latency import compare_with_answers, figures

    found = compare_with_answers(
        family,
        read_manifest(family),
        engine=engine,
        dtype=dtype,
        threads=threads,
        rounds=rounds,
        say=lambda line: click.echo(line, err=True),
    )
    shown = figures(found)
    click.echo(_table(found, shown))
    if any(figure.met is False for figure in shown):
        click.get_current_context().exit(1)


def _table(found: "tuple[Comparison, ...]", shown: "tuple[Figure, ...]") -> str:
    lines = [f"{'bench over real answers of 128 tokens':<44}{'per token':>14}{'first token':>14}"]
    for one in found:
        lines.append(f"{one.cell.name:<44}{one.token_ratio:>14.3f}{one.first_ratio:>14.3f}")
    lines += ["", f"{'difference, as a share':<44}{'measured':>14}{'target':>10}"]
    lines += [f"{one.name:<44}{one.value:>14}{one.target:>10}  {'met' if one.met else 'MISSED'}" for one in shown]
    return "\n".join(lines)
