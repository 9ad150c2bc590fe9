"""What a fitted model says: the mean drop of any combination over all data sets with an interval, and how well the
model predicts what it has not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from profiles.evidence.combining.combination import Removed
from profiles.evidence.combining.effects.components import between_means, with_means
from profiles.evidence.combining.effects.fit import Effects
from profiles.evidence.combining.effects.observations import Array, membership

LEVEL = 0.9


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Estimates:
    """Drops of combinations over all data sets (fractions): means, and their joint covariance; `places` says at which
    index a combination stands."""

    places: Mapping[Removed, int]
    means: Array
    covariance: Array

    def interval(self, removed: Removed) -> tuple[float, float, float]:
        """The mean drop of a combination, and the ends of its interval of `LEVEL`."""
        at = self.places[removed]
        mean, half = float(self.means[at]), _QUANTILE * float(np.sqrt(self.covariance[at, at]))
        return mean, mean - half, mean + half

    def lower(self, one: Removed, other: Removed) -> float:
        """How probable it is that `one` loses less than `other`."""
        at, to = self.places[one], self.places[other]
        spread = self.covariance[at, at] + self.covariance[to, to] - 2 * self.covariance[at, to]
        return float(norm.cdf((self.means[to] - self.means[at]) / np.sqrt(max(spread, 1e-18))))


_QUANTILE = float(norm.ppf((1 + LEVEL) / 2))


def estimate(effects: Effects, removed: Sequence[Removed]) -> Estimates:
    """The mean drops of these combinations over all data sets, whether they were tried or not.

    Intervals also count that the variances are estimates (to first order, Kass and Steffey 1989).
    """
    seen, variances = effects.seen, effects.variances[:-1]
    members = membership(removed, blocks=seen.members.shape[1])
    wide, parts = with_means(members, seen)
    cross = wide + sum(variance * part for variance, part in zip(variances, parts, strict=True))
    wide, own = between_means(members, seen)
    prior = wide + sum(variance * part for variance, part in zip(variances, own, strict=True))
    gain = cross @ effects.precision
    slopes = [variance * (part @ effects.weights) for variance, part in zip(variances, parts, strict=True)]
    moves = np.stack([*slopes, np.zeros(len(removed))]) - effects.slopes @ gain.T
    covariance = prior - gain @ cross.T + moves.T @ effects.uncertainty @ moves
    covariance = (covariance + covariance.T) / 2
    np.fill_diagonal(covariance, np.maximum(np.diag(covariance), 0.0))
    return Estimates(
        places={one: place for place, one in enumerate(removed)},
        means=cross @ effects.weights * effects.scale,
        covariance=covariance * effects.scale**2,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Errors (fractions) of the model on drops that were left out of it: each drop alone, and each combination with all
    its drops; root mean squares, mean absolute errors, and the share of drops inside their interval of `LEVEL`."""

    drops: int
    drop_rms: float
    drop_mae: float
    drop_covered: float
    combinations: int
    combination_rms: float
    combination_mae: float


def leave_out(effects: Effects) -> LeftOut:
    """The errors of leaving out, in closed form, with the variances as fitted (Sundararajan and Keerthi 2001)."""
    seen, own = effects.seen, np.diag(effects.precision)
    alone = effects.weights / own
    together = np.empty_like(alone)
    for number in range(len(seen.removed)):
        rows = np.flatnonzero(seen.combination == number)
        together[rows] = np.linalg.solve(effects.precision[np.ix_(rows, rows)], effects.weights[rows])
    return LeftOut(
        drops=len(alone),
        drop_rms=_rms(alone) * effects.scale,
        drop_mae=float(np.abs(alone).mean()) * effects.scale,
        drop_covered=float(np.mean(np.abs(alone) <= _QUANTILE / np.sqrt(own))),
        combinations=len(seen.removed),
        combination_rms=_rms(together) * effects.scale,
        combination_mae=float(np.abs(together).mean()) * effects.scale,
    )


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))
