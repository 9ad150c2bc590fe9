"""The options that say how a checkpoint is run, shared by the commands that measure evidence."""

from dataclasses import dataclass

import click

from runtime.commands.option_group import option_group


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelOptions:
    """What runs the model: device and threads (None: its own choice), samples read together."""

    device: str | None
    threads: int | None
    batch_size: int


model_options = option_group(
    "running",
    ModelOptions,
    click.option("--device", metavar="NAME", help="Where to run, e.g. cuda:1  [default: CUDA where there is one]"),
    click.option("--threads", type=click.IntRange(min=1), help="Threads on the CPU  [default: torch's own choice]"),
    click.option(
        "--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Samples read together."
    ),
)
