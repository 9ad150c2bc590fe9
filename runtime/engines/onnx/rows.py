"""Sequences of one variant that run together: vision, embeddings, prefill, then a token at a time."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import numpy as np
import numpy.typing as npt

from runtime.documents.graph_contract import ATTENTION_MASK, IMAGES, INPUT_IDS, LOGITS
from runtime.engines.onnx.cache import Cache
from runtime.engines.onnx.variant_graphs import VariantGraphs
from runtime.engines.padding import stack
from runtime.engines.protocol import Array, Prompt, StageClock
from runtime.engines.stages import EMBEDDINGS, PREFILL, VISION


class Rows:
    """`logits` [rows, vocabulary] follow each sequence."""

    logits: npt.NDArray[np.float32]
    _cache: Cache
    _no_images: Mapping[str, Array]

    def __init__(
        self, graphs: VariantGraphs, prompts: Sequence[Prompt], *, max_new_tokens: int, clock: StageClock
    ) -> None:
        """Nothing is run before `prefill`."""
        self._graphs, self._prompts, self._room, self._clock = graphs, prompts, max_new_tokens, clock

    def prefill(self) -> None:
        """Run the prompts, padded on the right."""
        shared, inputs = self._graphs.shared, stack(self._prompts, side="right")
        with self._clock.stage(VISION) if IMAGES in inputs else nullcontext():
            features = shared.features(inputs)
        with self._clock.stage(EMBEDDINGS):
            values, lengths = shared.embed(inputs[INPUT_IDS], features), inputs[ATTENTION_MASK].sum(axis=1)
            self._no_images = {name: value[:, :0] for name, value in features.items()}
        with self._clock.stage(PREFILL):
            self._run_prompts(values, lengths)

    def _run_prompts(self, values: Array, lengths: Array) -> None:
        self._cache = self._graphs.decoder.start(batch=len(lengths), capacity=values.shape[1] + self._room)
        first = int(lengths.min()) - 1
        logits = self._cache.run(values, counts=lengths, first_logits=first)[LOGITS]
        self.logits = logits[np.arange(len(lengths)), lengths - 1 - first].astype(np.float32, copy=False)

    def decode(self, tokens: Sequence[int | None]) -> None:
        """Append a token to each row but those given None."""
        ids = np.asarray([[token or 0] for token in tokens], np.int64)
        counts = np.asarray([token is not None for token in tokens], np.int64)
        values = self._graphs.shared.embed(ids, self._no_images)
        self.logits = self._cache.run(values, counts=counts)[LOGITS][:, -1].astype(np.float32, copy=False)
