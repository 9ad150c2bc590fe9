"""`python -m profiles.benchmarks choice`: how long the choice among 40 variants takes, estimates included."""

import dataclasses

import click

from profiles.benchmarks.choice import time_choices
from runtime.documents.checked_json import dump_document

TARGET_US = 300.0


@click.command("choice", short_help="The choice among 40 variants, estimates included.")
@click.option("--requests", type=click.IntRange(min=100), default=20_000, show_default=True, help="Choices to time.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as a JSON document.")
def bench_choice(requests: int, as_json: bool) -> None:
    """Time forecast and choice for requests of random sizes, while prompts wait and rows run. Exits with 1 when p99 is
    above 300 µs."""
    found = time_choices(requests=requests)
    if as_json:
        click.echo(dump_document(dataclasses.asdict(found)).decode(), nl=False)
    else:
        click.echo(
            f"{found.variants} variants, {found.requests} requests ({found.refused} refused): "
            f"p50 {found.p50_us:.0f} µs, p99 {found.p99_us:.0f} µs (target ≤ {TARGET_US:.0f} µs)"
        )
    if found.p99_us > TARGET_US:
        click.get_current_context().exit(1)
