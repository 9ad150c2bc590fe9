"""Covariances of effects, against sums written out."""

from itertools import combinations

import numpy as np
import pytest

from runtime.accuracy.effects import TERMS, Taken, covariances, own_variances
from tests.support.accuracy_models import BLOCKS, TOP_K, WHOLE, settings

CHOSEN = settings(14, 3)


@pytest.fixture(scope="module")
def taken() -> Taken:
    return Taken.of(CHOSEN, blocks=BLOCKS, top_k=TOP_K, power=1.0)


def test_each_term_is_the_sum_over_the_effects_that_two_settings_share(taken: Taken) -> None:
    found = dict(zip(TERMS, covariances(taken, taken), strict=True))
    for one, other in ((9, 12), (3, 13), (11, 10)):
        r, s, t, u = taken.removed[one], taken.removed[other], taken.lowered[one], taken.lowered[other]
        pairs = list(combinations(range(BLOCKS), 2))
        expected = {
            "removed_shared": r.sum() * s.sum(),
            "removed_own": (r * s).sum(),
            "removed_pairs": sum(r[a] * r[b] * s[a] * s[b] for a, b in pairs),
            "experts_shared": t.sum() * u.sum(),
            "experts_own": (t * u).sum(),
            "experts_pairs": sum(t[a] * t[b] * u[a] * u[b] for a, b in pairs),
            "crossed_pairs": sum(r[a] * t[b] * s[a] * u[b] for a in range(BLOCKS) for b in range(BLOCKS)),
            "curvature": ((r + t).sum() * (s + u).sum()) ** 2,
        }
        assert {name: values[one, other] for name, values in found.items()} == pytest.approx(expected)


def test_a_settings_own_variances_are_the_diagonal(taken: Taken) -> None:
    expected = np.stack([np.diag(one) for one in covariances(taken, taken)])
    np.testing.assert_allclose(own_variances(taken), expected, atol=1e-12)


def test_the_whole_model_loses_nothing(taken: Taken) -> None:
    assert CHOSEN[0] == WHOLE
    assert not covariances(taken, taken)[:, 0].any()
