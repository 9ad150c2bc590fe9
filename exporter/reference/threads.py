"""How many threads torch and ONNX Runtime compute with while variants are verified."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# With the few tokens of the golden inputs, below this waiting for other threads costs more than they compute; on a busy
# machine, 20 times more.
SMALL_MODEL_BYTES = 4 * 1024**3
SMALL_GRAPH_BYTES = 256 * 1024**2


def threads_for(weight_bytes: int) -> int:
    """One thread for a small model, else as many as torch is set to."""
    return 1 if weight_bytes < SMALL_MODEL_BYTES else torch.get_num_threads()


def graph_threads_for(weight_bytes: int) -> int:
    """One thread for a small graph, else one for each core: ONNX Runtime's do not spin while they wait."""
    return 1 if weight_bytes < SMALL_GRAPH_BYTES else os.cpu_count() or 1


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Let torch compute with `count` threads inside the block: the count decides the last bits of sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
