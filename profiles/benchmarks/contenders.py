"""Ways to run one model, timed alike: exported graphs, transformers with each experts implementation, another
exporter's graph."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from runtime.documents.graph_contract import ATTENTION_MASK, CPU, INPUT_IDS, LOGITS, PAST, PRESENT
from runtime.engines.onnx.decoder import OnnxDecoder
from runtime.engines.onnx.session import open_session

Array = npt.NDArray[np.int64]
# The third, batched_mm, copies the weights of every token's experts: measured 10 times slower here, and gigabytes for a
# long prompt.
EXPERTS_IMPLEMENTATIONS = ("eager", "grouped_mm")
_MOBIUS = "import sys, mobius; mobius.build(sys.argv[1]).save(sys.argv[2])"


class Contender(Protocol):
    """One way to run the model."""

    def prefill(self, prompt: Array) -> float:
        """Milliseconds from a prompt [1, n] to the logits of its last token."""

    def decode(self, prompt: Array, tokens: int) -> float:
        """Milliseconds per token of greedy decoding behind a prompt."""


class Exported:
    """An exported graph, with buffers that past and present share."""

    def __init__(self, graph: Path, *, threads: int) -> None:
        self._decoder = OnnxDecoder(open_session(graph, threads=threads))

    def prefill(self, prompt: Array) -> float:
        """See Contender."""
        cache = self._decoder.start(batch=1, capacity=prompt.shape[1])
        begin = time.perf_counter()
        cache.run(prompt, first_logits=-1)
        return (time.perf_counter() - begin) * 1e3

    def decode(self, prompt: Array, tokens: int) -> float:
        """See Contender."""
        cache = self._decoder.start(batch=1, capacity=prompt.shape[1] + tokens)
        logits = cache.run(prompt, first_logits=-1)[LOGITS]
        begin = time.perf_counter()
        for _ in range(tokens):
            logits = cache.run(np.asarray([[logits[0, -1].argmax()]], np.int64), first_logits=-1)[LOGITS]
        return (time.perf_counter() - begin) * 1e3 / tokens


def load_transformers(checkpoint: Path) -> Any:
    """The checkpoint in transformers, float32."""
    disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()


class Transformers:
    """A model of transformers with one experts implementation and `top_k` experts per token of each layer.

    Several may share the model: each sets it up before it measures.
    """

    def __init__(self, model: Any, implementation: str, top_k: tuple[int, ...]) -> None:
        self._model, self._implementation, self._top_k = model, implementation, top_k

    def _set_up(self) -> None:
        self._model.set_experts_implementation(self._implementation)
        for layer, k in zip(self._model.model.layers, self._top_k, strict=True):
            layer.mlp.gate.top_k = k

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def prefill(self, prompt: Array) -> float:
        """See Contender."""
        self._set_up()
        ids = torch.from_numpy(prompt)
        begin = time.perf_counter()
        self._model(ids, logits_to_keep=1)
        return (time.perf_counter() - begin) * 1e3

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def decode(self, prompt: Array, tokens: int) -> float:
        """By `generate`, what it needs for the prompt and the first token taken off."""
        self._set_up()
        first, whole = (self._generate(prompt, count) for count in (1, tokens + 1))
        return (whole - first) / tokens

    def _generate(self, prompt: Array, tokens: int) -> float:
        ids = torch.from_numpy(prompt)
        begin = time.perf_counter()
        self._model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False
        )
        return (time.perf_counter() - begin) * 1e3


class Mobius:
    """The graph that mobius-onnx exports of the same checkpoint, run the usual way: present becomes past, without a
    copy."""

    def __init__(self, checkpoint: Path, folder: Path, *, threads: int) -> None:
        """Export in a process of its own. Raises CalledProcessError when that fails."""
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _MOBIUS, str(checkpoint), str(folder)],
            check=True,
            capture_output=True,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=[CPU])
        self._outputs = [value.name for value in self._session.get_outputs()]

    def prefill(self, prompt: Array) -> float:
        """See Contender."""
        begin = time.perf_counter()
        self._run(prompt, 0, self._empty())
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
