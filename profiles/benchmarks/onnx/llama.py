"""llama.cpp on the same weights, through llama-cpp-python, where that is installed."""

import importlib
import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np

from profiles.benchmarks.onnx.contender import Array, Logits

CONTEXT_TOKENS = 1024
_NEEDED = ("llama_cpp", "gguf")


def missing_packages() -> tuple[str, ...]:
    """What this contender needs and is not installed."""
    return tuple(name for name in _NEEDED if importlib.util.find_spec(name) is None)


class Llama:
    """A GGUF file with `k` experts per token in every block; keys and values in llama.cpp's own default, float16."""

    def __init__(self, file: Path, *, k: int, threads: int) -> None:
        self._library: Any = importlib.import_module("llama_cpp")
        self._llama: Any = self._library.Llama(
            str(file),
            kv_overrides={"olmoe.expert_used_count": k},
            n_ctx=CONTEXT_TOKENS,
            n_threads=threads,
            n_threads_batch=threads,
            verbose=False,
        )
        self._vocabulary = int(self._llama.n_vocab())

    def logits(self, prompt: Array) -> Logits:
        """See Contender."""
        self._llama.reset()
        return self._run(prompt[0].tolist())

    def prefill(self, prompt: Array) -> float:
        """See Contender."""
        begin = time.perf_counter()
        self.logits(prompt)
        return (time.perf_counter() - begin) * 1e3

    def decode(self, prompt: Array, tokens: int) -> float:
        """See Contender."""
        logits = self.logits(prompt)
        begin = time.perf_counter()
        for _ in range(tokens):
            logits = self._run([int(logits.argmax())])
        return (time.perf_counter() - begin) * 1e3 / tokens

    def _run(self, tokens: list[int]) -> Logits:
        self._llama.eval(tokens)
        found = self._library.llama_get_logits_ith(self._llama.ctx, -1)
        return np.ctypeslib.as_array(found, shape=(self._vocabulary,)).copy()
