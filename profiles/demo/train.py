"""`python -m profiles.demo.train --out DIR` trains the demo model and writes its checkpoint folder."""

import logging
import time
from pathlib import Path

import click
import torch

from profiles.demo.checkpoint import load_tokenizer, new_model, save_weights
from profiles.demo.config_files import write_layout
from profiles.demo.training.initial import initialize
from profiles.demo.training.loop import Recipe, train_language, train_vision


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the checkpoint to write."
)
@click.option("--seed", default=Recipe().seed, show_default=True, help="Seed of weights, samples and dropped blocks.")
@click.option("--steps", default=Recipe().steps, show_default=True, help="Steps with all blocks.")
@click.option(
    "--drop-steps", default=Recipe().drop_steps, show_default=True, help="Further steps with blocks dropped at random."
)
def main(out: Path, seed: int, steps: int, drop_steps: int) -> None:
    """Train the demo model on one thread and write its checkpoint folder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    recipe = Recipe(seed=seed, steps=steps, drop_steps=drop_steps)
    begun = time.monotonic()
    write_layout(out)
    model = new_model(out).eval()  # eval: the source's dropout belongs to its own training
    initialize(model)
    cells = train_vision(model, recipe)
    click.echo(f"cells right: {cells:.3f}", err=True)
    train_language(model, load_tokenizer(out), recipe)
    save_weights(model, out)
    click.echo(f"wrote {out} in {time.monotonic() - begun:.0f} s", err=True)


if __name__ == "__main__":
    main()
