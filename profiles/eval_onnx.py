"""The ONNX engine of evaluation: a variant's graphs run by ONNX Runtime, batches padded on the right, greedy decoding."""

import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from exporter.families import Family
from profiles.eval_engine import Request
from profiles.eval_prompts import PromptReader, find_named_family
from runtime.documents import Node, read_document
from runtime.errors import DocumentError
from runtime.manifest import Manifest, VariantRecord
from runtime.onnx_decoder import Array, Cache, OnnxDecoder
from runtime.onnx_session import CPU, open_session

_VISION, _EMBEDDINGS = "vision", "embeddings"


class OnnxEngine:
    """One variant in one precision on one provider. `graphs` is the folder of the precision, `folder` the variant's own."""

    def __init__(self, folder: Path, graphs: Path, variant: str, family: Family, *, precision: str, provider: str, threads: int) -> None:
        """Open the decoder and, for models that take images, the shared graphs in front of it. Raises VerificationError as sessions do."""
        self._precision, self._provider, self._threads = precision, provider, threads
        self._prompts = PromptReader(folder, family)
        self._ends = frozenset(_end_ids(folder, self._prompts.tokenizer.eos_token_id))
        self._decoder = OnnxDecoder(open_session(graphs / f"{variant}.onnx", provider=provider, threads=threads))
        opened = {name: _optional_session(graphs / f"{name}.onnx", provider, threads) for name in (_VISION, _EMBEDDINGS)}
        self._vision, self._embeddings = opened[_VISION], opened[_EMBEDDINGS]

    @property
    def dtype(self) -> str:
        """The precision of the graphs."""
        return self._precision

    @property
    def software(self) -> Mapping[str, str]:
        """Versions of ONNX Runtime and of transformers, whose tokenizers are used, the provider and its threads."""
        return {
            "onnxruntime": onnxruntime.__version__,
            "onnxruntime provider": self._provider,
            "onnxruntime threads": str(self._threads),
            "transformers": importlib.metadata.version("transformers"),
        }

    def generate(self, requests: Sequence[Request], *, max_new_tokens: int) -> list[str]:
        """The greedy answers of a batch."""
        inputs = self._prompts.read(requests, side="right", kind="np")
        values, features = self._values(inputs)
        lengths = inputs["attention_mask"].sum(axis=1)
        cache = self._decoder.start(batch=len(requests), capacity=values.shape[1] + max_new_tokens)
        first = int(lengths.min()) - 1
        logits = cache.run(values, counts=lengths, first_logits=first)["logits"]
        ids = logits[np.arange(len(lengths)), lengths - 1 - first].argmax(axis=-1)
        return self._prompts.texts(self._continue(cache, ids, features, max_new_tokens))

    def close(self) -> None:
        """Drop the sessions."""
        del self._decoder, self._vision, self._embeddings

    def _continue(self, cache: Cache, ids: Array, no_images: Mapping[str, Array], count: int) -> list[list[int]]:
        """Rows of new tokens, each up to its end token; rows that ended are fed on with the others and ignored."""
        rows: list[list[int]] = [[int(token)] for token in ids]
        for _ in range(count - 1):
            if all(row[-1] in self._ends for row in rows):
                break
            step = ids[:, None].astype(np.int64)
            values = step if self._embeddings is None else self._embeddings.run(None, {"input_ids": step, **no_images})[0]
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
            features = self._features(inputs, len(ids))
        values: Array = self._embeddings.run(None, {"input_ids": ids, **features})[0]
        return values, {name: value[:, :0] for name, value in features.items()}

    def _features(self, inputs: Mapping[str, Array], batch: int) -> dict[str, Array]:
        if "images" not in inputs:
            sizes = {value.name: value for value in self._embeddings.get_inputs()}
            width, kind = sizes["image_features"].shape[-1], np.float16 if "float16" in sizes["image_features"].type else np.float32
            return {"image_features": np.zeros((batch, 0, width), kind), "image_input_idx": np.zeros((batch, 0, 1), np.int64)}
        names = {value.name for value in self._vision.get_inputs()}
        images = {name: inputs[name].astype(np.float32) for name in ("images", "image_masks") if name in names}
        return {"image_features": self._vision.run(None, images)[0], "image_input_idx": inputs["image_input_idx"].astype(np.int64)}


def _optional_session(graph: Path, provider: str, threads: int) -> Any:
    return open_session(graph, provider=provider, threads=threads) if graph.is_file() else None


def _end_ids(folder: Path, default: int | None) -> list[int]:
    """The tokens that end an answer: of generation_config.json, else of config.json, else the tokenizer's."""
    for name in ("generation_config.json", "config.json"):
        if (folder / name).is_file():
            node = read_document(folder / name).get("eos_token_id")
            if node is not None and node.value is not None:
                return [one.integer(minimum=0) for one in _listed(node)]
    return [] if default is None else [default]


def _listed(node: Node) -> tuple[Node, ...]:
    return node.elements() if isinstance(node.value, list) else (node,)


class OnnxOpener:
    """Opens variants of the family in `folder`, in one precision."""

    def __init__(self, folder: Path, manifest: Manifest, *, dtype: str, provider: str = CPU, threads: int | None = None) -> None:
        """`threads` None means one for each core. Raises DocumentError when the family has no graphs in that precision, naming those it has."""
        self._threads = threads or os.cpu_count() or 1
        self._folder, self._dtype, self._provider = folder, dtype, provider
        self._variants: Mapping[str, VariantRecord] = {variant.id: variant for variant in manifest.variants}
        self._family = find_named_family(manifest.source.family, folder)
        self._graphs = folder / "onnx" / dtype
        if not self._graphs.is_dir():
            found = sorted(path.name for path in (folder / "onnx").glob("*") if path.is_dir())
            raise DocumentError(
                f"{folder}: no ONNX graphs in {dtype}; the family has {', '.join(found) or 'none: export with --format safetensors,onnx'}"
            )

    def __call__(self, variant: str) -> OnnxEngine:
        """The engine of a variant."""
        folder = self._folder / self._variants[variant].folder
        return OnnxEngine(folder, self._graphs, variant, self._family, precision=self._dtype, provider=self._provider, threads=self._threads)
