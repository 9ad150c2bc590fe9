"""Prompts of neighbouring rows that are read together, at once or in parts."""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property

import numpy as np
import numpy.typing as npt

from runtime.documents.graph_contract import ATTENTION_MASK, IMAGES, INPUT_IDS, LOGITS
from runtime.engines.onnx.cache import Cache
from runtime.engines.onnx.shared_graphs import SharedGraphs
from runtime.engines.padding import stack
from runtime.engines.prefixes import PrefixKey, image_span, prefix_key, text_behind
from runtime.engines.protocol import Array, Prompt, StageClock
from runtime.engines.stages import EMBEDDINGS, PREFILL, VISION


class Reading:
    """Runs prompts into their rows' cache: vision and embeddings once, then as many tokens at a time as are asked
    for."""

    def __init__(self, prompts: Sequence[Prompt], clock: StageClock) -> None:
        """Nothing is run before `read`."""
        self._prompts, self._clock = prompts, clock
        self._values: Array | None = None  # what the decoder takes for the prompts, padded on the right
        self._done = 0
        self._ends: dict[int, Array] = {}  # the logits behind each prompt that is read

    def __len__(self) -> int:
        return len(self._prompts)

    @cached_property
    def key(self) -> PrefixKey:
        """What the keys and values of the one prompt depend on."""
        return prefix_key(self._prompts[0])

    @property
    def begun(self) -> bool:
        """Whether anything was read."""
        return self._values is not None

    @property
    def over(self) -> bool:
        """Whether all prompts are read."""
        return len(self._ends) == len(self._prompts)

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """What may follow each prompt, when all are read: [rows, vocabulary]."""
        return np.stack([self._ends[row] for row in range(len(self))]).astype(np.float32, copy=False)

    def read(self, shared: SharedGraphs, cache: Cache, tokens: int | None) -> None:
        """Read so many further tokens of each prompt (None: all that are left)."""
        if self._values is None:
            self._values = self._embed(shared, int(cache.lengths.max()))
        with self._clock.stage(PREFILL):
            self._run(self._values, cache, tokens)
        if self.over:
            self._values = self._values[:, :0]

    def _embed(self, shared: SharedGraphs, known: int) -> Array:
        """What the decoder takes for the prompts behind their first `known` tokens."""
        prompts, cut = self._prompts, 0
        if known and all(image_span(prompt)[1] <= known for prompt in prompts):
            prompts, cut = [text_behind(prompt, known) for prompt in prompts], known
        inputs = stack(prompts, side="right")
        self._lengths = inputs[ATTENTION_MASK].sum(axis=1) - (known - cut)
        with self._clock.stage(VISION) if IMAGES in inputs else nullcontext():
            features = shared.features(inputs)
        with self._clock.stage(EMBEDDINGS):
            return shared.embed(inputs[INPUT_IDS], features)[:, known - cut :]

    def _run(self, values: Array, cache: Cache, tokens: int | None) -> None:
        last = values.shape[1] if tokens is None else min(values.shape[1], self._done + tokens)
        counts = np.clip(self._lengths - self._done, 0, last - self._done)
        ending = np.flatnonzero((counts > 0) & (self._lengths <= last))
        first = int(counts[ending].min()) - 1 if len(ending) else -1
        logits = cache.run(values[:, self._done : last], counts=counts, first_logits=first)[LOGITS]
        for row in ending.tolist():
            self._ends[row] = logits[row, counts[row] - 1 - first]
        self._done = last
