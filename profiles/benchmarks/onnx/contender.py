"""What is timed: a way to run one model on token ids, and trimoe's own, an exported graph."""

import time
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from runtime.documents.graph_contract import LOGITS
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import open_session

Array = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


class Contender(Protocol):
    """One way to run the model."""

    def logits(self, prompt: Array) -> Logits:
        """The logits [vocabulary] behind a prompt [1, n]."""

    def prefill(self, prompt: Array) -> float:
        """Milliseconds from a prompt [1, n] to the logits of its last token."""

    def decode(self, prompt: Array, tokens: int) -> float:
        """Milliseconds per token of greedy decoding behind a prompt."""


class Exported:
    """An exported graph, with buffers that past and present share."""

    def __init__(self, graph: Path | bytes, *, data_folder: Path | None, packed: bool, threads: int) -> None:
        """A graph file, or one whose weights are packed in `data_folder`; `packed`: its kernels want packed weights."""
        self._decoder = OnnxDecoder(open_session(graph, data_folder=data_folder, packed=packed, threads=threads))

    def logits(self, prompt: Array) -> Logits:
        """See Contender."""
        cache = self._decoder.start(batch=1, capacity=prompt.shape[1])
        found: Logits = cache.run(prompt, first_logits=-1)[LOGITS][0, -1]
        return found

    def prefill(self, prompt: Array) -> float:
        """See Contender."""
        begin = time.perf_counter()
        self.logits(prompt)
        return (time.perf_counter() - begin) * 1e3

    def decode(self, prompt: Array, tokens: int) -> float:
        """See Contender."""
        cache = self._decoder.start(batch=1, capacity=prompt.shape[1] + tokens)
        logits = cache.run(prompt, first_logits=-1)[LOGITS]
        begin = time.perf_counter()
        for _ in range(tokens):
            logits = cache.run(np.asarray([[logits[0, -1].argmax()]], np.int64), first_logits=-1)[LOGITS]
        return (time.perf_counter() - begin) * 1e3 / tokens
