"""Options of the commands that make the demo model's files."""

from pathlib import Path

import click

checkpoint_option = click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="The trained checkpoint folder.",
)
