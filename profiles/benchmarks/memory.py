"""Memory of loaded graphs, measured in a process of its own: proportional set size, so that shared pages count once."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil

from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import open_session

_CHILD = "import sys; from profiles.benchmarks.memory import print_growth; print_growth(sys.argv[1:])"
PROMPT_TOKENS, PROMPTS, SHORT_TOKENS = 512, 6, 16


def memory_ratio(graphs: Sequence[Path]) -> float:
    """By how much a fresh process grows that loads all the graphs, over its growth by the first alone.

    The first is run on so many random tokens that hardly an expert stays unread, the others on a few.
    """
    done = subprocess.run([sys.executable, "-c", _CHILD, *map(str, graphs)], check=True, capture_output=True, text=True)
    one, every = map(int, done.stdout.split())
    return every / one


def print_growth(graphs: Sequence[str]) -> None:
    """What the process of its own does."""
    before, generator = _pss(), np.random.default_rng(0)
    first = OnnxDecoder(open_session(Path(graphs[0]), threads=1, spinning=False))
    for _ in range(PROMPTS):
        first.start(batch=1, capacity=PROMPT_TOKENS).run(
            generator.integers(0, 1000, (1, PROMPT_TOKENS)), first_logits=-1
        )
    one, others = _pss() - before, []
    for graph in graphs[1:]:
        decoder = OnnxDecoder(open_session(Path(graph), threads=1, spinning=False))
        decoder.start(batch=1, capacity=SHORT_TOKENS).run(
            generator.integers(0, 1000, (1, SHORT_TOKENS)), first_logits=-1
        )
        others.append(decoder)
    sys.stdout.write(f"{one} {_pss() - before}")


def _pss() -> int:
    """Bytes of this process's proportional set size (Linux, proc(5)). Raises AttributeError where the system has
    none."""
    return int(psutil.Process().memory_full_info().pss)
