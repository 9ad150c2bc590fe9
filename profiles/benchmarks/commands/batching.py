"""`python -m profiles.benchmarks batching`: what batching gains and costs on a family."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.baseline import ENGINES
from runtime.documents.checked_json import dump_document
from runtime.documents.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from profiles.benchmarks.batching.throughput import BatchingBench
    from runtime.engines.protocol import Engine

PARTS = SCHEDULER, MIXED = ("scheduler", "mixed")
Say = Callable[[str], None]


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
@click.option("--only", type=click.Choice(PARTS), help="Measure the scheduler, or mixed batches, alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as a JSON document.")
def bench_batching(
    family: Path, engine: str, dtype: str, threads: int | None, rounds: int, only: str | None, as_json: bool
) -> None:
    """Measure tokens per second on FAMILY of 16 requests at once, of one and of four variants, against one at a time;
    the scheduler against the bare engine; and what the first tokens of newcomers wait for. Then, by the bare engine, 16
    sequences of four variants in one batch, and 32 of eight, against one at a time and against a batch for each
    variant.

    Exits with 1 when a target is missed.
    """
    manifest = read_manifest(family)
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.batching.throughput import four_variants
        from runtime.engines.open import open_engine
        from runtime.engines.settings import EngineSettings

    opened = open_engine(engine, family, manifest, EngineSettings(dtype=dtype, threads=threads))
    variants, say = four_variants(manifest), partial(click.echo, err=True)
    try:
        benches = [] if only == MIXED else [_scheduler(opened, family, manifest, variants, rounds, say)]
        if only != SCHEDULER:
            benches += _mixed(opened, manifest, variants, dtype, rounds, say)
    finally:
        opened.close()
    bench = _joined(benches, rounds)
    settings = {"engine": engine, "variants": list(variants), "rounds": rounds, "software": dict(opened.software)}
    if as_json:
        click.echo(dump_document(settings | _document(bench)).decode(), nl=False)
    else:
        click.echo(_table(bench, settings))
    if any(figure.met is False for figure in bench.figures):
        click.get_current_context().exit(1)


def _scheduler(
    engine: "Engine", family: Path, manifest: Manifest, variants: tuple[str, ...], rounds: int, say: Say
) -> "BatchingBench":
    from profiles.benchmarks.batching import requests, throughput

    return throughput.bench_batching(engine, requests.open_texts(family, manifest), variants, rounds=rounds, say=say)


def _mixed(
    engine: "Engine", manifest: Manifest, variants: tuple[str, ...], dtype: str, rounds: int, say: Say
) -> list["BatchingBench"]:
    """Of four variants, and of eight where there are more than four."""
    from profiles.benchmarks.batching.mixed import bench_mixed, spread_variants

    eight = spread_variants(manifest, 8)
    chosen = [variants, eight] if len(eight) > len(variants) else [variants]
    return [bench_mixed(engine, each, dtype=dtype, rounds=rounds, say=say) for each in chosen]


def _joined(benches: Sequence["BatchingBench"], rounds: int) -> "BatchingBench":
    from profiles.benchmarks.batching.throughput import BatchingBench

    rates = {name: rate for bench in benches for name, rate in bench.rates.items()}
    return BatchingBench(rates=rates, figures=tuple(each for bench in benches for each in bench.figures), rounds=rounds)


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
        verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
        lines.append(f"{figure.name:<46}{figure.value:>12}{figure.target:>10}  {verdict}".rstrip())
    return "\n".join(lines)
