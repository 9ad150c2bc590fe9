"""`python -m profiles.benchmarks recommendations`: what recommended removals cost where the truth is known."""

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.checked_json import dump_document

if TYPE_CHECKING:
    from profiles.benchmarks.recommendations.regret import Bench


@click.command("recommendations", short_help="Recommended removals where the truth is known.")
@click.option("--trees", type=click.IntRange(min=1), default=25, show_default=True, help="Studies of each kind.")
@click.option("--seed", default=0, show_default=True, help="What draws them.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as a JSON document.")
def bench_recommendations(trees: int, seed: int, as_json: bool) -> None:
    """Make up studies whose true drops are known, with most combinations missing on most data sets, and compare what
    the study's rules and the estimates over all data sets recommend.

    Exits with 1 when the estimates' regret is not the least or their intervals do not hold in 88 to 92 of 100 cases.
    """
    with needed_packages("this benchmark", extras="profiles"):
        from profiles.benchmarks.recommendations.regret import bench_recommendations as measure

    bench = measure(trees=trees, seed=seed, say=partial(click.echo, err=True))
    if as_json:
        click.echo(dump_document(dataclasses.asdict(bench)).decode(), nl=False)
    else:
        click.echo(_table(bench))
    if not bench.met:
        click.get_current_context().exit(1)


def _table(bench: "Bench") -> str:
    """A row a kind of study: regrets in points, coverage in percent."""
    rules = list(bench.regrets)
    heads = "".join(f"{rule:>13}" for rule in rules)
    lines = ["regret in points (mean over sizes), and true means inside intervals of 90 %"]
    lines.append(f"{'effects, cells':<20}{'studies':>8}{heads}{'inside, %':>11}")
    rows = [(f"{row.kind}, {row.cells}", row.trees, row.regrets, row.covered) for row in bench.rows]
    rows.append(("all", sum(row.trees for row in bench.rows), bench.regrets, bench.covered))
    for name, trees, regrets, covered in rows:
        shown = "".join(f"{100 * regrets[rule]:>13.2f}" for rule in rules)
        lines.append(f"{name:<20}{trees:>8}{shown}{100 * covered:>11.1f}")
    return "\n".join(lines)
