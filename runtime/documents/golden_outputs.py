"""What a decoder graph answered when it was exported: outputs of each variant to fixed inputs, and how far a machine
may be from them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from runtime.documents.atomic_file import write_atomically
from runtime.documents.checked_json import parse_document
from runtime.errors import DocumentError, VerificationError

FORMAT = "trimoe.onnx-golden"
VERSION = 1
KEY = "trimoe"
ARRAYS = ("logits", "positions", "greedy", "continuation", "layers")
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphGolden:
    """The golden outputs of one variant's decoder, computed by `onnxruntime` (its version) with `provider`.

    `logits` [rows, n, vocabulary] at `positions` [rows, n] of the prompts; `greedy` [rows, tokens] the ids that follow
    each prompt; `continuation` [rows, steps, …] what the first of them are to the graph, ids or embeddings; `layers`
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


def golden_path(precision: str, name: str) -> str:
    """The path, relative to the family, of a variant's golden file (by its id) or of the prompts ("inputs"), as the CPU
    provider made them."""
    return f"golden/onnx-{precision}-cpu/{name}.safetensors"


def write_graph_golden(path: Path, golden: GraphGolden) -> None:
    """Write the file, durably. Raises OSError."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "variant": golden.variant,
        "precision": golden.precision,
        "provider": golden.provider,
        "onnxruntime": golden.onnxruntime,
        "tolerance": golden.tolerance,
        **({} if golden.family_digest is None else {"family_digest": golden.family_digest}),
    }
    tensors = {name: getattr(golden, name) for name in ARRAYS}
    path.parent.mkdir(parents=True, exist_ok=True)
    # One metadata entry: safetensors writes several in an order that changes from run to run.
    metadata = {KEY: json.dumps(header, sort_keys=True)}
    write_atomically(path, save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, metadata))


def read_graph_golden(path: Path) -> GraphGolden:
    """Read the file. Raises VerificationError naming the file and the place when it is not one."""
    tensors, header = read_arrays(path)
    try:
        node = parse_document(header.encode(), file=f"{path}: metadata")
        if node.require("format").string() != FORMAT or node.require("version").integer() != VERSION:
            node.fail(f"this trimoe reads {FORMAT} version {VERSION}")
        digest = node.get("family_digest")
        return GraphGolden(
            variant=node.require("variant").string(),
            precision=node.require("precision").string(),
            provider=node.require("provider").string(),
            onnxruntime=node.require("onnxruntime").string(),
            tolerance=node.require("tolerance").number(),
            family_digest=None if digest is None else digest.string(),
            **{name: tensors[name] for name in ARRAYS},
        )
    except DocumentError as error:
        raise VerificationError(str(error)) from error
    except KeyError as error:
        raise VerificationError(f"{path}: the tensor {error} is missing") from error


def read_arrays(path: Path) -> tuple[dict[str, Array], str]:
    """The tensors of a safetensors file and its metadata entry of trimoe ("" without one). Raises VerificationError
    naming the file."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, (file.metadata() or {}).get(KEY, "")  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise VerificationError(f"{path}: cannot be read: {error}") from error
