"""Importance scores of several data sets merged into one ranking, by the rules of the pruning study of MolmoE-1B. Pure.

Per data set 0.6 · train + 0.4 · validation; then, for each block, the mean over data sets (`average`), their mean with
weights that are divided by their sum (`weighted_avg`), or their median (`median`). In a ranking from the least
important on, blocks whose scores are equal but for rounding (1e-12) stand in the order of their numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from profiles.evidence.importance import Scores, keyed, spearman

TRAIN_WEIGHT, VALIDATION_WEIGHT = 0.6, 0.4
AVERAGE, WEIGHTED, MEDIAN = METHODS = ("average", "weighted_avg", "median")
SHOWN = 5
AGREES = 0.5
_DIGITS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetScores:
    """The scores of a data set on two splits over the same blocks; `validation` is None where only one was
    measured."""

    train: Scores
    validation: Scores | None = None

    @property
    def merged(self) -> dict[int, float]:
        """One score a block."""
        if self.validation is None:
            return {block: self.train[block] for block in sorted(self.train)}
        return {
            block: TRAIN_WEIGHT * self.train[block] + VALIDATION_WEIGHT * self.validation[block]
            for block in sorted(self.train)
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Merged:
    """One score a block, higher = keep, and how it came about: `weights` sum to 1, None unless the method has them."""

    method: str
    weights: Mapping[str, float] | None
    datasets: Mapping[str, DatasetScores]
    scores: Mapping[int, float]

    @property
    def ranking(self) -> tuple[int, ...]:
        """The blocks, most important first."""
        return tuple(sorted(self.scores, key=lambda block: (round(self.scores[block], _DIGITS), block), reverse=True))

    @property
    def least(self) -> tuple[int, ...]:
        """The five least important blocks, the least first."""
        return self.ranking[: -SHOWN - 1 : -1]

    @property
    def most(self) -> tuple[int, ...]:
        """The five most important blocks, the most first."""
        return self.ranking[:SHOWN]

    @property
    def split_correlations(self) -> dict[str, float]:
        """Rank correlation of train and validation by data set, of those that have both."""
        return {
            name: spearman(one.train, one.validation)
            for name, one in self.datasets.items()
            if one.validation is not None
        }

    @property
    def dataset_correlations(self) -> dict[tuple[str, str], float]:
        """Rank correlation of each two data sets."""
        names = list(self.datasets)
        return {
            (one, other): spearman(self.datasets[one].merged, self.datasets[other].merged)
            for place, one in enumerate(names)
            for other in names[place + 1 :]
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """Data sets whose splits disagree, or that disagree with the mean of all others: a rank correlation below
        0.5."""
        found = [
            f"{name}: train and validation rank the blocks differently, rank correlation {value:.2f}"
            for name, value in self.split_correlations.items()
            if value < AGREES
        ]
        for name, one in self.datasets.items():
            others = [other.merged for key, other in self.datasets.items() if key != name]
            if not others:
                continue
            rest = {block: fmean(other[block] for other in others) for block in self.scores}
            alike = spearman(one.merged, rest)
            if alike < AGREES:
                found.append(
                    f"{name}: disagrees with the other data sets, rank correlation with their mean {alike:.2f}"
                )
        return tuple(found)


def merge(
    datasets: Mapping[str, DatasetScores], *, method: str = AVERAGE, weights: Mapping[str, float] | None = None
) -> Merged:
    """Merge data sets, at least one, all over the same blocks; `weights`, positive, name each of them where the method
    is `weighted_avg`, and only there."""
    parts = {name: one.merged for name, one in datasets.items()}
    total = None if weights is None else sum(weights.values())
    shares = None if weights is None or total is None else {name: weights[name] / total for name in datasets}
    return Merged(
        method=method,
        weights=shares,
        datasets=datasets,
        scores={
            block: _over_datasets({name: part[block] for name, part in parts.items()}, method, shares)
            for block in next(iter(parts.values()))
        },
    )


def _over_datasets(values: Mapping[str, float], method: str, shares: Mapping[str, float] | None) -> float:
    if method == MEDIAN:
        return median(values.values())
    if shares is None:
        return fmean(values.values())
    return sum(shares[name] * value for name, value in values.items())


def full_document(merged: Merged) -> dict[str, Any]:
    """The study's full file: method, weights, scores of each data set, merged scores, ranking; and how the data sets
    agree."""
    weights = {} if merged.weights is None else {"dataset_weights": dict(merged.weights)}
    correlations = [
        {"datasets": list(pair), "spearman_correlation": value} for pair, value in merged.dataset_correlations.items()
    ]
    return {
        "method": merged.method,
        "train_weight": TRAIN_WEIGHT,
        "validation_weight": VALIDATION_WEIGHT,
        "datasets": list(merged.datasets),
        **weights,
        "per_dataset_scores": {name: keyed(one.merged) for name, one in merged.datasets.items()},
        "scores": keyed(merged.scores),
        "ranking": list(merged.ranking),
        "least_important": list(merged.least),
        "most_important": list(merged.most),
        "split_correlations": merged.split_correlations,
        "dataset_correlations": correlations,
        "warnings": list(merged.warnings),
    }


def simple_document(merged: Merged) -> dict[str, float]:
    """The study's `_simple` file: the merged scores alone."""
    return keyed(merged.scores)


def parse_weights(text: str, names: Sequence[str]) -> dict[str, float]:
    """`NAME=W,NAME=W,…`, or as many numbers as data sets, in the order of their names. Raises ValueError."""
    parts = [part.strip() for part in text.split(",")]
    pairs = [part.partition("=") for part in parts]
    named = [bool(equals) for _, equals, _ in pairs]
    if any(named) and not all(named):
        raise ValueError(f"{text!r}: name every weight, or none")
    given = [name for name, _, _ in pairs] if all(named) else sorted(names)
    values = [value for _, _, value in pairs] if all(named) else parts
    if sorted(given) != sorted(names) or len(values) != len(given):
        raise ValueError(
            f"{len(values)} weights, {text!r}, for {len(names)} data sets: give one for each of "
            f"{', '.join(sorted(names))}"
        )
    weights = {name: _weight(value) for name, value in zip(given, values, strict=True)}
    return {name: weights[name] for name in names}


def _weight(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"the weight {text!r} is no number") from error
    if not 0 < value < float("inf"):
        raise ValueError(f"the weight {text!r} is not a positive number")
    return value
