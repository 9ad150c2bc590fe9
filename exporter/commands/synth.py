"""`trimoe synth`: write a checkpoint of random weights in a real model's layout."""

from dataclasses import dataclass
from pathlib import Path

import click

from exporter.commands.byte_size import byte_size
from exporter.synth.layouts import LAYOUTS, Sizes, find_layout
from runtime.commands.option_group import option_group
from runtime.text.one_line import one_line
from runtime.text.progress_bar import ProgressBar
from runtime.text.sizes import show_bytes, show_count


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthOptions:
    """The options as given; None where they were not. Sizes in bytes."""

    like: str
    out: Path
    blocks: int | None
    hidden: int | None
    experts: int | None
    vocab: int | None
    near_bytes: int | None
    dtype: str | None
    seed: int
    max_shard_bytes: int


synth_options = option_group(
    "options",
    SynthOptions,
    click.option(
        "--like",
        required=True,
        type=click.Choice([layout.name for layout in LAYOUTS]),
        help="The model whose tensors are imitated.",
    ),
    click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to write, new or empty."),
    click.option("--blocks", type=click.IntRange(min=1), help="Number of blocks  [default: the model's]"),
    click.option(
        "--hidden",
        type=click.IntRange(min=1),
        help="Hidden size; expert width and vision tower scale along  [default: the model's]",
    ),
    click.option("--experts", type=click.IntRange(min=1), help="Experts per block  [default: the model's]"),
    click.option("--vocab", type=click.IntRange(min=1), help="Size of the vocabulary  [default: the model's]"),
    click.option(
        "--bytes",
        "near_bytes",
        metavar="SIZE",
        callback=byte_size,
        help="Choose the hidden size that comes nearest to this size, e.g. 1.7GB.",
    ),
    click.option(
        "--dtype",
        type=click.Choice(["float32", "bfloat16", "float16"]),
        help="Data type of the tensors  [default: the model's]",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds give equal bytes."),
    click.option(
        "--max-shard-bytes",
        metavar="SIZE",
        callback=byte_size,
        default="5GB",
        show_default=True,
        help="Begin a new weight file at this size.",
    ),
)


@click.command()
@synth_options
def synth(options: SynthOptions) -> None:
    """Write a checkpoint of random weights in the layout of a real model, for benchmarks and sizing.

    Its config says "trimoe_synthetic": true, so that nobody takes it for a model.
    """
    from exporter.synth.write import plan_synth, write_synth  # needs numpy

    planned = plan_synth(
        find_layout(options.like),
        Sizes(blocks=options.blocks, hidden=options.hidden, experts=options.experts, vocabulary=options.vocab),
        dtype=options.dtype,
        seed=options.seed,
        near_bytes=options.near_bytes,
        max_shard_bytes=options.max_shard_bytes,
    )
    write_synth(planned, options.out, progress=ProgressBar())
    tensors = sum(map(len, planned.shards))
    click.echo(
        f"{one_line(str(options.out))}: {tensors:,} tensors, {show_count(planned.parameters)} random {planned.dtype} "
        f"parameters like {options.like}, {show_bytes(planned.bytes)}"
    )
