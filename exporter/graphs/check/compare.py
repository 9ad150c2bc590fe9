"""Compares a graph's answer with the reference's: logits, greedy tokens, experts. Pure numpy.

Where two experts score the same but for rounding, rounding decides which of them a token goes to. Such a tie excuses

- the logits of its token and of all later ones in its row, whose attention sees it, from the first that differs on; but
  most tokens of the answer must remain (LEAST_COMPARED);
- the greedy tokens chosen from logits that are excused; and any whose logit is as good as the best within tolerance;
- the choice of experts of its token, where the experts that differ score the same (TIED_EXPERTS); and, in the layers
  behind, the choices of this token and of later ones in its row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.graphs.check.graph_run import Answer
from runtime.documents.check import PASSED, Check
from runtime.documents.tolerances import GRAPH_LOGITS, LEAST_COMPARED, SERVED_LOGITS, TIED_EXPERTS, UNDECIDED_EXPERTS
from runtime.errors import VerificationError

Array = npt.NDArray[Any]


def compare_answers(
    variant: str, kind: str, answer: Answer, logits: Array, experts: Sequence[Array | None], lengths: Array
) -> tuple[Check, ...]:
    """The checks that passed. `logits` [rows, n, vocabulary] and `experts[i]` [rows, n, k] are the reference's for each
    prompt followed by the graph's own greedy tokens, without the last; `lengths` those of the prompts. Raises
    VerificationError.
    """
    place = f"variant {variant} ({kind})"
    top_k = [None if ids is None else ids.shape[-1] for ids in experts]
    rows = [
        _Row(
            place=place,
            number=row,
            length=int(length),
            differences=_differences(answer, logits[row], row, int(length)),
            first_tie=_first_tie(answer, row, len(lengths), int(length), top_k),
        )
        for row, length in enumerate(lengths)
    ]
    tokens = answer.greedy.shape[1]
    limit = GRAPH_LOGITS * max(float(np.abs(logits[row.number, : row.length + tokens - 1]).max()) for row in rows)
    found = {"logits": _compare_logits(rows, limit, tokens), "greedy": _compare_greedy(rows, limit, answer, logits)}
    routed = _compare_experts(place, answer.scores, experts, lengths)
    if routed is not None:
        found["experts"] = routed
    return tuple(
        Check(name=f"onnx {kind} {name}", variant=variant, outcome=PASSED, detail=detail)
        for name, detail in found.items()
    )


def compare_served(variant: str, kind: str, exact: Answer, served: Answer, lengths: Array) -> Check:
    """How far a quantised graph that rounds activations to 8 bits, as it is served, is from the same graph without
    that: a choice, whose cost is measured as accuracy. Here only a kernel that computes something else is refused.
    Raises VerificationError.
    """
    rows = [(exact.logits[row, :length], served.logits[row, :length]) for row, length in enumerate(lengths)]
    error = sum(float(np.square(one - other, dtype=np.float64).sum()) for one, other in rows)
    share = (error / sum(float(np.square(one, dtype=np.float64).sum()) for one, _ in rows)) ** 0.5
    if not share <= SERVED_LOGITS:  # also for NaN
        raise VerificationError(
            f"variant {variant} ({kind}): served with activations of 8 bits, the logits of the prompts are "
            f"{share:.2g} of their size from those without, allowed {SERVED_LOGITS:g}"
        )
    same = np.mean([(one.argmax(-1) == other.argmax(-1)).mean() for one, other in rows])
    detail = (
        f"served, activations are rounded to 8 bits: logits {share:.2g} of their size (RMS) from those without, "
        f"allowed {SERVED_LOGITS:g}; the same first choice at {same:.1%} of the prompts' tokens"
    )
    return Check(name=f"onnx {kind} served", variant=variant, outcome=PASSED, detail=detail)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A row of the answer beside the reference: `differences` [length + tokens − 1] are the largest |Δ| of the logits
    at each position, `first_tie` the first position at which two experts tie at some layer."""

    place: str
    number: int
    length: int
    differences: Array
    first_tie: int | None

    def agreeing(self, limit: float) -> int:
        """How many positions agree before one that a tie at or before it excuses. Raises VerificationError for one that
        differs without an excuse."""
        for position in np.flatnonzero(~(self.differences <= limit)).tolist():  # also for NaN
            if self.first_tie is not None and self.first_tie <= position:
                return int(position)
            what = "prompt" if position < self.length else "decoding"
            found = f"max |Δ| of the logits {self.differences[position]:.3g}, allowed {limit:.3g}"
            raise VerificationError(f"{self.place}: {what}, row {self.number}: {found}, at position {position}")
        return len(self.differences)


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
    undecided = np.zeros(length - 1 + answer.greedy.shape[1], bool)
    layers = [(scores, k) for scores, k in zip(answer.scores, top_k, strict=True) if scores is not None]
    for (scores, k), decoded in zip(layers, answer.decoded_scores[row], strict=True):
        assert k is not None, "a layer with scores has experts"
        prompt = scores.reshape(rows, -1, scores.shape[-1])[row, :length]
        undecided[:length] |= routing_margin(prompt, k) <= UNDECIDED_EXPERTS
        undecided[length - 1 :] |= routing_margin(decoded, k) <= UNDECIDED_EXPERTS
    return int(undecided.argmax()) if undecided.any() else None


