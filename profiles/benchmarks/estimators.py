"""How well trimoe's estimator predicts whole answers from few measured cells, beside what the pruning study used: a
two-layer neural network and a lookup table, fitted to the same cells."""

import random
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from profiles.latency.fit.observations import Observation
from profiles.latency.fit.regression import fit_terms
from profiles.latency.fit.regression import predict as predict_terms
from runtime.engines.stages import DECODE

SIZES = (10, 20, 50, 100, 200)
HIDDEN = (64, 64)
OURS = "trimoe"
Array = npt.NDArray[np.float64]
Predictor = Callable[[Sequence[Observation], Sequence[Observation]], Array]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Mean absolute error of whole answers, as a share, by way of predicting, from `cells` measured cells."""

    cells: int
    errors: Mapping[str, float]


def compare(observations: Sequence[Observation], *, repeats: int = 10, seed: int = 0) -> tuple[Row, ...]:
    """Draw so many cells at random, fit every way to them, predict all other cells; medians over the repeats."""
    cells = list(dict.fromkeys(one.request for one in observations))
    rows = []
    for size in (size for size in SIZES if size < len(cells)):
        found: dict[str, list[float]] = {name: [] for name in WAYS}
        for repeat in range(repeats):
            drawn = set(random.Random(f"{seed} {size} {repeat}").sample(cells, size))
            seen = [one for one in observations if one.request in drawn]
            unseen = [one for one in observations if one.request not in drawn]
            for name, way in WAYS.items():
                found[name].append(answer_error(unseen, _by_stage(way, seen, unseen)))
        rows.append(Row(cells=size, errors={name: statistics.median(errors) for name, errors in found.items()}))
    return tuple(rows)


def is_lowest(rows: Sequence[Row]) -> bool:
    """Whether trimoe's errors are below all others for every number of cells."""
    return all(row.errors[OURS] < min(error for name, error in row.errors.items() if name != OURS) for row in rows)


def _by_stage(way: Predictor, seen: Sequence[Observation], unseen: Sequence[Observation]) -> Array:
    found = np.zeros(len(unseen))
    for stage in dict.fromkeys(one.stage for one in unseen):
        places = [i for i, one in enumerate(unseen) if one.stage == stage]
        known = [one for one in seen if one.stage == stage]
        found[places] = way(known, [unseen[i] for i in places]) if known else 0.0
    return found


def answer_error(observations: Sequence[Observation], predicted: Array) -> float:
    """The mean absolute error of whole answers, as a share, from predictions of all their stages."""
    measured: dict[str, float] = {}
    guessed: dict[str, float] = {}
    decoded: dict[str, int] = {}
    for one in observations:
        decoded[one.request] = decoded.get(one.request, 0) + (one.stage == DECODE)
    for one, value in zip(observations, predicted, strict=True):
        times = one.steps / decoded[one.request] if one.stage == DECODE else 1.0
        measured[one.request] = measured.get(one.request, 0.0) + times * one.ms
        guessed[one.request] = guessed.get(one.request, 0.0) + times * float(value)
    return statistics.fmean(abs(guessed[name] / measured[name] - 1.0) for name in measured)


def terms(seen: Sequence[Observation], unseen: Sequence[Observation]) -> Array:
    """trimoe's: non-negative terms of what the machine does."""
    return predict_terms(fit_terms(seen), unseen)


def lookup(seen: Sequence[Observation], unseen: Sequence[Observation]) -> Array:
    """The nearest measured cell, inputs scaled to the range that was measured."""
    known, asked = _inputs(seen), _inputs(unseen)
    scale = np.maximum(np.ptp(known, axis=0), 1e-12)
    distances = (((asked[:, None] - known[None]) / scale) ** 2).sum(axis=-1)
    values: Array = np.array([one.ms for one in seen])[distances.argmin(axis=1)]
    return values


def network(seen: Sequence[Observation], unseen: Sequence[Observation]) -> Array:
    """A network of two hidden layers on scaled inputs, predicting the logarithm of the time."""
    known, asked = _inputs(seen), _inputs(unseen)
    mean, scale = known.mean(axis=0), np.maximum(known.std(axis=0), 1e-12)
    times = np.log([one.ms for one in seen])
    model = MLPRegressor(hidden_layer_sizes=HIDDEN, solver="lbfgs", alpha=1e-3, max_iter=2000, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((known - mean) / scale, times - times.mean())
    logarithms = model.predict((asked - mean) / scale) + times.mean()
    found: Array = np.exp(np.clip(logarithms, times.min() - 3.0, times.max() + 3.0))
    return found


def _inputs(observations: Sequence[Observation]) -> Array:
    """What the study's estimator was given: tokens, top_k of the blocks after the first, depth; here also the batch and
    the position."""
    return np.array(
        [
            [
                one.load.batch,
                one.load.vision_tokens,
                one.load.text_tokens,
                sum((k or 0) * count for k, count in one.layers.counts) / one.layers.depth,
                one.layers.depth,
                one.position,
            ]
            for one in observations
        ]
    )


WAYS: Mapping[str, Predictor] = {OURS: terms, "lookup": lookup, "network": network}
