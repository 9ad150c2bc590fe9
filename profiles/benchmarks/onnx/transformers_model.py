"""transformers with each of its experts implementations, on one model."""

import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from profiles.benchmarks.onnx.contender import Array, Logits

# The third, batched_mm, copies the weights of every token's experts: measured 10 times slower here, and gigabytes for a
# long prompt.
EXPERTS_IMPLEMENTATIONS = ("eager", "grouped_mm")


def load_transformers(checkpoint: Path) -> Any:
    """The checkpoint in transformers, float32."""
    disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()


class Transformers:
    """A model of transformers with one experts implementation and `k` experts per token.

    Several may share the model: each sets it up before it measures.
    """

    def __init__(self, model: Any, implementation: str, k: int) -> None:
        self._model, self._implementation, self._k = model, implementation, k

    def _set_up(self) -> None:
        self._model.set_experts_implementation(self._implementation)
        for layer in self._model.model.layers:
            layer.mlp.gate.top_k = self._k

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def logits(self, prompt: Array) -> Logits:
        """See Contender."""
        self._set_up()
        found: Logits = self._model(torch.from_numpy(prompt), logits_to_keep=1).logits[0, -1].numpy()
        return found

    def prefill(self, prompt: Array) -> float:
        """See Contender."""
        begin = time.perf_counter()
        self.logits(prompt)
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
