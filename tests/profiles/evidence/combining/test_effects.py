"""Estimates over all data sets: right where the truth is known, comparable, honest about what is missing."""

import numpy as np
import pytest

from profiles.benchmarks.recommendations.truth import BEAM, Truth, draw_truth, search_truth
from profiles.evidence.combining.combination import Combination
from profiles.evidence.combining.effects.components import between_rows
from profiles.evidence.combining.effects.estimate import estimate, leave_out
from profiles.evidence.combining.effects.fit import Effects, fit_effects
from profiles.evidence.combining.effects.observations import observe


def combination(*blocks: int, **drops: float) -> Combination:
    values = list(drops.values())
    return Combination(
        removed=blocks, drops=drops, mean=float(np.mean(values)), std=float(np.std(values)), accuracy=0.5
    )


def fitted(*found: Combination, datasets: tuple[str, ...] = ("a", "b"), blocks: int = 6) -> Effects:
    return fit_effects(observe(found, datasets, blocks=blocks))


@pytest.fixture(scope="module")
def known() -> tuple[Truth, Effects]:
    rng = np.random.default_rng(3)
    truth = draw_truth(rng, "normal", blocks=8, datasets=3)
    study = search_truth(rng, truth, cells=BEAM)
    return truth, fit_effects(observe(study.combinations, study.datasets, blocks=8))


def test_estimates_are_near_the_truth_and_their_intervals_hold_it(known: tuple[Truth, Effects]) -> None:
    truth, effects = known
    estimates = estimate(effects, effects.seen.removed)
    errors, held = [], []
    for removed in estimates.places:
        mean, low, high = estimates.interval(removed)
        errors.append(abs(mean - truth.mean(removed)))
        held.append(low <= truth.mean(removed) <= high)
    assert np.mean(errors) < 0.01 and np.mean(held) > 0.8


def test_leaving_a_drop_out_gives_what_fitting_without_it_gives(known: tuple[Truth, Effects]) -> None:
    effects = known[1]
    wide, parts = between_rows(effects.seen)
    covariance = wide + sum(v * part for v, part in zip(effects.variances, parts, strict=False))
    covariance += effects.variances[-1] * np.eye(len(covariance))
    drops, left, others = effects.seen.drops, 7, np.arange(len(covariance)) != 7
    predicted = covariance[left, others] @ np.linalg.solve(covariance[np.ix_(others, others)], drops[others])
    alone = effects.weights[left] / effects.precision[left, left] * effects.scale
    assert alone == pytest.approx(drops[left] - predicted, abs=1e-6)
    errors = leave_out(effects)
    assert errors.drops == len(drops) and errors.drop_mae < errors.drop_rms <= errors.combination_rms * 1.5


def test_a_combination_seen_only_where_little_is_lost_is_not_taken_for_better() -> None:
    effects = fitted(
        *(combination(block, a=0.02, b=0.20) for block in (1, 2, 3)),
        *(combination(one, other, a=0.04, b=0.40) for one, other in ((1, 2), (1, 3))),
        combination(2, 3, a=0.045),
    )
    estimates = estimate(effects, effects.seen.removed)
    mean, low, high = estimates.interval((2, 3))
    assert 0.2 < mean < 0.25 and mean - low < 0.05
    assert high - low > estimates.interval((1, 2))[2] - estimates.interval((1, 2))[1]
    sure = estimates.lower((1, 2), (2, 3))
    assert sure > 0.5 and sure + estimates.lower((2, 3), (1, 2)) == pytest.approx(1.0)


def test_a_combination_that_was_never_tried_has_a_wider_interval() -> None:
    effects = fitted(*(combination(block, a=0.02 * block, b=0.03 * block) for block in (1, 2, 3, 4)))
    estimates = estimate(effects, [(4,), (1, 4), (5,)])
    widths = [np.subtract(*estimates.interval(removed)[:0:-1]) for removed in estimates.places]
    assert widths[0] < widths[1] and widths[0] < widths[2]


def test_few_and_constant_drops_are_fitted_too() -> None:
    one = fitted(combination(1, a=0.05), datasets=("a",))
    assert estimate(one, [(1,)]).interval((1,))[0] == pytest.approx(0.05, abs=0.03)
    nothing = fitted(combination(1, a=0.0, b=0.0), combination(2, a=0.0))
    assert estimate(nothing, [(1,), (2,)]).means.tolist() == [0.0, 0.0]
