"""Judges a graph's answer by the reference's: logits, greedy tokens, experts. Pure numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.graphs.graph_run import Answer
from runtime.errors import VerificationError
from runtime.manifest import CheckRecord

TOLERANCE = 1e-4  # of the largest |logit|
TIE = 1e-4  # experts whose scores are nearer than this share of the largest may change places
# Nearer than this, rounding decides which of two experts a token goes to: its logits differ by what the experts do, not by an error.
UNDECIDED = 1e-5
Array = npt.NDArray[Any]


def compare_answers(
    variant: str, kind: str, answer: Answer, logits: Array, experts: Sequence[Array | None], lengths: Array
) -> tuple[CheckRecord, ...]:
    """The checks that passed. `logits` [rows, n, vocabulary] and `experts[i]` [rows, n, k] are the reference's for each prompt followed by the
    graph's own greedy tokens, without the last; `lengths` those of the prompts. Raises VerificationError."""
    place = f"variant {variant} ({kind})"
    tokens = answer.greedy.shape[1]
    scale, largest, left_out = max(float(np.abs(logits[row, : length + tokens - 1]).max()) for row, length in enumerate(lengths)), 0.0, 0
    top_k = [None if ids is None else ids.shape[-1] for ids in experts]
    for row, length in enumerate(lengths):
        expected = logits[row, length - 1 : length - 1 + tokens]
        decided = ~_undecided(answer.decoded_scores[row], [k for k in top_k if k is not None])
        decided[0] = True  # the prompt's last token, compared as part of the prompt as well
        left_out += int((~decided).sum())
        differences = {"prompt": answer.logits[row, :length] - logits[row, :length], "decoding": (answer.decoded[row] - expected)[decided]}
        for what, values in differences.items():
            found = float(np.abs(values).max())
            if not found <= TOLERANCE * scale:
                raise VerificationError(f"{place}: {what}, row {row}: max |Δ| of the logits {found:.3g}, allowed {TOLERANCE * scale:.3g}")
            largest = max(largest, found)
        _compare_tokens(f"{place}: row {row}", answer.greedy[row], expected, 2 * TOLERANCE * scale)
    figures = f"max |Δ| {largest:.2g} ≤ {TOLERANCE * scale:.2g}, {len(lengths)} rows, prompt and {tokens} tokens after it"
    if left_out:
        figures += f", {left_out} of them left out because two experts tie"
    checks = [CheckRecord(name=f"onnx {kind} logits", outcome="passed", detail=figures)]
    checks.append(CheckRecord(name=f"onnx {kind} greedy", outcome="passed", detail=f"the same {tokens} tokens as transformers for each row"))
    routed = _compare_experts(place, answer.scores, experts, lengths)
    if routed is not None:
        checks.append(CheckRecord(name=f"onnx {kind} experts", outcome="passed", detail=routed))
    return tuple(checks)


def _undecided(scores: Array, top_k: Sequence[int]) -> Array:
    """Which tokens [tokens] have, at some layer, a last chosen and a first unchosen expert with the same score but for rounding."""
    found = np.zeros(scores.shape[1], bool)
    for layer, k in zip(scores, top_k, strict=True):
        found |= routing_margin(layer, k) <= UNDECIDED
    return found


def routing_margin(scores: Array, k: int) -> Array:
    """How far the last chosen expert of each token is ahead of the first unchosen one, as a share of its largest |score|: [tokens] of router
    `scores` [tokens, experts]; infinite where all are chosen."""
    if k >= scores.shape[-1]:
        return np.full(len(scores), np.inf)
    ordered = -np.sort(-scores.astype(np.float64), -1)
    margin: Array = (ordered[:, k - 1] - ordered[:, k]) / np.maximum(np.abs(ordered).max(-1), np.finfo(np.float64).tiny)
    return margin


def _compare_tokens(place: str, found: Array, expected: Array, tie: float) -> None:
    best = expected.argmax(-1)
    for step in np.flatnonzero(best != found):
        if expected[step, best[step]] - expected[step, found[step]] > tie:
            raise VerificationError(f"{place}: greedy token {step} is {found[step]}, transformers gives {best[step]}")


def _compare_experts(place: str, scores: Sequence[Array | None], experts: Sequence[Array | None], lengths: Array) -> str | None:
    """A sentence on the layers with experts; None where there are none. Only ties may fall otherwise."""
    layers = ties = choices = 0
    for layer, (found, expected) in enumerate(zip(scores, experts, strict=True)):
        if found is None or expected is None:
            continue
        layers += 1
        by_row = found.reshape(len(lengths), -1, found.shape[-1])
        for row, length in enumerate(lengths):
            real, wanted = by_row[row, :length], expected[row, :length]
            chosen = np.argsort(-real, -1, kind="stable")[:, : wanted.shape[-1]]
            choices += len(wanted)
            for token in np.flatnonzero((np.sort(chosen, -1) != np.sort(wanted, -1)).any(-1)):
                apart = np.setxor1d(chosen[token], wanted[token])
                if np.ptp(real[token, apart]) > TIE * np.abs(real).max():
                    what = f"experts {sorted(chosen[token])}, transformers chooses {sorted(wanted[token])}"
                    raise VerificationError(f"{place}: layer {layer}: token {token} of row {row} goes to {what}")
                ties += 1
    return f"the same experts for {choices} tokens at {layers} layers" + (f", {ties} of them ties" if ties else "") if layers else None
