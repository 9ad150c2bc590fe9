"""Rows of tensors that models take: chosen, shifted, and written back."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.functional import pad


def rows_of(value: Any, rows: torch.Tensor, count: int) -> Any:
    """The `rows` of every tensor of `count` rows in keywords of a block; what all rows share stays as it is."""
    if isinstance(value, torch.Tensor):
        return value[rows] if value.ndim > 1 and len(value) == count else value
    if isinstance(value, tuple):
        return tuple(rows_of(one, rows, count) for one in value)
    if isinstance(value, Mapping):
        return {name: rows_of(one, rows, count) for name, one in value.items()}
    return value


def ends_aligned(states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Keys or values [rows, heads, length, width], of which the first `lengths` of each row count, moved so that these
    come last: [rows, heads, longest, width]; what stands before them means nothing."""
    longest = int(lengths.max())
    places = torch.arange(longest, device=states.device) - (longest - lengths)[:, None]
    index = places.clamp(min=0)[:, None, :, None].expand(-1, states.shape[1], -1, states.shape[3])
    return states.gather(2, index)


def longer(states: torch.Tensor, length: int) -> torch.Tensor:
    """Keys or values [rows, heads, …, width] with zeros in front, `length` long."""
    return pad(states, [0, 0, length - states.shape[2], 0])
