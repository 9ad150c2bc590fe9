"""Memory of loaded graphs, measured in a process of its own: proportional set size, so that shared pages count once."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from profiles.benchmarks.memory.process import numbers_of, pss_bytes
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import open_session

PROMPT_TOKENS, PROMPTS, SHORT_TOKENS = 512, 6, 16


def memory_ratio(graphs: Sequence[Path]) -> float:
    """By how much a fresh process grows that loads all the graphs, over its growth by the first alone.

    The first is run on so many random tokens that hardly an expert stays unread, the others on a few.
    """
    one, every = numbers_of(__name__, [str(graph) for graph in graphs])
    return every / one


def print_growth(graphs: Sequence[str]) -> None:
    """What the process of its own does."""
    before, generator = pss_bytes(), np.random.default_rng(0)
    first = OnnxDecoder(open_session(Path(graphs[0]), threads=1, spinning=False))
    for _ in range(PROMPTS):
        first.start(batch=1, capacity=PROMPT_TOKENS).run(
            generator.integers(0, 1000, (1, PROMPT_TOKENS)), first_logits=-1
        )
    one, others = pss_bytes() - before, []
    for graph in graphs[1:]:
        decoder = OnnxDecoder(open_session(Path(graph), threads=1, spinning=False))
        decoder.start(batch=1, capacity=SHORT_TOKENS).run(
            generator.integers(0, 1000, (1, SHORT_TOKENS)), first_logits=-1
        )
        others.append(decoder)
    sys.stdout.write(f"{one} {pss_bytes() - before}")
