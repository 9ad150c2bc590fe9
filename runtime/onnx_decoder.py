"""Runs a decoder graph: prefill and decode over key and value buffers that past and present share."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from runtime.errors import VerificationError

FIRST_LOGITS = "first_logits_position"
NUMPY: dict[str, np.dtype[Any]] = {"tensor(float)": np.dtype(np.float32), "tensor(float16)": np.dtype(np.float16)}
Array = npt.NDArray[Any]


class OnnxDecoder:
    """One variant's decoder. Its inputs are token ids, or embeddings where the graph has `inputs_embeds`.

    The attention kernel refuses several rows at once when there is a past and more than one new token each: prefill a batch at once on an
    empty cache, and later rows one by one.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        """Read the sizes from the graph's inputs. Raises VerificationError when it is no decoder graph."""
        inputs = {value.name: value for value in session.get_inputs()}
        pasts = [name for name in inputs if name.startswith("past_key_values.")]
        self.session = session
        self.input = "inputs_embeds" if "inputs_embeds" in inputs else "input_ids"
        if not pasts or self.input not in inputs or inputs[pasts[0]].type not in NUMPY:
            raise VerificationError(f"the graph is no decoder this can run: it takes {', '.join(inputs)}")
        self.layers = len(pasts) // 2
        self.input_dtype: np.dtype[Any] = NUMPY.get(inputs[self.input].type, np.dtype(np.int64))
        self.dtype = NUMPY[inputs[pasts[0]].type]
        _, self.kv_heads, _, self.head_dim = inputs[pasts[0]].shape

    def start(self, *, batch: int, capacity: int) -> "Cache":
        """An empty cache for `batch` rows of at most `capacity` tokens each, padding included."""
        return Cache(self, batch, capacity)

    def greedy(self, prompt: Array, tokens: int, *, embed: Callable[[Array], Array] | None = None) -> tuple[Array, Array]:
        """Continue one row: the `tokens` most likely ids [tokens], one after the other, and the logits [tokens, vocabulary] they come from.

        `prompt` is [1, n] ids or [1, n, hidden] embeddings; `embed` turns ids [1, 1] into the graph's input where that is embeddings.
        """
        cache = self.start(batch=1, capacity=prompt.shape[1] + tokens)
        step, chosen, logits = prompt, [], []
        for _ in range(tokens):
            logits.append(cache.run(step, first_logits=-1)["logits"][0, -1])
            chosen.append(int(logits[-1].argmax()))
            ids = np.asarray([[chosen[-1]]], np.int64)
            step = ids if embed is None else embed(ids)
        return np.asarray(chosen, np.int64), np.stack(logits)


class Cache:
    """Keys and values of some rows, and the mask of the tokens seen. `run` appends to it."""

    def __init__(self, decoder: OnnxDecoder, batch: int, capacity: int) -> None:
        """Reserve the buffers and bind them as past and present of every layer."""
        self._decoder = decoder
        self._mask = np.zeros((batch, capacity), np.int64)
        self.lengths = np.zeros(batch, np.int64)
        binding = decoder.session.io_binding()
        binding.bind_output("logits")
        shape = (batch, decoder.kv_heads, capacity, decoder.head_dim)
        for layer in range(decoder.layers):
            for kind in ("key", "value"):
                buffer = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, decoder.dtype))
                binding.bind_ortvalue_input(f"past_key_values.{layer}.{kind}", buffer)
                binding.bind_ortvalue_output(f"present.{layer}.{kind}", buffer)
        self._extra = tuple(value.name for value in decoder.session.get_outputs() if value.name != "logits" and not value.name.startswith("present."))
        for name in self._extra:
            binding.bind_output(name)
        self._binding = binding

    def run(self, values: Array, *, counts: Sequence[int] | Array | None = None, first_logits: int = 0) -> dict[str, Array]:
        """Feed `values` (ids [batch, n], or embeddings [batch, n, hidden]); returns `logits` and whatever else the graph puts out.

        `counts` are the real tokens of each row, the rest is padding on the right (default: all are real). Logits begin at position
        `first_logits` of these n (−1: only the last). ValueError when the buffers are full.
        """
        batch, new = values.shape[:2]
        counted = np.full(batch, new, np.int64) if counts is None else np.asarray(counts, np.int64)
        total = int(self.lengths.max()) + new  # the mask's width is what the kernel takes for past + new
        if total > self._mask.shape[1]:
            raise ValueError(f"{total} tokens do not fit: the buffers hold {self._mask.shape[1]}")
        for row, (length, count) in enumerate(zip(self.lengths, counted, strict=True)):
            self._mask[row, length : length + count] = 1
        binding = self._binding
        binding.bind_cpu_input(self._decoder.input, np.ascontiguousarray(values))
        binding.bind_cpu_input("attention_mask", np.ascontiguousarray(self._mask[:, :total]))
        # Optional inputs can only be bound as values of the runtime.
        binding.bind_ortvalue_input(FIRST_LOGITS, onnxruntime.OrtValue.ortvalue_from_numpy(np.asarray([first_logits], np.int64)))
        binding.bind_output("logits")
        for name in self._extra:
            binding.bind_output(name)
        self._decoder.session.run_with_iobinding(binding)
        self.lengths = self.lengths + counted
        outputs = binding.get_outputs_as_ortvaluevector()
        first = 1 + 2 * self._decoder.layers
        return {"logits": outputs[0].numpy(), **{name: outputs[first + i].numpy() for i, name in enumerate(self._extra)}}
