"""`python -m profiles.benchmarks batching`: what batching gains and costs on a family."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.baseline import ENGINES
from runtime.documents.checked_json import dump_document
from runtime.documents.manifest import read_manifest

if TYPE_CHECKING:
    from profiles.benchmarks.batching.throughput import BatchingBench


@click.command("batching", short_help="Many requests at once against one at a time.")
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--engine", type=click.Choice(ENGINES), default="onnx", show_default=True, help="What runs it.")
@click.option("--dtype", default="float32", show_default=True, help="Which ONNX graphs to run.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the engine  [default: its own choice]")
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Rounds of everything in turn; the median counts.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as a JSON document.")
def bench_batching(family: Path, engine: str, dtype: str, threads: int | None, rounds: int, as_json: bool) -> None:
    """Measure tokens per second on FAMILY of 16 requests at once, of one and of four variants, against one at a time;
    the scheduler against the bare engine; and what the first tokens of newcomers wait for.

    Exits with 1 when a target is missed.
    """
    manifest = read_manifest(family)
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.batching.requests import open_texts
        from profiles.benchmarks.batching.throughput import bench_batching as measure
        from profiles.benchmarks.batching.throughput import four_variants
        from runtime.engines.open import open_engine
        from runtime.engines.settings import EngineSettings

    opened = open_engine(engine, family, manifest, EngineSettings(dtype=dtype, threads=threads))
    try:
        reader, variants = open_texts(family, manifest), four_variants(manifest)
        bench = measure(opened, reader, variants, rounds=rounds, say=partial(click.echo, err=True))
    finally:
        opened.close()
    settings = {"engine": engine, "variants": list(variants), "rounds": rounds, "software": dict(opened.software)}
    if as_json:
        click.echo(dump_document(settings | _document(bench)).decode(), nl=False)
    else:
        click.echo(_table(bench, settings))
    if any(figure.met is False for figure in bench.figures):
        click.get_current_context().exit(1)


def _document(bench: "BatchingBench") -> dict[str, Any]:
    return {
        "tokens_per_s": bench.rates,
        "figures": [{"name": f.name, "value": f.value, "target": f.target, "met": f.met} for f in bench.figures],
    }


def _table(bench: "BatchingBench", settings: dict[str, Any]) -> str:
    """The rates, a row a contender, then the figures with their targets; at most 80 columns."""
    lines = [f"{settings['engine']}, median of {bench.rounds}: {', '.join(settings['variants'])}"]
    lines += [f"{name:<44}{rate:>14.1f} tokens/s" for name, rate in bench.rates.items()]
    lines += ["", f"{'ratio':<46}{'measured':>12}{'target':>10}"]
    for figure in bench.figures:
        verdict = "met" if figure.met else "MISSED"
        lines.append(f"{figure.name:<46}{figure.value:>12}{figure.target:>10}  {verdict}")
    return "\n".join(lines)
