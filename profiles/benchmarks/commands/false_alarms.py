"""`python -m profiles.benchmarks false-alarms`: how often the gate fails what did not change."""

import click

from runtime.commands.needed_packages import needed_packages

QUESTIONS, CORRELATIONS = (1, 2, 5, 10), (0.0, 0.3, 0.7, 1.0)
NOMINAL, ALLOWED = 0.05, 0.02
COVERAGE = (0.93, 0.97)


@click.command("false-alarms", short_help="How often the gate fails what did not change.")
@click.option("--samples", type=click.IntRange(min=100), default=2000, show_default=True, help="Samples of a data set.")
@click.option("--runs", type=click.IntRange(min=60), default=600, show_default=True, help="Simulations of each case.")
def bench_false_alarms(samples: int, runs: int) -> None:
    """Simulate unchanged variants on data sets with several questions an image, and count what the gate fails.

    Exits with 1 where that is too often, or intervals hold the truth too rarely.
    """
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.gate.false_alarms import LEVEL, VARIANTS, simulate

    click.echo(f"{samples} samples, {runs} runs a row; nominal {100 * NOMINAL:g} %, intervals at {100 * LEVEL:g} %")
    click.echo(f"{'questions':>9}{'correlation':>13}{'failed':>9}{f'{VARIANTS} variants':>13}{'covered':>9}")
    missed = False
    for questions in QUESTIONS:
        for correlation in CORRELATIONS:
            one = simulate(questions, correlation, samples=samples, runs=runs)
            met = one.failed <= NOMINAL + ALLOWED and COVERAGE[0] <= one.covered <= COVERAGE[1]
            missed = missed or not met
            shares = f"{100 * one.failed:>7.1f} %{100 * one.families_failed:>11.1f} %{100 * one.covered:>7.1f} %"
            click.echo(f"{questions:>9}{correlation:>13g}{shares}  {'met' if met else 'MISSED'}")
    click.get_current_context().exit(int(missed))
