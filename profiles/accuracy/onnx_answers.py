"""Greedy answers of one set of graphs to prompts that are arrays already: vision, embeddings, prefill, decoding."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from runtime.engines.onnx.decoder import Array, Cache, OnnxDecoder
from runtime.engines.onnx.session import open_session
from runtime.engines.onnx.shared_graphs import EMBEDDINGS, VISION


class OnnxAnswerer:
    """The sessions of one variant. They map the same files, so that several answerers take little more memory than
    one."""

    def __init__(self, graphs: Path, variant: str, ends: frozenset[int], *, provider: str, threads: int) -> None:
        """Open the graphs of `variant` in the folder `graphs`; `ends` are the tokens that end an answer. Raises
        VerificationError."""

        def session(name: str, count: int) -> onnxruntime.InferenceSession:
            # The sessions take turns: idle threads of one that burn time take it from the next.
            return open_session(graphs / f"{name}.onnx", provider=provider, threads=count, spinning=False)

        def shared(name: str, count: int) -> onnxruntime.InferenceSession | None:
            return session(name, count) if (graphs / f"{name}.onnx").is_file() else None

        self._ends = ends
        self._decoder = OnnxDecoder(session(variant, threads))
        self._vision = shared(VISION, threads)
        self._embeddings = shared(EMBEDDINGS, 1)  # copies rows: waking a thread takes longer

    def answer(self, inputs: Mapping[str, Array], *, max_new_tokens: int) -> list[list[int]]:
        """New tokens of each row up to its end token, for `input_ids`, `attention_mask` [batch, length] padded on the
        right and the images."""
        values, features = self._values(inputs)
        lengths = inputs["attention_mask"].sum(axis=1)
        cache = self._decoder.start(batch=len(lengths), capacity=values.shape[1] + max_new_tokens)
        first = int(lengths.min()) - 1
        logits = cache.run(values, counts=lengths, first_logits=first)["logits"]
        ids = logits[np.arange(len(lengths)), lengths - 1 - first].argmax(axis=-1)
        return self._continue(cache, ids, features, max_new_tokens)

    def _continue(self, cache: Cache, ids: Array, no_images: Mapping[str, Array], count: int) -> list[list[int]]:
        """Rows of new tokens, each up to its end token; rows that ended are fed on with the others and ignored."""
        rows: list[list[int]] = [[int(token)] for token in ids]
        for _ in range(count - 1):
            if all(row[-1] in self._ends for row in rows):
                break
            step = ids[:, None].astype(np.int64)
            values = (
                step if self._embeddings is None else self._embeddings.run(None, {"input_ids": step, **no_images})[0]
            )
            ids = cache.run(values)["logits"][:, -1].argmax(axis=-1)
            for row, token in zip(rows, ids, strict=True):
                if row[-1] not in self._ends:
                    row.append(int(token))
        return rows

    def _values(self, inputs: Mapping[str, Array]) -> tuple[Array, Mapping[str, Array]]:
        """What the decoder takes for the prompts, and the empty image inputs of the later steps."""
        ids = inputs["input_ids"].astype(np.int64)
        if self._embeddings is None:
            return ids, {}
        features: dict[str, Array] = {}
        if self._vision is not None:
            features = _features(self._vision, self._embeddings, inputs)
        values: Array = self._embeddings.run(None, {"input_ids": ids, **features})[0]
        return values, {name: value[:, :0] for name, value in features.items()}


def _features(
    vision: onnxruntime.InferenceSession, embeddings: onnxruntime.InferenceSession, inputs: Mapping[str, Array]
) -> dict[str, Array]:
    """The image inputs of the embeddings graph: the vision graph's output and where it goes, both empty for prompts
    without an image."""
    if "images" not in inputs:
        wanted = next(value for value in embeddings.get_inputs() if value.name == "image_features")
        kind, batch = np.float16 if "float16" in wanted.type else np.float32, len(inputs["input_ids"])
        return {
            "image_features": np.zeros((batch, 0, wanted.shape[-1]), kind),
            "image_input_idx": np.zeros((batch, 0, 1), np.int64),
        }
    names = {value.name for value in vision.get_inputs()}
    images = {name: inputs[name].astype(np.float32) for name in ("images", "image_masks") if name in names}
    return {
        "image_features": vision.run(None, images)[0],
        "image_input_idx": inputs["image_input_idx"].astype(np.int64),
    }
