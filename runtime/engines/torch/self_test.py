"""Compares a loaded model with the golden outputs of its variant, on the device that will serve."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from runtime.documents.family_layout import GOLDEN_INPUTS
from runtime.documents.golden_outputs import read_arrays
from runtime.documents.graph_contract import ATTENTION_MASK, INPUT_IDS
from runtime.documents.torch_golden import LOGITS, POSITIONS, allowed_difference, parse_header
from runtime.engines.protocol import Array
from runtime.errors import VerificationError


def self_test(model: Any, variant: str, folder: Path, golden: str) -> float:
    """The largest difference of the model's logits from the golden ones in the file `golden` of the family at `folder`,
    relative to the largest |logit|. Raises VerificationError naming the variant beyond what its type allows, and for
    golden files that are not what they must be."""
    inputs, _ = read_arrays(folder / GOLDEN_INPUTS)
    expected, text = read_arrays(folder / golden)
    recorded = parse_header(text, path=folder / golden).variant
    if recorded != variant:
        raise VerificationError(f"{folder / golden}: the golden outputs of {recorded}, not of {variant}")
    absent = [name for name in (INPUT_IDS, ATTENTION_MASK) if name not in inputs]
    absent += [name for name in (LOGITS, POSITIONS) if name not in expected]
    if absent:
        raise VerificationError(
            f"{folder / golden}: the tensors {', '.join(absent)} are missing there or in the inputs"
        )
    found = _logits(model, inputs, expected[POSITIONS])
    if found.shape != expected[LOGITS].shape:
        raise VerificationError(
            f"variant {variant}: {golden} has logits {list(expected[LOGITS].shape)}, computed {list(found.shape)}"
        )
    dtype = str(model.dtype).removeprefix("torch.")
    scale = float(np.abs(expected[LOGITS]).max())
    difference = float(np.abs(found - expected[LOGITS]).max()) / scale
    limit = allowed_difference(dtype)
    if not difference <= limit:  # also for NaN
        raise VerificationError(
            f"variant {variant} ({dtype}) fails its self-test: max |Δ| of the logits is {difference:.3g} of the "
            f"largest, allowed {limit:.3g} (torch {torch.__version__}, {model.device})"
        )
    return difference


def _logits(model: Any, inputs: dict[str, Array], positions: Array) -> Array:
    """The logits [rows, n, vocabulary] at `positions` [rows, n]."""
    tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
    placed = {
        name: tensor.to(model.device, model.dtype if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in tensors.items()
    }
    with torch.inference_mode():
        logits = model(**placed, use_cache=False).logits
        picked = logits[torch.arange(len(positions))[:, None], torch.from_numpy(positions)]
    found: Array = (picked if picked.dtype == torch.float64 else picked.float()).cpu().numpy()
    return found
