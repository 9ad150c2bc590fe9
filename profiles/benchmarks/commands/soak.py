"""`python -m profiles.benchmarks soak`: a server under good and bad requests, changes and faults for some minutes."""

import dataclasses
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.manifest import read_manifest

if TYPE_CHECKING:
    from profiles.benchmarks.soak.verdict import Verdict

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
EACH = 3  # questions of each data set of the demo


@click.command("soak", short_help="A server under good and bad requests, for minutes.")
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--estimator", type=FILE, required=True, help="From trimoe fit, for these graphs on this machine.")
@click.option("--baseline", type=FILE, help="From trimoe eval.")
@click.option("--dtype", default="float32", show_default=True, help="Which ONNX graphs to serve.")
@click.option(
    "--minutes", type=click.FloatRange(min=0, max=240, min_open=True), default=20.0, show_default=True, help="Of load."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds send the same.")
def bench_soak(family: Path, estimator: Path, baseline: Path | None, dtype: str, minutes: float, seed: int) -> None:
    """Serve FAMILY, the demo, on loopback by a process of its own, and send it questions whose answers were recorded,
    cancellations, bad requests and bad clients, while the family is changed again and again, and damaged now and then,
    and the engine fails every few seconds.

    Exits with 1 for a wrong answer, a request without an answer, a status that is not declared, a server that ends or
    grows (told from 5 minutes on), or where too little was seen: fewer than half of the answers, no change done, or no
    fault.
    """
    with needed_packages("this benchmark", extras="profiles,cpu,serve"):
        from profiles.benchmarks.soak.recorded import record_answers
        from profiles.benchmarks.soak.soak import Soak, soak
        from profiles.datasets.digits.dataset import DEMO_TASKS, demo_dataset
    known = () if baseline is None else ("--baseline", str(baseline))
    options = ("--dtype", dtype, "--estimator", str(estimator), *known)
    say = partial(click.echo, err=True)
    say("recording answers")
    datasets = [demo_dataset(task, EACH) for task in DEMO_TASKS]
    questions = record_answers(family, read_manifest(family), datasets, dtype=dtype)
    if baseline is None:
        questions = tuple(dataclasses.replace(one, task=None) for one in questions)
    settings = Soak(minutes=minutes, options=options, dtype=dtype, seed=seed)
    with tempfile.TemporaryDirectory(prefix="trimoe-soak-") as scratch:
        found = soak(family, questions, settings, Path(scratch), say=say)
    click.echo("\n".join(_told(found)))
    if not found.well:
        click.get_current_context().exit(1)


def _happened(found: "Verdict") -> str:
    requests = sum(found.counts.values())
    return f"{requests} requests, {found.changes} changes of the family, {found.faults} faults of the engine"


def _told(found: "Verdict") -> list[str]:
    from profiles.benchmarks.soak.crowd import told

    lines = [*told(found.counts), _happened(found)]
    one = found.growth
    if one is not None:
        lines.append(
            f"at rest {one.bytes[0] / 2**20:.0f} MiB, grown by {100 * one.memory:.2f} %; "
            f"threads {one.threads[0]:.0f} to {one.threads[1]:.0f}; files {one.files[0]:.0f} to {one.files[1]:.0f}: "
            f"{'flat' if one.flat else 'GROWING'}"
        )
    lines += [f"LACKS: {lack}" for lack in found.lacks]
    return [*lines, *(f"WRONG: {problem}" for problem in found.problems), "all well" if found.well else "not well"]
