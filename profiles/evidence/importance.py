"""Importance of single blocks: what a data set loses without each, and how well two splits of it agree.

Files and keys are those of the pruning study of MolmoE-1B (its `sensitivity_block_<i>.json` and
`importance_comparison_<dataset>.json`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from scipy.stats import rankdata

from runtime.documents.checked_json import read_document

_ROUNDING = 1e-9

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Sensitivity:
    """What a split of a data set loses without one block: `importance` is `baseline` minus what is left; `metric` None
    where the file does not say, as the study's do not."""

    block: int
    dataset: str
    split: str
    samples: int
    baseline: float
    importance: float
    metric: str | None


def read_sensitivity(path: Path) -> Sensitivity:
    """Read `sensitivity_block_<i>.json`. Raises DocumentError naming file and key, also where the importance is not the
    difference of the two accuracies (1e-9)."""
    node = read_document(path)
    baseline, ablated = (node.require(key).number() for key in ("baseline_accuracy", "ablated_accuracy"))
    importance, metric = node.require("importance_score"), node.get("metric")
    if abs(importance.number() - (baseline - ablated)) > _ROUNDING:
        importance.fail(f"{importance.value}, but baseline_accuracy - ablated_accuracy is {baseline - ablated}")
    return Sensitivity(
        block=node.require("block_idx").integer(minimum=0),
        dataset=node.require("dataset_name").string(),
        split=node.require("split").string(),
        samples=node.require("num_samples").integer(minimum=1),
        baseline=baseline,
        importance=importance.number(),
        metric=None if metric is None else metric.string(),
    )


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
