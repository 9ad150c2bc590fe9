"""Which settings to measure: first those that tell each block's effect apart, then those that are known the least."""

import random
from collections.abc import Sequence

import numpy as np

from runtime.accuracy.effects import Floats, Taken, covariances, own_variances
from runtime.accuracy.frontier import Allowed
from runtime.accuracy.predictor import scales_of
from runtime.documents.accuracy.accuracy_model import AccuracyModel, Setting

POOL = 600


def first_settings(allowed: Allowed) -> tuple[Setting, ...]:
    """The whole model, each number of experts in all blocks at once, and each removable block alone."""
    whole = allowed.whole
    steps = sorted({k for ks in allowed.top_k.values() for k in ks}, reverse=True)
    uniform = [
        Setting(
            layers=whole.layers,
            top_k=tuple(min((k for k in ks if k >= step), default=ks[0]) for ks in allowed.top_k.values()),
        )
        for step in steps
    ]
    alone = [_without(whole, (block,)) for block in sorted(allowed.removable)] if allowed.most_removed else []
    return tuple(dict.fromkeys((whole, *uniform, *alone)))


def random_settings(allowed: Allowed, count: int, rng: random.Random) -> tuple[Setting, ...]:
    """Distinct draws: as many blocks removed as any other number, half of them with experts lowered in some blocks to
    one number or to several; fewer than `count` where there are no more."""
    found: dict[Setting, None] = {}
    for _ in range(20 * count):
        if len(found) == count:
            break
        removed = rng.sample(sorted(allowed.removable), rng.randint(0, allowed.most_removed))
        found[_without(_lowered(allowed, rng), removed)] = None
    return tuple(found)


def least_known(
    model: AccuracyModel, known: Sequence[Setting], pool: Sequence[Setting], count: int
) -> tuple[Setting, ...]:
    """Of the pool, those whose measurement would lower the variance of the predictions of the whole pool by the most,
    one after the other, over all tasks; for a Gaussian process it does not depend on what they score."""
    chosen: list[Setting] = []
    covariance = [_posterior(model, place, known, pool) for place in range(len(model.tasks))]
    for _ in range(min(count, len(pool))):
        gains = sum((one**2).sum(0) / (np.diag(one) + noise) / np.trace(one) for one, noise in covariance)
        gains = np.where([setting in chosen for setting in pool], -1.0, gains)
        place = int(np.argmax(gains))
        chosen.append(pool[place])
        covariance = [
            (one - np.outer(one[:, place], one[place]) / (one[place, place] + noise), noise)
            for one, noise in covariance
        ]
    return tuple(chosen)


def _posterior(
    model: AccuracyModel, place: int, known: Sequence[Setting], pool: Sequence[Setting]
) -> tuple[Floats, float]:
    """What is not known of the pool once the settings `known` were measured, and the variance of one measurement."""
    task = model.tasks[place]
    scales = scales_of(task)
    old, new = (Taken.of(one, blocks=model.blocks, top_k=model.top_k, power=task.power) for one in (known, pool))
    noise = task.variances.residual + 1e-3 * float(scales @ own_variances(new).mean(axis=1)) + 1e-9
    between = np.tensordot(scales, covariances(new, old), 1)
    inner = np.tensordot(scales, covariances(old, old), 1) + noise * np.eye(len(known))
    outer = np.tensordot(scales, covariances(new, new), 1)
    left: Floats = outer - between @ np.linalg.solve(inner, between.T)
    return left, noise


def _lowered(allowed: Allowed, rng: random.Random) -> Setting:
    whole = allowed.whole
    share, same = rng.choice((0.0, 0.0, 0.5, 1.0)), rng.random() < 0.5
    one = rng.random()
    top_k = tuple(
        ks[int((one if same else rng.random()) * len(ks))] if rng.random() < share else ks[0]
        for ks in allowed.top_k.values()
    )
    return Setting(layers=whole.layers, top_k=top_k)


def _without(setting: Setting, removed: Sequence[int]) -> Setting:
    kept = [(block, k) for block, k in zip(setting.layers, setting.top_k, strict=True) if block not in removed]
    return Setting(layers=tuple(block for block, _ in kept), top_k=tuple(k for _, k in kept))
