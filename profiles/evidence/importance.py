"""Importance of single blocks: what a data set loses without each, and how well two splits of it agree.

Files and keys are those of the pruning study of MolmoE-1B (its `sensitivity_block_<i>.json` and
`importance_comparison_<dataset>.json`).
"""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from scipy.stats import rankdata

Scores = Mapping[int, float]
"""Importance by block number, higher = keep."""


def sensitivity(
    block: int, *, baseline: float, ablated: float, samples: int, dataset: str, split: str
) -> dict[str, Any]:
    """The document `sensitivity_block_<i>.json`: importance is the accuracy of the whole model, `baseline`, minus that
    without the block, `ablated`; both are fractions."""
    return {
        "block_idx": block,
        "baseline_accuracy": baseline,
        "ablated_accuracy": ablated,
        "importance_score": baseline - ablated,
        "num_samples": samples,
        "dataset_name": dataset,
        "split": split,
    }


def comparison(dataset: str, train: Scores, validation: Scores) -> dict[str, Any]:
    """The document `importance_comparison_<dataset>.json` of two splits."""
    return {
        "dataset_name": dataset,
        "train_scores": keyed(train),
        "validation_scores": keyed(validation),
        "spearman_correlation": spearman(train, validation),
    }


def spearman(first: Scores, second: Scores) -> float:
    """Spearman's rank correlation (1904) of two score maps over the same blocks; ties share their mean rank.

    0.0 when one map is constant, where `scipy.stats.spearmanr` gives NaN and a warning; its result also differs from
    this one in the last bit, so that files of evidence would not come out the same.
    """
    blocks = sorted(first)
    ranks = [rankdata([scores[block] for block in blocks]).tolist() for scores in (first, second)]
    means = [fmean(part) for part in ranks]
    spread = [sum((rank - mean) ** 2 for rank in part) for part, mean in zip(ranks, means, strict=True)]
    if 0 in spread:
        return 0.0
    joint = sum((one - means[0]) * (other - means[1]) for one, other in zip(*ranks, strict=True))
    return float(joint / (spread[0] * spread[1]) ** 0.5)


def keyed(scores: Scores) -> dict[str, float]:
    """Scores as a JSON object, ascending in block numbers."""
    return {str(block): scores[block] for block in sorted(scores)}
