"""What a decoder graph answered when it was exported: outputs of each variant to fixed inputs, and how far a machine
may be from them.

A file is of safetensors' format (https://github.com/huggingface/safetensors#format). Its tensors are the ARRAYS; its
metadata has one entry, KEY, a JSON object of trimoe's own format "trimoe.onnx-golden" version 1.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from runtime.documents.atomic_file import write_atomically
from runtime.documents.checked_json import parse_document
from runtime.documents.schema import convert, fields_of, read_fields
from runtime.errors import DocumentError, VerificationError

FORMAT = "trimoe.onnx-golden"
VERSION = 1
KEY = "trimoe"
ARRAYS = ("logits", "positions", "greedy", "continuation", "layers")
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphGolden:
    """The golden outputs of one variant's decoder, computed by `onnxruntime` (its version) with `provider`.

    `logits` [rows, n, vocabulary] at `positions` [rows, n] of the prompts; `greedy` [rows, 1 + steps]
    the most likely ids behind each prompt and behind each step of `continuation` [rows, steps, …], what is fed after
    it, ids or embeddings; `layers`
    [layers, rows, m] the first values of each layer's hidden state at the prompt's last token. `tolerance` is relative
    to the largest |logit|. `family_digest` is that of the family the graph belongs to, None where it was not known.
    """

    variant: str
    precision: str
    provider: str
    onnxruntime: str
    tolerance: float
    family_digest: str | None
    logits: Array
    positions: Array
    greedy: Array
    continuation: Array
    layers: Array


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What of golden outputs is no array."""

    variant: str
    precision: str
    provider: str
    onnxruntime: str
    tolerance: float
    family_digest: str | None = None


def write_graph_golden(path: Path, golden: GraphGolden) -> None:
    """Write the file, durably. Raises OSError."""
    header = _Header(**{name: getattr(golden, name) for name in _Header.__struct_fields__})
    tensors = {name: getattr(golden, name) for name in ARRAYS}
    path.parent.mkdir(parents=True, exist_ok=True)
    # One metadata entry: safetensors writes several in an order that changes from run to run.
    document = {"format": FORMAT, "version": VERSION, **fields_of(header)}
    metadata = {KEY: json.dumps(document, sort_keys=True)}
    write_atomically(path, save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, metadata))


def read_graph_golden(path: Path) -> GraphGolden:
    """Read the file. Raises VerificationError naming the file and the place when it is not one."""
    tensors, text = read_arrays(path)
    try:
        node = parse_document(text.encode(), file=f"{path}: metadata")
        fields = read_fields(node, format=FORMAT, version=VERSION, what="a file of golden outputs of graphs")
        values: dict[str, Any] = msgspec.structs.asdict(convert(fields, _Header))
        return GraphGolden(**values | {name: tensors[name] for name in ARRAYS})
    except DocumentError as error:
        raise VerificationError(str(error)) from error
    except KeyError as error:
        raise VerificationError(f"{path}: the tensor {error} is missing") from error


def read_arrays(path: Path) -> tuple[dict[str, Array], str]:
    """The tensors of a safetensors file and its metadata entry of trimoe ("" without one). Raises VerificationError
    naming the file."""
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, (file.metadata() or {}).get(KEY, "")
    except (SafetensorError, OSError) as error:
        raise VerificationError(f"{path}: cannot be read: {error}") from error
