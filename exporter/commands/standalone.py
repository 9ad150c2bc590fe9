"""`trimoe standalone`: copy one variant out of a family as a checkpoint folder of its own."""

from pathlib import Path

import click

from exporter.commands.format_options import format_options, graph_types
from exporter.family.standalone import copy_variant
from exporter.rendering.export_report import show_path
from runtime.documents.checked_json import dump_document
from runtime.documents.manifest import read_manifest
from runtime.text.progress_bar import ProgressBar
from runtime.text.sizes import show_bytes

FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("family", type=FOLDER)
@click.option("--variant", required=True, metavar="ID", help="The variant to copy, e.g. b14-k4.")
@click.option("--out", required=True, type=FOLDER, help="The folder to write, new or empty.")
@format_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON document.")
def standalone(family: Path, variant: str, out: Path, formats: str, dtypes: str, as_json: bool) -> None:
    """Copy a variant out of FAMILY as a folder of its own, which loads like any checkpoint.

    Every file is compared with its digest on the way. `trimoe verify` checks the copy like a family: what it needs for
    that stands in the folder trimoe/ there.
    """
    types = graph_types(formats, dtypes)
    manifest = read_manifest(family)
    size = copy_variant(family, manifest, variant, out, precisions=types, progress=ProgressBar())
    if as_json:
        document = {
            "format": "trimoe.standalone",
            "version": 1,
            "variant": variant,
            "folder": show_path(out),
            "bytes": size,
        }
        click.echo(dump_document(document).decode(), nl=False)
    else:
        graphs = f", with its ONNX graph in {', '.join(types)}" if types else ""
        click.echo(f"Copied {variant} to {out}{graphs}: {show_bytes(size)}, every file as recorded.")
