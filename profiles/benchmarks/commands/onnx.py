"""`python -m profiles.benchmarks onnx`: what the ONNX variants cost, against transformers, mobius-onnx and llama.cpp on
the same weights."""

import tempfile
from pathlib import Path

import click

from runtime.commands.needed_packages import needed_packages
from runtime.documents.checked_json import dump_document

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("onnx", short_help="Graphs against transformers, mobius-onnx and llama.cpp.")
@click.argument("checkpoint", type=FOLDER)
@click.option(
    "--scratch",
    type=FOLDER,
    required=True,
    help="A folder for graphs and GGUF files; needs three times the checkpoint, and twice more with mobius-onnx.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Rounds of all contenders in turn; the median counts.",
)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="Threads of every contender.")
@click.option(
    "--skip",
    type=click.Choice(["mobius-onnx", "llama.cpp"]),
    multiple=True,
    help="Leave this contender out; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as a JSON document.")
def bench_onnx(
    checkpoint: Path, scratch: Path, rounds: int, threads: int, skip: tuple[str, ...], as_json: bool
) -> None:
    """Measure graphs of CHECKPOINT in float32, int8 and int4: an OLMoE such as `trimoe synth --like bench` writes,
    which the targets are for.

    Exits with 1 when a target is missed. mobius-onnx and llama.cpp (packages llama-cpp-python, built from source for
    this processor, and gguf) are compared with where they are installed.
    """
    with needed_packages("this benchmark", extras="profiles,cpu"):
        from profiles.benchmarks.onnx.bench import bench_onnx as measure
        from profiles.benchmarks.onnx.table import document, table

    with tempfile.TemporaryDirectory(dir=scratch, prefix="bench-onnx-") as folder:
        bench = measure(
            checkpoint,
            Path(folder),
            rounds=rounds,
            threads=threads,
            skip=skip,
            say=lambda line: click.echo(line, err=True),
        )
    click.echo(dump_document(document(bench)).decode() if as_json else table(bench) + "\n", nl=False)
    if any(figure.met is False for figure in bench.figures):
        click.get_current_context().exit(1)
