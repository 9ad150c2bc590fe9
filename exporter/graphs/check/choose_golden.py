"""Chooses what of a graph's answer is stored as its golden outputs. Pure numpy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from safetensors.numpy import save

from exporter.graphs.check.compare import routing_margin
from exporter.graphs.check.graph_run import Answer, Inside, Prompts
from exporter.graphs.weights.precision import Precision
from runtime.documents.atomic_file import write_atomically
from runtime.documents.golden_outputs import GraphGolden
from runtime.documents.graph_contract import CPU, FOLLOWING_IDS, IMAGE_FEATURES, INPUTS_EMBEDS
from runtime.documents.tolerances import GRAPH_GOLDEN, GRAPH_GOLDEN_ELSEWHERE
from runtime.engines.onnx.self_test import STEPS

FULL_LOGITS = 4 * 1024 * 1024  # bytes
POSITIONS = 4
Array = npt.NDArray[Any]


def write_prompts(path: Path, prompts: Prompts) -> None:
    """Write the prompts that golden outputs answer, with what the shared graphs made of them. Raises OSError."""
    tensors = {**prompts.inputs, FOLLOWING_IDS: prompts.following}
    if prompts.embed is not None:
        tensors[INPUTS_EMBEDS] = prompts.values
    if prompts.features is not None:
        tensors[IMAGE_FEATURES] = prompts.features
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, save({name: np.ascontiguousarray(value) for name, value in sorted(tensors.items())}))


def graph_golden(
    variant: str,
    precision: Precision,
    prompts: Prompts,
    answer: Answer,
    inside: Inside,
    *,
    top_k: Sequence[int] | None,
    family_digest: str | None = None,
) -> GraphGolden:
    """The answer's logits at some positions of each prompt, fewer of them where the vocabulary is large, and what
    follows it."""
    rows, _, vocabulary = answer.logits.shape
    shortest = int(prompts.lengths.min())
    count = max(1, min(shortest, FULL_LOGITS // (4 * rows * vocabulary), POSITIONS))
    positions = _decided_positions(inside.scores, top_k, prompts.lengths, count)
    last = answer.logits[np.arange(rows), prompts.lengths - 1]
    return GraphGolden(
        variant=variant,
        precision=precision.name,
        provider=CPU,
        onnxruntime=onnxruntime.__version__,
        tolerance=GRAPH_GOLDEN if precision.name == "float32" else GRAPH_GOLDEN_ELSEWHERE[precision.name],
        family_digest=family_digest,
        logits=answer.logits[np.arange(rows)[:, None], positions],
        positions=positions,
        greedy=np.concatenate([last[:, None], answer.decoded], 1)[:, : 1 + STEPS].argmax(-1),
        continuation=prompts.shortened(STEPS).followed(),
        layers=inside.hidden,
    )


def _decided_positions(
    scores: Sequence[Array | None], top_k: Sequence[int] | None, lengths: Array, count: int
) -> Array:
    """The positions [rows, count] whose tokens go to their experts most clearly at every layer, the last ones where
    there are no experts.

    Where two experts are close, a machine that rounds otherwise sends the token elsewhere: its logits then say nothing
    of the kernels.
    """
    chosen = []
    layers = [] if top_k is None else [layer for layer in scores if layer is not None]
    sparse = [] if top_k is None else [k for k, layer in zip(top_k, scores, strict=True) if layer is not None]
    for row, length in enumerate(lengths):
        margins = [routing_margin(layer[row, :length], k) for layer, k in zip(layers, sparse, strict=True)]
        least = np.min(margins, 0) if margins else np.arange(length)
        chosen.append(np.sort(np.argsort(least, kind="stable")[-count:]))
    return np.stack(chosen)
