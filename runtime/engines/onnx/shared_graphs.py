"""The graphs in front of a family's decoders, which all of them share: images into features, tokens and features into
embeddings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from runtime.documents.golden_outputs import GraphGolden
from runtime.documents.graph_contract import FAMILY_DIGEST, PRECISION, check_metadata
from runtime.engines.onnx.bfloat16 import NAME, read, to_bits, value_of
from runtime.engines.onnx.decoder import NUMPY
from runtime.engines.onnx.session import open_session
from runtime.errors import VerificationError

VISION, EMBEDDINGS = "vision", "embeddings"
PIXELS, FEATURES = ("images", "image_masks"), ("image_features", "image_input_idx")
TYPES = {**NUMPY, "tensor(int64)": np.dtype(np.int64)}
Array = npt.NDArray[Any]


def find_shared_difference(
    folder: Path,
    inputs: Path,
    prompts: Mapping[str, Array],
    expected: GraphGolden,
    *,
    provider: str,
    threads: int | None,
    limit: float,
) -> str | None:
    """Run the shared graphs in `folder` on the tensors `prompts` of the golden file `inputs`: what differs, and in
    which graph and row.

    Embeddings are made from the golden features, so that an error of the vision graph is not taken for theirs. `limit`
    is relative to the largest value of each output. Raises VerificationError for a graph or a golden tensor that is
    missing, and for a graph of another family.
    """
    if "images" in prompts:
        absent = [name for name in (*PIXELS, *FEATURES, "inputs_embeds") if name not in prompts]
        if absent:
            raise VerificationError(
                f"{inputs}: {', '.join(absent)} of prompts with images missing; export the family again"
            )
        vision = _open(folder, VISION, inputs, expected, provider, threads)
        found = _run(VISION, vision, {name: prompts[name] for name in PIXELS})
        different = _compare(VISION, "image_features", found, prompts["image_features"], limit)
        if different is not None:
            return different
    if "inputs_embeds" not in prompts:
        return None
    embeddings = _open(folder, EMBEDDINGS, inputs, expected, provider, threads)
    features = {name: prompts[name] for name in FEATURES if name in prompts}
    found = _run(EMBEDDINGS, embeddings, {"input_ids": prompts["input_ids"], **features})
    none = {name: value[:, :0] for name, value in features.items()}
    following = _run(
        EMBEDDINGS, embeddings, {"input_ids": expected.greedy[:, : expected.continuation.shape[1]], **none}
    )
    different = _compare(EMBEDDINGS, "inputs_embeds", found, prompts["inputs_embeds"], limit)
    return different or _compare(
        EMBEDDINGS, "inputs_embeds of what follows the prompt", following, expected.continuation, limit
    )


def _open(
    folder: Path, name: str, inputs: Path, expected: GraphGolden, provider: str, threads: int | None
) -> onnxruntime.InferenceSession:
    path = folder / f"{name}.onnx"
    if not path.is_file():
        raise VerificationError(f"{path}: missing; the golden prompts {inputs} go through it")
    session = open_session(path, provider=provider, threads=threads)
    wanted = {PRECISION: expected.precision, FAMILY_DIGEST: expected.family_digest}
    check_metadata(
        path, session.get_modelmeta().custom_metadata_map, wanted, source=f"the golden file of {expected.variant}"
    )
    return session


def _run(name: str, session: onnxruntime.InferenceSession, values: Mapping[str, Array]) -> Array:
    """The one output of the graph called `name`, in float32; inputs are given the types that it takes."""
    kinds = {value.name: value.type for value in session.get_inputs()}
    types = {key: TYPES.get(kind) for key, kind in kinds.items()}
    if set(types) != set(values) or None in types.values():
        raise VerificationError(f"{name}.onnx takes {', '.join(types)}; golden prompts have {', '.join(values)}")
    feeds = {
        key: value_of(to_bits(value))
        if kinds[key] == NAME
        else onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value.astype(types[key])))
        for key, value in values.items()
    }
    return read(session.run_with_ort_values([session.get_outputs()[0].name], feeds)[0]).astype(np.float32)


def _compare(graph: str, what: str, found: Array, expected: Array, limit: float) -> str | None:
    """The first row [rows, n, hidden] that is further from the expected one than allowed."""
    if found.shape != expected.shape:
        return f"{graph}.onnx gives {what} of shape {list(found.shape)}, golden is {list(expected.shape)}"
    scale = float(np.abs(expected).max())
    for row, (one, other) in enumerate(zip(found, expected.astype(np.float32), strict=True)):
        difference = float(np.abs(one - other).max()) / scale
        if not difference <= limit:  # also for NaN
            return f"{graph}.onnx, row {row}: max |Δ| of {what} is {difference:.3g} of the largest, allowed {limit:.3g}"
    return None
