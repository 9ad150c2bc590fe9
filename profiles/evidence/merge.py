"""Importance scores of several data sets merged into one ranking, with the weights of the pruning study of
MolmoE-1B."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from profiles.evidence.importance import Scores, keyed

TRAIN_WEIGHT, VALIDATION_WEIGHT = 0.6, 0.4


def merged_importance(comparisons: Mapping[str, tuple[Scores, Scores]]) -> dict[str, Any]:
    """The document `layer_importance_scores_full.json`: 0.6 · train + 0.4 · validation per data set, then the average
    over data sets.

    `comparisons` has the scores of both splits by data set, at least one, all over the same blocks.
    """
    per_dataset = {
        name: {block: TRAIN_WEIGHT * train[block] + VALIDATION_WEIGHT * validation[block] for block in sorted(train)}
        for name, (train, validation) in comparisons.items()
    }
    blocks = sorted(next(iter(per_dataset.values())))
    scores = {block: fmean(part[block] for part in per_dataset.values()) for block in blocks}
    return {
        "method": "average",
        "train_weight": TRAIN_WEIGHT,
        "validation_weight": VALIDATION_WEIGHT,
        "datasets": list(per_dataset),
        "per_dataset_scores": {name: keyed(part) for name, part in per_dataset.items()},
        "scores": keyed(scores),
        "ranking": sorted(blocks, key=lambda block: (-scores[block], block)),
    }
