"""`python -m profiles.benchmarks serving`: budgets kept by a family, beside a server of the whole model."""

import dataclasses
import random
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.checked_json import dump_document

if TYPE_CHECKING:
    from profiles.benchmarks.serving.opening import Served
    from profiles.benchmarks.serving.questions import LoadQuestion

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
QUESTIONS = 400  # of random tokens


@click.command("serving", short_help="Budgets kept under load, against a server of the whole model.")
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--estimator", type=FILE, required=True, help="From trimoe fit, for these graphs on this machine.")
@click.option("--baseline", type=FILE, help="From trimoe eval.")
@click.option("--dtype", default="float32", show_default=True, help="Which ONNX graphs to run.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the engine  [default: its own choice]")
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=30.0, show_default=True, help="Of each load; there are six."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds ask the same.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures, and every request, as a JSON document.")
def bench_serving(
    family: Path,
    estimator: Path,
    baseline: Path | None,
    dtype: str,
    threads: int | None,
    seconds: float,
    seed: int,
    as_json: bool,
) -> None:
    """Send FAMILY requests with budgets at random moments: 0.15 and 1.5 times as many as the whole model can answer,
    to all variants, with choice and shedding, to the whole model alone without budgets, and to it with budgets and
    shedding.

    The demo is asked its held-out questions, a synthetic family texts of random tokens. Exits with 1 when a target is
    missed.
    """
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.serving.compare import Bench, compare, tables
        from profiles.benchmarks.serving.opening import read_served
    served = read_served(family, estimator=estimator, baseline=baseline, dtype=dtype, threads=threads)
    bench = Bench(seed=seed, seconds=seconds)
    found = compare(served, _questions(served, seed), bench, say=partial(click.echo, err=True))
    if as_json:
        click.echo(dump_document(dataclasses.asdict(found)).decode(), nl=False)
    else:
        click.echo("\n".join(tables(found)))
    if any(figure.met is False for figure in found.figures):
        click.get_current_context().exit(1)


def _questions(served: "Served", seed: int) -> "tuple[LoadQuestion, ...]":
    from profiles.benchmarks.serving.questions import dataset_questions, token_questions
    from profiles.datasets.digits.dataset import DEMO_TASKS, demo_dataset
    from profiles.latency.bench.prompts import open_reader

    if served.manifest.source.synthetic:
        tokens = open_reader(served.folder, served.manifest).ordinary_tokens
        return token_questions(tokens, QUESTIONS, seed=seed)
    questions = list(dataset_questions([demo_dataset(task) for task in DEMO_TASKS]))
    random.Random(seed).shuffle(questions)
    return tuple(questions)
