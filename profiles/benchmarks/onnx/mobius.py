"""The graph that mobius-onnx exports of a checkpoint, where it is installed."""

import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from profiles.benchmarks.onnx.contender import Array, Logits
from runtime.documents.graph_contract import ATTENTION_MASK, INPUT_IDS, LOGITS, PAST, PRESENT

_EXPORT = "import sys, mobius; mobius.build(sys.argv[1]).save(sys.argv[2])"


def has_mobius() -> bool:
    """Whether mobius-onnx is installed."""
    return importlib.util.find_spec("mobius") is not None


class Mobius:
    """Run the usual way: present becomes past, without a copy. Its k is the checkpoint's."""

    def __init__(self, checkpoint: Path, folder: Path, *, threads: int) -> None:
        """Export in a process of its own. Raises CalledProcessError when that fails."""
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _EXPORT, str(checkpoint), str(folder)],
            check=True,
            capture_output=True,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [value.name for value in self._session.get_outputs()]

    def logits(self, prompt: Array) -> Logits:
        """See Contender."""
        logits, _ = self._run(prompt, 0, self._empty())
        found: Logits = logits[0, -1]
        return found

    def prefill(self, prompt: Array) -> float:
        """See Contender."""
        begin = time.perf_counter()
        self.logits(prompt)
        return (time.perf_counter() - begin) * 1e3

    def decode(self, prompt: Array, tokens: int) -> float:
        """See Contender."""
        logits, past = self._run(prompt, 0, self._empty())
        begin = time.perf_counter()
        for step in range(tokens):
            logits, past = self._run(np.asarray([[logits[0, -1].argmax()]], np.int64), prompt.shape[1] + step, past)
        return (time.perf_counter() - begin) * 1e3 / tokens

    def _empty(self) -> dict[str, Any]:
        shapes = {value.name: value.shape for value in self._session.get_inputs() if value.name.startswith(PAST)}
        return {name: _value(np.zeros((1, shape[1], 0, shape[3]), np.float32)) for name, shape in shapes.items()}

    def _run(self, ids: Array, seen: int, past: dict[str, Any]) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        total = seen + ids.shape[1]
        known = {
            INPUT_IDS: ids,
            ATTENTION_MASK: np.ones((1, total), np.int64),
            "position_ids": np.arange(seen, total)[None],
        }
        names = {value.name for value in self._session.get_inputs()}
        feeds = {name: _value(value) for name, value in known.items() if name in names} | past
        found = dict(zip(self._outputs, self._session.run_with_ort_values(None, feeds), strict=True))
        return found[LOGITS].numpy(), {name: found[name.replace(PAST, PRESENT)] for name in past}


def _value(array: npt.NDArray[Any]) -> Any:
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)
