"""Runs a decoder graph over key and value buffers that past and present share."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime

from runtime.documents.graph_contract import (
    ATTENTION_MASK,
    CPU,
    CUDA,
    FIRST_LOGITS,
    INPUT_IDS,
    INPUTS_EMBEDS,
    LOGITS,
    PAST,
    PRESENT,
)
from runtime.engines.onnx.cache import Cache, Feed
from runtime.engines.onnx.key_values import KeyValues
from runtime.engines.onnx.values import BFLOAT16, BFLOAT16_NAME, DTYPES, read, value_of, value_of_bits
from runtime.engines.protocol import Array
from runtime.errors import VerificationError

DEVICES = {CPU: "cpu", CUDA: "cuda"}  # where each provider wants keys and values


class OnnxDecoder:
    """One variant's decoder. Its inputs are token ids, or embeddings where the graph has `inputs_embeds`."""

    all_layers = False

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        """Read the sizes from the graph's inputs. Raises VerificationError when it is no decoder graph, or on a
        provider unknown here."""
        inputs = {value.name: value for value in session.get_inputs()}
        pasts = [name for name in inputs if name.startswith(PAST)]
        self.session = session
        self.input = INPUTS_EMBEDS if INPUTS_EMBEDS in inputs else INPUT_IDS
        if not pasts or self.input not in inputs or inputs[pasts[0]].type not in DTYPES:
            raise VerificationError(f"the graph is no decoder this can run: it takes {', '.join(inputs)}")
        self.layers = len(pasts) // 2
        self._kind = inputs[self.input].type
        self.input_dtype: np.dtype[Any] = DTYPES.get(self._kind, np.dtype(np.int64))
        self.bfloat16 = inputs[pasts[0]].type == BFLOAT16_NAME
        self.dtype = np.dtype(np.uint16) if self.bfloat16 else DTYPES[inputs[pasts[0]].type]
        _, self.kv_heads, _, self.head_dim = inputs[pasts[0]].shape
        self.provider: str = session.get_providers()[0]
        if self.provider not in DEVICES:
            raise VerificationError(f"the session runs on {self.provider}; decoders run on {' and '.join(DEVICES)}")
        self.device = DEVICES[self.provider]
        outputs = [value.name for value in session.get_outputs()]
        self._extra = tuple(name for name in outputs if name != LOGITS and not name.startswith(PRESENT))

    def start(self, *, batch: int, capacity: int) -> Cache:
        """An empty cache for `batch` rows of at most `capacity` tokens each."""
        return Cache(self, KeyValues(self, np.full(batch, capacity)), 0, batch)

    def greedy(
        self, prompt: Array, tokens: int, *, embed: Callable[[Array], Array] | None = None
    ) -> tuple[Array, Array]:
        """Continue one row: the `tokens` most likely ids [tokens], one after the other, and the logits [tokens,
        vocabulary] they come from.

        `prompt` is [1, n] ids or [1, n, hidden] embeddings; `embed` turns ids [1, 1] into the graph's input where that
        is embeddings.
        """
        cache = self.start(batch=1, capacity=prompt.shape[1] + tokens)
        step, chosen, logits = prompt, [], []
        for _ in range(tokens):
            logits.append(cache.run(step, first_logits=-1)[LOGITS][0, -1])
            chosen.append(int(logits[-1].argmax()))
            ids = np.asarray([[chosen[-1]]], np.int64)
            step = ids if embed is None else embed(ids)
        return np.asarray(chosen, np.int64), np.stack(logits)

    def alone(self, row: int) -> "OnnxDecoder":
        """See CachedDecoder: the graph takes any number of rows."""
        return self

    def bind(self, buffers: Sequence[Array]) -> Any:
        """Bind keys and values, in turn for each layer [batch, kv_heads, capacity, head_dim], as past and present both.
        On the CPU the runtime works in the arrays themselves, elsewhere in a copy on its device."""
        binding = self.session.io_binding()
        names = (f"{layer}.{kind}" for layer in range(self.layers) for kind in ("key", "value"))
        binding.bind_output(LOGITS)
        for name, array in zip(names, buffers, strict=True):
            buffer = self._buffer(array)
            binding.bind_ortvalue_input(f"{PAST}{name}", buffer)
            binding.bind_ortvalue_output(f"{PRESENT}{name}", buffer)
        return binding

    def _buffer(self, array: Array) -> onnxruntime.OrtValue:
        if not self.bfloat16:
            return onnxruntime.OrtValue.ortvalue_from_numpy(array, self.device)
        if self.device == "cpu":
            return value_of_bits(array)
        return onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(array.shape), BFLOAT16, self.device, 0)

    def feed(self, binding: Any, feed: Feed) -> dict[str, Array]:
        """Run once; returns the outputs by name, without keys and values."""
        mask = (np.arange(feed.total) < feed.seen[:, None]).astype(np.int64)
        if self._kind == BFLOAT16_NAME:
            binding.bind_ortvalue_input(self.input, value_of(feed.values, self._kind))
        else:
            binding.bind_cpu_input(self.input, np.ascontiguousarray(feed.values))
        binding.bind_cpu_input(ATTENTION_MASK, mask)
        # Optional inputs can only be bound as values of the runtime.
        first = onnxruntime.OrtValue.ortvalue_from_numpy(np.asarray([feed.first], np.int64))
        binding.bind_ortvalue_input(FIRST_LOGITS, first)
        for name in (LOGITS, *self._extra):
            binding.bind_output(name)
        self.session.run_with_iobinding(binding)
        outputs = binding.get_outputs_as_ortvaluevector()
        behind = 1 + 2 * self.layers  # the extra outputs were bound after logits, keys and values
        return {LOGITS: read(outputs[0]), **{name: read(outputs[behind + i]) for i, name in enumerate(self._extra)}}
