"""`trimoe suggest`: the variants that a family should have next."""

import sys
from pathlib import Path

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.manifest import read_manifest
from runtime.text.terminal import terminal_width

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--accuracy-model", "model", type=FILE, required=True, help="From `trimoe fit-accuracy`.")
@click.option("--estimator", type=FILE, required=True, help="From `trimoe fit`.")
@click.option(
    "--budget-ms",
    type=click.FloatRange(min=0, min_open=True),
    help="Only what answers in that time  [default: any time]",
)
@click.option("--most", type=click.IntRange(min=1), default=5, show_default=True, help="So many at most.")
def suggest(family: Path, model: Path, estimator: Path, budget_ms: float | None, most: int) -> None:
    """Name the settings, kept blocks with experts per token of each, that FAMILY has not and that are expected to raise
    its best score at their latency, or within a budget, by the most. Times are of an answer of usual size."""
    with needed_packages("trimoe suggest", extras="profiles,cpu"):
        from profiles.evidence.accuracy_model.suggest import suggest as find
        from profiles.reports.evidence.suggestion_table import show_suggestions
        from runtime.documents.latency.estimator_document import read_estimator
        from runtime.latency.estimator import Estimator
        from runtime.serving.elastic import UsualCost, read_predictor

    manifest = read_manifest(family)
    predictor = read_predictor(model, manifest)
    cost = UsualCost(Estimator(read_estimator(estimator)), experts=manifest.source.experts or 0)
    found = find(manifest, predictor, cost, budget_ms=budget_ms, most=most)
    click.echo(show_suggestions(found, manifest.source, width=terminal_width(sys.stdout)), nl=False)
