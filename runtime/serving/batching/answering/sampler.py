"""Chooses the next token of each row of a batch: the most likely one, or one drawn with the row's own generator."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runtime.serving.request import Sampling

_COLDEST = 1e-30  # float32 has no much smaller ones
NOT_FINITE = -1  # in place of a token where the logits are not numbers to choose by
Logits = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Draw:
    """How a row chooses: `generator` gives one number a token, so that what a row draws depends on nothing else."""

    temperature: float
    top_p: float
    generator: np.random.Generator | None

    @classmethod
    def of(cls, sampling: Sampling) -> "Draw":
        """The row's own; without a seed another one each time."""
        generator = np.random.default_rng(sampling.seed) if sampling.temperature > 0 else None
        return cls(temperature=sampling.temperature, top_p=sampling.top_p, generator=generator)


class Sampler:
    """Rows in the order of the batch; made anew when that changes."""

    def __init__(self, rows: Sequence[Draw]) -> None:
        """Nothing is drawn yet."""
        self._places = np.arange(len(rows))
        self._drawn = [place for place, row in enumerate(rows) if row.generator is not None]
        self._rows = [rows[place] for place in self._drawn]
        self._temperatures = np.asarray([[max(row.temperature, _COLDEST)] for row in self._rows], np.float32)

    def choose(self, logits: Logits) -> list[int]:
        """A token for each row of `logits` [rows, vocabulary], or NOT_FINITE."""
        best = logits.argmax(axis=-1)
        finite = np.isfinite(logits[self._places, best])  # of a row with NaN, that is the largest
        if not finite.all():
            logits = np.where(finite[:, None], logits, np.float32(0))
            best[~finite] = NOT_FINITE
        chosen: list[int] = best.tolist()
        if self._drawn:
            shares = _softmax(logits[self._drawn], self._temperatures)
            for place, row, share in zip(self._drawn, self._rows, shares, strict=True):
                if chosen[place] != NOT_FINITE and row.generator is not None:
                    chosen[place] = draw(share, top_p=row.top_p, number=row.generator.random())
        return chosen


def draw(shares: Probabilities, *, top_p: float, number: float) -> int:
    """The token at `number` (0–1) of the probability `shares` [vocabulary] of the most likely tokens that have `top_p`
    of it together (at least one; ties by id)."""
    if top_p >= 1:
        return _at(np.cumsum(shares), number)
    kept = _most_likely(shares, top_p)
    return int(kept[_at(np.cumsum(shares[kept]), number)])


def _most_likely(shares: Probabilities, top_p: float) -> npt.NDArray[np.intp]:
    """The ids, ascending, of the fewest tokens that have `top_p` together."""
    # A token with less than this is none of them: it and all less likely ones have less than 1 − top_p together.
    most = (1 - top_p) / max(1, len(shares) - 1)
    among = np.sort(shares[shares >= min(most, float(shares.max()))])[::-1]
    count = min(int(np.searchsorted(np.cumsum(among), top_p)) + 1, len(among))
    least = among[count - 1]
    above = np.flatnonzero(shares > least)
    equal = np.flatnonzero(shares == least)[: count - len(above)]
    return np.sort(np.concatenate([above, equal]))


def _at(sums: Probabilities, number: float) -> int:
    """The place at which ascending sums pass that share of the last of them."""
    return min(int(np.searchsorted(sums, number * sums[-1], side="right")), len(sums) - 1)


def _softmax(logits: Logits, temperatures: Logits) -> Probabilities:
    """The probabilities [rows, vocabulary] at the rows' temperatures [rows, 1]."""
    values = logits - logits.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore"):  # a tiny temperature leaves the most likely token alone
        values /= temperatures
    shares: Probabilities = np.exp(values, out=values).astype(np.float64)
    shares /= shares.sum(axis=-1, keepdims=True)
    return shares
