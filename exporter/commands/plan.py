"""`trimoe plan`: show what an export would write, without writing anything."""

import sys
from pathlib import Path

import click

from exporter.commands.options import PlanOptions, plan_options, read_request
from exporter.plan.make_plan import make_plan
from exporter.rendering.plan_table import plan_document, show_plan
from runtime.documents.checked_json import dump_document
from runtime.text.terminal import terminal_width


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@plan_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as a JSON document.")
def plan(checkpoint: Path, options: PlanOptions, as_json: bool) -> None:
    """Show the variants that an export of CHECKPOINT would write.

    CHECKPOINT is a folder with config.json and safetensors weights. Exactly one of --recommendations, --importance and
    --remove says which blocks go; nothing is written.
    """
    source, request = read_request(checkpoint, options)
    planned = make_plan(source, request=request)
    if as_json:
        click.echo(dump_document(plan_document(planned)).decode(), nl=False)
    else:
        click.echo(show_plan(planned, width=terminal_width(sys.stdout)))
