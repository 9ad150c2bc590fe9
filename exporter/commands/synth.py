"""`trimoe synth`: write a checkpoint of random weights in a real model's layout."""

from pathlib import Path

import click

from exporter.commands.byte_size import byte_size
from exporter.commands.progress_bar import ProgressBar
from exporter.synth.layouts import LAYOUTS, Sizes, find_layout
from runtime.text.one_line import one_line
from runtime.text.sizes import show_bytes, show_count


@click.command()
@click.option(
    "--like",
    required=True,
    type=click.Choice([layout.name for layout in LAYOUTS]),
    help="The model whose layout is imitated.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to write, new or empty.")
@click.option("--blocks", type=click.IntRange(min=1), help="Number of blocks.")
@click.option("--hidden", type=click.IntRange(min=1), help="Hidden size; expert width and vision tower scale along.")
@click.option("--experts", type=click.IntRange(min=1), help="Experts per block.")
@click.option("--vocab", type=click.IntRange(min=1), help="Vocabulary size.")
@click.option(
    "--bytes",
    "near_bytes",
    metavar="SIZE",
    callback=byte_size,
    help="Choose the hidden size that comes nearest to this size, e.g. 1.7GB.",
)
@click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="Data type  [default: the model's own]"
)
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds give equal bytes.")
@click.option(
    "--max-shard-bytes",
    metavar="SIZE",
    callback=byte_size,
    default="5GB",
    show_default=True,
    help="Size at which a new weight file begins.",
)
def synth(
    like: str,
    out: Path,
    blocks: int | None,
    hidden: int | None,
    experts: int | None,
    vocab: int | None,
    near_bytes: int | None,
    dtype: str | None,
    seed: int,
    max_shard_bytes: int,
) -> None:
    """Write a checkpoint of random weights in the layout of a real model, for benchmarks and sizing.

    Its config says "trimoe_synthetic": true, so that nobody takes it for a model.
    """
    from exporter.synth.write import plan_synth, write_synth  # needs numpy

    sizes = Sizes(blocks=blocks, hidden=hidden, experts=experts, vocabulary=vocab)
    planned = plan_synth(
        find_layout(like), sizes, dtype=dtype, seed=seed, near_bytes=near_bytes, max_shard_bytes=max_shard_bytes
    )
    write_synth(planned, out, progress=ProgressBar())
    tensors = sum(map(len, planned.shards))
    click.echo(
        f"{one_line(str(out))}: {tensors:,} tensors, {show_count(planned.parameters)} random {planned.dtype} "
        f"parameters like {like}, {show_bytes(planned.bytes)}"
    )
