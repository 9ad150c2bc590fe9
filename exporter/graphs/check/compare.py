"""Judges a graph's answer by the reference's: logits, greedy tokens, experts. Pure numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.graphs.check.graph_run import Answer
from runtime.documents.check import Check
from runtime.errors import VerificationError

TOLERANCE = 1e-4  # of the largest |logit|
TIE = 1e-4  # experts whose scores are nearer than this share of the largest may change places
# Nearer than this, rounding decides which of two experts a token goes to. From there on the row's logits may differ by
# what the experts do.
UNDECIDED = 1e-5
COMPARED = 0.25  # the least share of all tokens that must not be left out for that
Array = npt.NDArray[Any]


def compare_answers(
    variant: str, kind: str, answer: Answer, logits: Array, experts: Sequence[Array | None], lengths: Array
) -> tuple[Check, ...]:
    """The checks that passed. `logits` [rows, n, vocabulary] and `experts[i]` [rows, n, k] are the reference's for each
    prompt followed by the graph's own greedy tokens, without the last; `lengths` those of the prompts. Raises
    VerificationError.
    """
    place = f"variant {variant} ({kind})"
    tokens = answer.greedy.shape[1]
    scale = max(float(np.abs(logits[row, : length + tokens - 1]).max()) for row, length in enumerate(lengths))
    top_k = [None if ids is None else ids.shape[-1] for ids in experts]
    largest, compared, steps = 0.0, 0, 0
    for row, length in enumerate(lengths):
        differences = _differences(answer, logits[row], row, int(length))
        tie = _first_tie(answer, row, len(lengths), int(length), top_k)
        end = _agreeing(differences, tie, TOLERANCE * scale, place, row, int(length))
        largest, compared = max(largest, float(differences[:end].max(initial=0.0))), compared + end
        reached = max(0, min(tokens, end - int(length) + 1))
        _compare_tokens(
            f"{place}: row {row}",
            answer.greedy[row, :reached],
            logits[row, length - 1 :][:reached],
            2 * TOLERANCE * scale,
        )
        steps += reached
    left_out = int((lengths + tokens - 1).sum()) - compared
    _check_enough(place, compared, left_out)
    figures = (
        f"max |Δ| {largest:.2g} ≤ {TOLERANCE * scale:.2g}, {len(lengths)} rows, prompt and {tokens} tokens after it"
    )
    if left_out:
        figures += f", {left_out} tokens left out behind one whose experts tie"
    same = f"the same {tokens} tokens as transformers for each row" + (
        f", {steps} of {tokens * len(lengths)} compared" if left_out else ""
    )
    checks = [Check(name=f"onnx {kind} logits", outcome="passed", detail=figures)]
    checks.append(Check(name=f"onnx {kind} greedy", outcome="passed", detail=same))
    routed = _compare_experts(place, answer.scores, experts, lengths)
    if routed is not None:
        checks.append(Check(name=f"onnx {kind} experts", outcome="passed", detail=routed))
    return tuple(checks)


def _differences(answer: Answer, logits: Array, row: int, length: int) -> Array:
    """The largest |Δ| of the logits at each position of the prompt and of the tokens after it: [length + tokens −
    1]."""
    tokens = answer.greedy.shape[1]
    prompt = np.abs(answer.logits[row, :length] - logits[:length]).max(-1)
    decoded = np.abs(answer.decoded[row] - logits[length - 1 : length - 1 + tokens]).max(-1)
    return np.concatenate([prompt[:-1], [np.maximum(prompt[-1], decoded[0])], decoded[1:]])


def _first_tie(answer: Answer, row: int, rows: int, length: int, top_k: Sequence[int | None]) -> int | None:
    """The first position of the row whose last chosen and first unchosen expert have, at some layer, the same score but
    for rounding."""
    sparse = [
        (scores, k) for scores, k in zip(answer.scores, top_k, strict=True) if scores is not None and k is not None
    ]
    undecided = np.zeros(length - 1 + answer.greedy.shape[1], bool)
    for (scores, k), decoded in zip(sparse, answer.decoded_scores[row], strict=True):
        undecided[:length] |= routing_margin(scores.reshape(rows, -1, scores.shape[-1])[row, :length], k) <= UNDECIDED
        undecided[length - 1 :] |= routing_margin(decoded, k) <= UNDECIDED
    return int(undecided.argmax()) if undecided.any() else None


def _agreeing(differences: Array, tie: int | None, limit: float, place: str, row: int, length: int) -> int:
    """How many positions agree before one that a tie at or before it excuses; the attention of all later tokens sees
    that one."""
    for position in np.flatnonzero(~(differences <= limit)).tolist():  # also for NaN
        if tie is not None and tie <= position:
            return int(position)
        what = "prompt" if position < length else "decoding"
        figures = f"max |Δ| of the logits {differences[position]:.3g}, allowed {limit:.3g}, at position {position}"
        raise VerificationError(f"{place}: {what}, row {row}: {figures}")
    return len(differences)


def _check_enough(place: str, compared: int, left_out: int) -> None:
    if compared < COMPARED * (compared + left_out):
        raise VerificationError(
            f"{place}: max |Δ| of the logits is too large at {left_out} of {compared + left_out} tokens: more than "
            "experts that tie explain"
        )


def routing_margin(scores: Array, k: int) -> Array:
    """How far the last chosen expert of each token is ahead of the first unchosen one, as a share of its largest
    |score|: [tokens] of router `scores` [tokens, experts]; infinite where all are chosen."""
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


def _compare_experts(
    place: str, scores: Sequence[Array | None], experts: Sequence[Array | None], lengths: Array
) -> str | None:
    """A sentence on the layers with experts; None where there are none. Only ties may fall otherwise, and what they
    change: the layers behind one, of its token and of later tokens."""
    layers = ties = changed = choices = 0
    reached = np.full(
        len(lengths), np.iinfo(np.int64).max
    )  # of each row, the first token that a tie in an earlier layer has changed
    for layer, (found, expected) in enumerate(zip(scores, experts, strict=True)):
        if found is None or expected is None:
            continue
        layers += 1
        by_row = found.reshape(len(lengths), -1, found.shape[-1])
        for row, length in enumerate(lengths):
            real, wanted = by_row[row, :length], expected[row, :length]
            chosen = np.argsort(-real, -1, kind="stable")[:, : wanted.shape[-1]]
            choices += len(wanted)
            different = np.flatnonzero((np.sort(chosen, -1) != np.sort(wanted, -1)).any(-1))
            changed += int((different >= reached[row]).sum())
            for token in different[different < reached[row]]:
                apart = np.setxor1d(chosen[token], wanted[token])
                if np.ptp(real[token, apart]) > TIE * np.abs(real).max():
                    what = (
                        f"experts {sorted(chosen[token].tolist())}, transformers chooses "
                        f"{sorted(wanted[token].tolist())}"
                    )
                    raise VerificationError(f"{place}: layer {layer}: token {token} of row {row} goes to {what}")
                ties += 1
            reached[row] = min(reached[row], different.min(initial=reached[row]))
    if not layers:
        return None
    tied = f", {ties} of them ties" if ties else ""
    behind = f", {changed} changed by those" if changed else ""
    return f"the same experts for {choices} tokens at {layers} layers{tied}{behind}"
