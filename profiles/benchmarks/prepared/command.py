"""`python -m profiles.benchmarks prepared`: answers on prepared weights whatever happens to these."""

import dataclasses
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.checked_json import dump_document
from runtime.documents.graph_contract import PACKED
from runtime.documents.manifest import read_manifest
from runtime.text.progress_line import ProgressLine


@click.command("prepared", short_help="Right answers whatever happens to packed weights.")
@click.argument("family", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--dtype", type=click.Choice(PACKED), default=PACKED[0], show_default=True, help="Which graphs to run.")
@click.option("--kills", type=click.IntRange(0), default=30, show_default=True, help="Processes to kill.")
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
@click.option("--scratch", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Where to keep them.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def bench_prepared(family: Path, dtype: str, kills: int, seed: int, scratch: Path | None, as_json: bool) -> None:
    """Kill processes while they prepare FAMILY and let others answer, start several at once, let the disk be full,
    change the processor, damage what was prepared: each time the logits must be bit for bit those without it.

    Exits with 1 when any are not.
    """
    read_manifest(family)
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.prepared.answering import Opening
        from profiles.benchmarks.prepared.faults import Faults
    line = ProgressLine(sys.stderr)
    with TemporaryDirectory(dir=scratch, prefix="prepared-") as folder:
        place = Path(folder) / "forms"
        trials = Faults(
            opening=Opening(family=family, dtype=dtype, place=place),
            kills=kills,
            seed=seed,
            say=line.draw if line.on_terminal else lambda text: None,
        )
        found = list(trials.find())
    if line.on_terminal:
        line.clear()
    if as_json:
        click.echo(dump_document({"faults": [dataclasses.asdict(one) for one in found]}).decode(), nl=False)
    else:
        for one in found:
            click.echo(f"{one.fault:<30}{one.right:>4} of {one.runs} right: {one.means}")
    if any(one.right < one.runs for one in found):
        click.get_current_context().exit(1)
