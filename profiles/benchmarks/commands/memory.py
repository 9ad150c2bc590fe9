"""`python -m profiles.benchmarks memory`: all variants of a family in memory against one."""

import dataclasses
import os
from pathlib import Path

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.baseline import ENGINES, ONNX
from runtime.documents.checked_json import dump_document
from runtime.documents.manifest import read_manifest

TARGET = 1.15


@click.command("memory", short_help="All variants in memory against one.")
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--engine", "engines", type=click.Choice(ENGINES), multiple=True, help="What holds them  [default: each in turn]"
)
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    default=("float32",),
    show_default=True,
    help="Which ONNX graphs to hold; torch has the checkpoint's type. Repeatable.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the engine  [default: one for each core]")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as a JSON document.")
def bench_memory(
    family: Path, engines: tuple[str, ...], dtypes: tuple[str, ...], threads: int | None, as_json: bool
) -> None:
    """Measure by how much a process grows that holds all variants of FAMILY, each after an answer, over its growth by
    the largest one alone: proportional set size, in a fresh process for each engine and type.

    Exits with 1 when all take more than 1.15 times as much as one.
    """
    read_manifest(family)
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.memory.variants import resident
    number = threads or os.cpu_count() or 1
    forms = [(engine, dtype) for engine in engines or ENGINES for dtype in (dtypes if engine == ONNX else dtypes[:1])]
    found = [resident(family, engine, dtype=dtype, threads=number) for engine, dtype in forms]
    if as_json:
        click.echo(dump_document({"engines": [dataclasses.asdict(one) for one in found]}).decode(), nl=False)
    else:
        for one in found:
            click.echo(
                f"{one.form}: one variant {one.one_bytes / 1e6:,.0f} MB, all {one.variants} "
                f"{one.all_bytes / 1e6:,.0f} MB: {one.ratio:.3f} (target ≤ {TARGET:g})"
            )
    if any(one.ratio > TARGET for one in found):
        click.get_current_context().exit(1)
