"""Runs a decoder graph: prefill and decode over key and value buffers that past and present share."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from runtime.engines.onnx.bfloat16 import BFLOAT16, NAME, read, to_bits, value_of
from runtime.engines.onnx.session import CPU, CUDA
from runtime.errors import VerificationError

FIRST_LOGITS = "first_logits_position"
NUMPY: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    NAME: np.dtype(np.float32),
}
DEVICES = {CPU: "cpu", CUDA: "cuda"}  # where each provider wants keys and values
Array = npt.NDArray[Any]


class OnnxDecoder:
    """One variant's decoder. Its inputs are token ids, or embeddings where the graph has `inputs_embeds`."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        """Read the sizes from the graph's inputs. Raises VerificationError when it is no decoder graph, or on a
        provider unknown here."""
        inputs = {value.name: value for value in session.get_inputs()}
        pasts = [name for name in inputs if name.startswith("past_key_values.")]
        self.session = session
        self.input = "inputs_embeds" if "inputs_embeds" in inputs else "input_ids"
        if not pasts or self.input not in inputs or inputs[pasts[0]].type not in NUMPY:
            raise VerificationError(f"the graph is no decoder this can run: it takes {', '.join(inputs)}")
        self.layers = len(pasts) // 2
        self.input_dtype: np.dtype[Any] = NUMPY.get(inputs[self.input].type, np.dtype(np.int64))
        self.bfloat16 = inputs[pasts[0]].type == NAME
        self.dtype = np.dtype(np.uint16) if self.bfloat16 else NUMPY[inputs[pasts[0]].type]
        _, self.kv_heads, _, self.head_dim = inputs[pasts[0]].shape
        self.provider: str = session.get_providers()[0]
        if self.provider not in DEVICES:
            raise VerificationError(f"the session runs on {self.provider}; decoders run on {' and '.join(DEVICES)}")
        self.device = DEVICES[self.provider]
        self._extra = tuple(
            value.name
            for value in session.get_outputs()
            if value.name != "logits" and not value.name.startswith("present.")
        )

    def start(self, *, batch: int, capacity: int) -> "Cache":
        """An empty cache for `batch` rows of at most `capacity` tokens each."""
        return Cache(self, batch, capacity)

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
            logits.append(cache.run(step, first_logits=-1)["logits"][0, -1])
            chosen.append(int(logits[-1].argmax()))
            ids = np.asarray([[chosen[-1]]], np.int64)
            step = ids if embed is None else embed(ids)
        return np.asarray(chosen, np.int64), np.stack(logits)

    def bind(self, buffers: Sequence[Array]) -> Any:
        """Bind keys and values, in turn for each layer [batch, kv_heads, capacity, head_dim], as past and present both.
        On the CPU the runtime works in the arrays themselves, elsewhere in a copy on its device."""
        binding = self.session.io_binding()
        names = (f"{layer}.{kind}" for layer in range(self.layers) for kind in ("key", "value"))
        binding.bind_output("logits")
        for name, array in zip(names, buffers, strict=True):
            buffer = self._buffer(array)
            binding.bind_ortvalue_input(f"past_key_values.{name}", buffer)
            binding.bind_ortvalue_output(f"present.{name}", buffer)
        return binding

    def _buffer(self, array: Array) -> onnxruntime.OrtValue:
        if not self.bfloat16:
            return onnxruntime.OrtValue.ortvalue_from_numpy(array, self.device)
        if self.device == "cpu":
            return value_of(array)
        return onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(array.shape), BFLOAT16, self.device, 0)

    def feed(self, binding: Any, values: Array, seen: Array, total: int, first: int) -> dict[str, Array]:
        """Run once: `values` are the last of the `seen` [batch] tokens of each row. `total` is what the kernel takes
        for past and new tokens together, logits begin at position `first` of the new ones."""
        mask = (np.arange(total) < seen[:, None]).astype(np.int64)
        if self.bfloat16 and values.ndim == 3:
            binding.bind_ortvalue_input(self.input, value_of(to_bits(values)))
        else:
            binding.bind_cpu_input(self.input, np.ascontiguousarray(values))
        binding.bind_cpu_input("attention_mask", mask)
        # Optional inputs can only be bound as values of the runtime.
        binding.bind_ortvalue_input(
            FIRST_LOGITS, onnxruntime.OrtValue.ortvalue_from_numpy(np.asarray([first], np.int64))
        )
        binding.bind_output("logits")
        for name in self._extra:
            binding.bind_output(name)
        self.session.run_with_iobinding(binding)
        outputs = binding.get_outputs_as_ortvaluevector()
        behind = 1 + 2 * self.layers
        return {"logits": read(outputs[0]), **{name: read(outputs[behind + i]) for i, name in enumerate(self._extra)}}


class Cache:
    """Keys and values of some rows, with `lengths` [batch], the tokens of each so far. `run` appends to them.

    Where there is a past, the attention kernel takes one new token of each row, or several of a single row without
    padding. More rows it refuses, and with padding it is silently wrong: such rows `run` feeds one after the other,
    each on its part of the same buffers.
    """

    def __init__(self, decoder: OnnxDecoder, batch: int, capacity: int) -> None:
        """Reserve the buffers and bind them as past and present of every layer."""
        self._decoder, self._capacity = decoder, capacity
        self.lengths = np.zeros(batch, np.int64)
        shape = (batch, decoder.kv_heads, capacity, decoder.head_dim)
        self._buffers = tuple(np.zeros(shape, decoder.dtype) for _ in range(2 * decoder.layers))
        self._together = decoder.bind(self._buffers)
        self._alone: dict[int, Any] = {}

    def run(
        self, values: Array, *, counts: Sequence[int] | Array | None = None, first_logits: int = 0
    ) -> dict[str, Array]:
        """Feed `values` (ids [batch, n], or embeddings [batch, n, hidden]); returns `logits` [batch, n, vocabulary] and
        what else the graph puts out: hidden states [batch, n, …], router scores [batch · n, experts].

        `counts` are the real tokens of each row, perhaps none, the rest is padding on the right (default: all are
        real). Logits begin at position `first_logits` of these n (−1: only the last). What comes out for padding means
        nothing. Raises ValueError, and feeds nothing, when a row's buffer is full or the arguments do not fit each
        other.
        """
        new, longest = values.shape[1], int(self.lengths.max())
        counted = self._check(values, counts, first_logits)
        first = first_logits % new
        whole = len(counted) == 1 and counted[0] == new
        if longest + new <= self._capacity and (new == 1 or longest == 0 or whole):
            # A row without a token is fed one that its next token replaces: for none, the kernel would shift the row's
            # past.
            outputs = self._decoder.feed(
                self._together, values, self.lengths + np.maximum(counted, 1), longest + new, first
            )
        else:
            outputs = self._run_rows(values, counted, first)
        self.lengths = self.lengths + counted
        return outputs

    def _check(self, values: Array, counts: Sequence[int] | Array | None, first_logits: int) -> Array:
        """The counts, when all arguments fit each other and the buffers."""
        batch, new = values.shape[:2]
        counted = np.full(batch, new, np.int64) if counts is None else np.asarray(counts, np.int64)
        if batch != len(self.lengths) or counted.shape != self.lengths.shape:
            raise ValueError(
                f"{batch} rows of values and {counted.size} counts do "
                f"not fit the {len(self.lengths)} rows of the buffers"
            )
        if not counted.any() or counted.min() < 0 or counted.max() > new:
            raise ValueError(f"counts {counted.tolist()} do not fit: a row has 0–{new} tokens here, and one row some")
        if not -new <= first_logits < new:
            raise ValueError(f"first_logits {first_logits} does not fit: there are {new} positions")
        total = int((self.lengths + counted).max())
        if total > self._capacity:
            raise ValueError(f"{total} tokens do not fit: the buffers hold {self._capacity}")
        return counted

    def _run_rows(self, values: Array, counted: Array, first: int) -> dict[str, Array]:
        """Feed each row alone, without its padding, and join the outputs; zeros stand at padding."""
        if self._decoder.device != "cpu":
            raise ValueError(
                f"buffers on {self._decoder.device} take several tokens of rows with a past only row by row, each "
                "in its own cache"
            )
        joined: dict[str, Array] = {}
        batch, new = values.shape[:2]
        for row in np.flatnonzero(counted).tolist():
            count = int(counted[row])
            total, begin = int(self.lengths[row]) + count, min(first, count - 1)
            outputs = self._decoder.feed(
                self._row(row), values[row : row + 1, :count], np.asarray([total]), total, begin
            )
            outputs["logits"] = outputs["logits"][:, first - begin :]
            for name, value in outputs.items():
                width = value.shape[-1]
                shape = (batch, new - first if name == "logits" else new, width)
                whole = joined.setdefault(
                    name, np.zeros(shape if value.ndim == 3 else (batch * new, width), value.dtype)
                )
                part = value.reshape(-1, width)
                whole.reshape(shape)[row, : len(part)] = part
        return joined

    def _row(self, row: int) -> Any:
        """The binding of a row's part of the buffers."""
        if row not in self._alone:
            self._alone[row] = self._decoder.bind([buffer[row : row + 1] for buffer in self._buffers])
        return self._alone[row]
