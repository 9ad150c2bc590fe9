"""Peak memory of one contender that reads a long prompt and decodes, in a process of its own."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from profiles.benchmarks.memory.process import numbers_of
from profiles.benchmarks.onnx.contender import Contender, Exported
from profiles.benchmarks.onnx.llama import Llama
from profiles.benchmarks.onnx.timing import DECODED_TOKENS, prompts

GRAPH, PACKED, GGUF = "graph", "packed", "gguf"


def peak_bytes(kind: str, file: Path, *, k: int, threads: int) -> int:
    """By how much a fresh process's resident memory grows at most, mapped pages and all, that runs the file: a GRAPH, a
    graph whose weights sessions have PACKED, or a GGUF file with `k` experts per token. Raises CalledProcessError."""
    (grown,) = numbers_of(__name__, [kind, str(file), str(k), str(threads)])
    return grown


def print_growth(arguments: Sequence[str]) -> None:
    """What the process of its own does."""
    kind, file, k, threads = arguments
    before = psutil.Process().memory_info().rss
    contender: Contender
    if kind == GGUF:
        contender = Llama(Path(file), k=int(k), threads=int(threads))
    else:
        contender = Exported(Path(file), data_folder=None, packed=kind == PACKED, threads=int(threads))
    long, short = prompts()
    contender.prefill(long)
    contender.decode(short, DECODED_TOKENS)
    sys.stdout.write(str(_peak_bytes() - before))


def _peak_bytes() -> int:
    """The most this process ever had resident (Linux, proc(5)); what getrusage says begins with the parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
