"""Compares a graph's answer with the reference's: logits, greedy tokens, experts. Pure numpy.

Where two experts score the same but for rounding, rounding decides which of them a token goes to. Such a tie excuses

- the logits of its token and of all later ones in its row, whose attention sees it, from the first that differs on; but
  most tokens of the answer must remain (LEAST_COMPARED);
- the most likely token by logits that are excused; and any whose logit is as good as the best within tolerance;
- the choice of experts of its token, where the experts that differ score the same (TIED_EXPERTS); and, in the layers
  behind, the choices of this token and of later ones in its row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.graphs.check.graph_run import Answer, Inside
from runtime.documents.check import PASSED, Check
from runtime.documents.tolerances import GRAPH_LOGITS, LEAST_COMPARED, SERVED_LOGITS, TIED_EXPERTS, UNDECIDED_EXPERTS
from runtime.errors import VerificationError

Array = npt.NDArray[Any]


def compare_answers(
    place: str, answer: Answer, inside: Inside, logits: Array, experts: Sequence[Array | None], lengths: Array
) -> dict[str, str]:
    """A sentence on each thing compared: logits, tokens, experts. `logits` [rows, n, vocabulary] and `experts[i]`
    [rows, n, k] are the reference's for each prompt and the tokens that follow it; `lengths` those of the prompts.
    Raises VerificationError, which begins with `place`.
    """
    top_k = [None if ids is None else ids.shape[-1] for ids in experts]
    whole = lengths + answer.decoded.shape[1]
    rows = [
        _Row(
            place=place,
            number=row,
            length=int(length),
            differences=_differences(answer, logits[row], row, int(length)),
            first_tie=_first_tie(inside, row, int(whole[row]), top_k),
        )
        for row, length in enumerate(lengths)
    ]
    limit = GRAPH_LOGITS * max(float(np.abs(logits[row.number, : whole[row.number]]).max()) for row in rows)
    found = {"logits": _compare_logits(rows, limit), "greedy": _compare_tokens(rows, limit, answer, logits)}
    routed = _compare_experts(place, inside.scores, experts, whole)
    return found if routed is None else {**found, "experts": routed}


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
    """A row of the answer beside the reference: `differences` [length + tokens] are the largest |Δ| of the logits at
    each position, `first_tie` the first position at which two experts tie at some layer."""

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
    """The largest |Δ| of the logits at each position of the prompt and of what follows it."""
    found = np.concatenate([answer.logits[row, :length], answer.decoded[row]])
    differences: Array = np.abs(found - logits[: len(found)]).max(-1)
    return differences


def _first_tie(inside: Inside, row: int, count: int, top_k: Sequence[int | None]) -> int | None:
    """The first position of the row whose last chosen and first unchosen expert have, at some layer, the same score but
    for rounding."""
    undecided = np.zeros(count, bool)
    for scores, k in zip(inside.scores, top_k, strict=True):
        if scores is not None and k is not None:
            undecided |= routing_margin(scores[row, :count], k) <= UNDECIDED_EXPERTS
    return int(undecided.argmax()) if undecided.any() else None


def routing_margin(scores: Array, k: int) -> Array:
    """How far the last chosen expert of each token is ahead of the first unchosen one, as a share of its largest
    |score|: [tokens] of router `scores` [tokens, experts]; infinite where all are chosen."""
    if k >= scores.shape[-1]:
        return np.full(len(scores), np.inf)
    ordered = -np.sort(-scores.astype(np.float64), -1)
    margin: Array = (ordered[:, k - 1] - ordered[:, k]) / np.maximum(np.abs(ordered).max(-1), np.finfo(np.float64).tiny)
    return margin


def _compare_logits(rows: Sequence[_Row], limit: float) -> str:
    """A sentence on the logits of all rows."""
    ends = [row.agreeing(limit) for row in rows]
    compared, whole = sum(ends), sum(len(row.differences) for row in rows)
    left_out = whole - compared
    if compared < LEAST_COMPARED * whole:
        what = f"max |Δ| of the logits is too large at {left_out} of {whole} tokens: more than experts that tie explain"
        raise VerificationError(f"{rows[0].place}: {what}")
    largest = max(float(row.differences[:end].max(initial=0.0)) for row, end in zip(rows, ends, strict=True))
    figures = f"max |Δ| {largest:.2g} ≤ {limit:.2g}, {len(rows)} rows of {max(len(row.differences) for row in rows)}"
    excused = f", {left_out} left out behind one whose experts tie" if left_out else ""
    return f"{figures} tokens at most{excused}"


def _compare_tokens(rows: Sequence[_Row], limit: float, answer: Answer, logits: Array) -> str:
    """A sentence on the most likely token behind each prompt and each token decoded, as far as the logits that it comes
    from are not excused."""
    steps, compared = answer.decoded.shape[1], 0
    for row in rows:
        last = row.length - 1
        chosen = np.concatenate([answer.logits[row.number, last : last + 1], answer.decoded[row.number]]).argmax(-1)
        expected = logits[row.number, last : last + 1 + steps][: max(0, row.agreeing(limit) - last)]
        best = expected.argmax(-1)
        for step, found in enumerate(chosen[: len(expected)]):
            if expected[step, best[step]] - expected[step, found] > 2 * limit:
                what = f"token {step} is {found}, transformers gives {best[step]}"
                raise VerificationError(f"{row.place}: row {row.number}: {what}")
        compared += len(expected)
    same, whole = f"the same {1 + steps} tokens as transformers for each row", (1 + steps) * len(rows)
    return same if compared == whole else f"{same}, {compared} of {whole} compared"


def _compare_experts(
    place: str, scores: Sequence[Array | None], experts: Sequence[Array | None], lengths: Array
) -> str | None:
    """A sentence on the layers with experts; None where there are none."""
    sparse = [
        (layer, found, expected)
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
