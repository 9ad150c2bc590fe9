"""Trains an in-memory model without some blocks, and puts everything back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from profiles.demo.config_files import BLOCKS


@contextmanager
def without_blocks(model: nn.Module, removed: Sequence[int]) -> Iterator[None]:
    """Inside, the model has only the blocks not in `removed`. For forward passes without a cache: the kept blocks keep
    their own numbers."""
    transformer = model.model.transformer
    blocks = transformer.blocks
    transformer.blocks = nn.ModuleList(block for number, block in enumerate(blocks) if number not in removed)
    try:
        yield
    finally:
        transformer.blocks = blocks


def dropped_blocks(rng: torch.Generator, probability: float) -> tuple[int, ...]:
    """A random set of blocks after block 0, each chosen with `probability`."""
    draws = torch.rand(BLOCKS, generator=rng)
    return tuple(number for number in range(1, BLOCKS) if draws[number] < probability)