def routing_margin(scores: Array, k: int) -> Array:
    """How far the last chosen expert of each token is ahead of the first unchosen one, as a share of its largest
    |score|: [tokens] of router `scores` [tokens, experts]; infinite where all are chosen."""
    if k >= scores.shape[-1]:
        return np.full(len(scores), np.inf)
    ordered = -np.sort(-scores.astype(np.float64), -1)
    margin: Array = (ordered[:, k - 1] - ordered[:, k]) / np.maximum(np.abs(ordered).max(-1), np.finfo(np.float64).tiny)
    return margin


def _compare_logits(rows: Sequence[_Row], limit: float, tokens: int) -> str:
    """A sentence on the logits of all rows."""
    ends = [row.agreeing(limit) for row in rows]
    compared, whole = sum(ends), sum(len(row.differences) for row in rows)
    left_out = whole - compared
    if compared < LEAST_COMPARED * whole:
        what = f"max |Δ| of the logits is too large at {left_out} of {whole} tokens: more than experts that tie explain"
        raise VerificationError(f"{rows[0].place}: {what}")
    largest = max(float(row.differences[:end].max(initial=0.0)) for row, end in zip(rows, ends, strict=True))
    figures = f"max |Δ| {largest:.2g} ≤ {limit:.2g}, {len(rows)} rows, prompt and {tokens} tokens after it"
    excused = f", {left_out} tokens left out behind one whose experts tie" if left_out else ""
    return figures + excused


def _compare_greedy(rows: Sequence[_Row], limit: float, answer: Answer, logits: Array) -> str:
    """A sentence on the greedy tokens of all rows, as far as the logits that they come from are not excused."""
    tokens, compared, excused = answer.greedy.shape[1], 0, False
    for row in rows:
        end = row.agreeing(limit)
        steps = max(0, min(tokens, end - row.length + 1))
        expected = logits[row.number, row.length - 1 :][:steps]
        best = expected.argmax(-1)
        for step, found in enumerate(answer.greedy[row.number, :steps]):
            if expected[step, best[step]] - expected[step, found] > 2 * limit:
                what = f"greedy token {step} is {found}, transformers gives {best[step]}"
                raise VerificationError(f"{row.place}: row {row.number}: {what}")
        compared, excused = compared + steps, excused or end < len(row.differences)
    same = f"the same {tokens} tokens as transformers for each row"
    return f"{same}, {compared} of {tokens * len(rows)} compared" if excused else same


def _compare_experts(
    place: str, scores: Sequence[Array | None], experts: Sequence[Array | None], lengths: Array
) -> str | None:
    """A sentence on the layers with experts; None where there are none."""
    sparse = [
        (layer, found.reshape(len(lengths), -1, found.shape[-1]), expected)
        for layer, (found, expected) in enumerate(zip(scores, experts, strict=True))
        if found is not None and expected is not None
    ]
    if not sparse:
        return None
    ties = changed = 0
    for row, length in enumerate(lengths):
        first_changed = int(length)  # the first token that a tie in an earlier layer has changed
        for layer, found, expected in sparse:
            at = f"{place}: layer {layer}: token {{token}} of row {row}"
            different = _different_choices(found[row, :length], expected[row, :length], first_changed, at)
            ties += int((different < first_changed).sum())
            changed += int((different >= first_changed).sum())
            first_changed = min(first_changed, different.min(initial=first_changed))
    tied = f", {ties} of them ties" if ties else ""
    behind = f", {changed} changed by those" if changed else ""
    choices = int(lengths.sum()) * len(sparse)
    return f"the same experts for {choices} tokens at {len(sparse)} layers{tied}{behind}"


def _different_choices(scores: Array, expected: Array, first_changed: int, place: str) -> Array:
    """The tokens whose experts by router `scores` [tokens, experts] are not the `expected` [tokens, k]. Raises
    VerificationError for one before `first_changed` that no tie explains; `place` names it with its {token}."""
    chosen = np.argsort(-scores, -1, kind="stable")[:, : expected.shape[-1]]
    different = np.flatnonzero((np.sort(chosen, -1) != np.sort(expected, -1)).any(-1))
    for token in different[different < first_changed]:
        apart = np.setxor1d(chosen[token], expected[token])
        if np.ptp(scores[token, apart]) > TIED_EXPERTS * np.abs(scores).max():
            ours, theirs = (sorted(ids[token].tolist()) for ids in (chosen, expected))
            what = f"goes to experts {ours}, transformers chooses {theirs}"
            raise VerificationError(f"{place.format(token=token)} {what}")
    return different
