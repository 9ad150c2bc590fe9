"""Runs an in-memory model without some blocks, or with another top_k, and puts everything back."""

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


@contextmanager
def with_top_k(model: nn.Module, top_k: int) -> Iterator[None]:
    """Inside, every block after block 0 uses `top_k` experts."""
    gates = [block.mlp.gate for block in model.model.transformer.blocks][1:]
    before = [gate.top_k for gate in gates]
    for gate in gates:
        gate.top_k = top_k
    try:
        yield
    finally:
        for gate, value in zip(gates, before, strict=True):
            gate.top_k = value


def dropped_blocks(rng: torch.Generator, probability: float) -> tuple[int, ...]:
    """A random set of blocks after block 0, each chosen with `probability`."""
    draws = torch.rand(BLOCKS, generator=rng)
    return tuple(number for number in range(1, BLOCKS) if draws[number] < probability)
