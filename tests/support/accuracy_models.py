"""Settings drawn by chance, what a made-up model would score on them, and accuracy models fitted to that."""

import random
from collections.abc import Sequence

import numpy as np

from profiles.evidence.accuracy_model.fit import MeasuredTask, fit_task
from runtime.documents.accuracy.accuracy_model import AccuracyModel, Domain, Score, Setting

BLOCKS, TOP_K, SAMPLES, LEVEL = 8, 8, 2000, 0.9
WHOLE = Setting(layers=tuple(range(BLOCKS)), top_k=(TOP_K,) * BLOCKS)
SOURCE = "5" * 64


def settings(count: int, seed: int) -> tuple[Setting, ...]:
    """The whole model, each block removed, then draws of up to three removed blocks and any experts; no two alike."""
    rng = random.Random(seed)
    found = [WHOLE, *(removing((block,)) for block in range(1, BLOCKS))]
    while len(found) < count:
        removed = rng.sample(range(1, BLOCKS), rng.randint(0, 3))
        one = removing(removed, [TOP_K, *(rng.choice((8, 4, 2, 1)) for _ in range(1, BLOCKS))])
        if one not in found:
            found.append(one)
    return tuple(found[:count])


def removing(removed: Sequence[int], top_k: Sequence[int] = WHOLE.top_k) -> Setting:
    """The model without some blocks; `top_k` has an entry a block."""
    layers = tuple(block for block in range(BLOCKS) if block not in removed)
    return Setting(layers=layers, top_k=tuple(top_k[block] for block in layers))


def true_score(setting: Setting, seed: int = 0) -> float:
    """A share: log-odds that blocks, pairs of them and fewer experts take from."""
    rng = np.random.default_rng(seed)
    own, experts = rng.gamma(1.0, 0.4, BLOCKS), rng.gamma(1.0, 0.03, BLOCKS)
    pairs = np.triu(rng.normal(0, 0.15, (BLOCKS, BLOCKS)), 1)
    gone = np.array([block not in setting.layers for block in range(BLOCKS)], float)
    lowered = np.zeros(BLOCKS)
    lowered[list(setting.layers)] = np.log2(TOP_K / np.array(setting.top_k)) / 3
    lost = own @ gone + gone @ pairs @ gone + experts @ lowered
    return float(1 / (1 + np.exp(lost - 2.5)))


def measured_task(chosen: Sequence[Setting], seed: int = 0, samples: int = SAMPLES) -> MeasuredTask:
    """The settings' scores on so many samples that all settings answer."""
    rng = np.random.default_rng(seed)
    shares = [true_score(one, seed) for one in chosen]
    drawn = [rng.binomial(samples, share) / samples for share in shares]
    scores = [
        Score(setting=place, score=score, error=float(np.sqrt(score * (1 - score) / samples)))
        for place, score in enumerate(drawn)
    ]
    return MeasuredTask(task="read", metric="exact_match", samples=samples, scores=tuple(scores))


def accuracy_model(count: int = 40, seed: int = 0) -> AccuracyModel:
    """Fitted on so many settings."""
    chosen = settings(count, seed)
    task = fit_task(measured_task(chosen, seed), chosen, blocks=BLOCKS, top_k=TOP_K, level=LEVEL)
    return AccuracyModel(
        trimoe="0",
        source_digest=SOURCE,
        blocks=BLOCKS,
        top_k=TOP_K,
        level=LEVEL,
        settings=chosen,
        tasks=(task,),
        domain=Domain(most_removed=3, least_top_k=1),
    )
