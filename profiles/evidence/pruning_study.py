"""Conclusions from measured accuracies: merged importance, comparison across data sets, recommended removals.

Pure functions; the documents they return have the shapes of a pruning study's files.
"""

from collections.abc import Iterable, Mapping
from statistics import fmean, pstdev
from typing import Any

TRAIN_WEIGHT, VALIDATION_WEIGHT = 0.6, 0.4

Scores = Mapping[int, float]
Removed = tuple[int, ...]


def spearman(first: Scores, second: Scores) -> float:
    """Rank correlation of two score maps over the same blocks; ties share their mean rank. 0.0 when one map is
    constant."""
    blocks = sorted(first)
    ranks = [_ranks([scores[block] for block in blocks]) for scores in (first, second)]
    means = [fmean(part) for part in ranks]
    spread = [sum((rank - mean) ** 2 for rank in part) for part, mean in zip(ranks, means, strict=True)]
    if 0 in spread:
        return 0.0
    joint = sum((one - means[0]) * (other - means[1]) for one, other in zip(*ranks, strict=True))
    return float(joint / (spread[0] * spread[1]) ** 0.5)


def _ranks(values: list[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) + 1) / 2 for value in values]


def comparison(dataset: str, train: Scores, validation: Scores) -> dict[str, Any]:
    """The document `importance_comparison_<dataset>.json`."""
    return {
        "dataset_name": dataset,
        "train_scores": _keyed(train),
        "validation_scores": _keyed(validation),
        "spearman_correlation": spearman(train, validation),
    }


def merged_importance(comparisons: Mapping[str, tuple[Scores, Scores]]) -> dict[str, Any]:
    """The full merged document: 0.6 · train + 0.4 · validation per data set, then the average over data sets."""
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
        "per_dataset_scores": {name: _keyed(part) for name, part in per_dataset.items()},
        "scores": _keyed(scores),
        "ranking": sorted(blocks, key=lambda block: (-scores[block], block)),
    }


def _keyed(scores: Scores) -> dict[str, float]:
    return {str(block): scores[block] for block in sorted(scores)}


def cross_dataset_analysis(searches: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The document `cross_dataset_analysis.json` from each data set's search results."""
    found: dict[Removed, dict[str, tuple[float, float]]] = {}
    for dataset, search in searches.items():
        for row in search["summary"]:
            removed = tuple(row["removed_block_indices"])
            found.setdefault(removed, {})[dataset] = (row["accuracy_drop"], row["accuracy"])
    statistics = {removed: _combination(removed, by_dataset) for removed, by_dataset in found.items()}
    ordered = sorted(statistics.values(), key=lambda entry: (entry["num_removed"], entry["avg_accuracy_drop"]))
    shared = [entry for entry in ordered if _candidate(entry)]
    counts = sorted({entry["num_removed"] for entry in ordered})
    return {
        "combination_stats": {str(removed): entry for removed, entry in statistics.items()},
        "best_combinations": {
            str(count): next(entry for entry in shared if entry["num_removed"] == count) for count in _counts(shared)
        },
        "all_combinations": ordered,
        "dataset_specific_best": {name: _best_rows(search, counts) for name, search in searches.items()},
        "summary_stats": {
            "num_datasets": len(searches),
            "num_combinations": len(ordered),
            "num_shared_combinations": len(shared),
        },
    }


def _combination(removed: Removed, by_dataset: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    drops = {dataset: drop for dataset, (drop, _) in by_dataset.items()}
    return {
        "removed_blocks": list(removed),
        "num_removed": len(removed),
        "avg_accuracy_drop": fmean(drops.values()),
        "std_accuracy_drop": pstdev(drops.values()),
        "avg_accuracy": fmean(accuracy for _, accuracy in by_dataset.values()),
        "num_datasets_tested": len(drops),
        "datasets": list(drops),
        "accuracy_drops_by_dataset": drops,
    }


def _best_rows(search: Mapping[str, Any], counts: Iterable[int]) -> dict[str, Any]:
    rows = {count: [row for row in search["summary"] if len(row["removed_block_indices"]) == count] for count in counts}
    return {str(count): min(found, key=lambda row: row["accuracy_drop"]) for count, found in rows.items() if found}


def _candidate(entry: Mapping[str, Any]) -> bool:
    """What may be recommended: seen on two data sets at least, and no gain by chance."""
    return bool(entry["num_datasets_tested"] >= 2 and entry["avg_accuracy_drop"] >= 0)


def _counts(entries: Iterable[Mapping[str, Any]]) -> list[int]:
    return sorted({entry["num_removed"] for entry in entries})


def recommendations(analysis: Mapping[str, Any]) -> dict[str, Any]:
    """The document `pruning_recommendations.json`: step n takes the best superset of step n − 1, or else the best of
    its size."""
    candidates = [entry for entry in analysis["combination_stats"].values() if _candidate(entry)]
    chosen: dict[str, Any] = {}
    previous: dict[str, Any] | None = None
    for count in _counts(candidates):
        sized = [entry for entry in candidates if entry["num_removed"] == count]
        inherited = [
            entry for entry in sized if previous and set(previous["removed_blocks"]) <= set(entry["removed_blocks"])
        ]
        best = min(inherited or sized, key=lambda entry: entry["avg_accuracy_drop"])
        step = {
            "removed_blocks": best["removed_blocks"],
            "avg_drop": best["avg_accuracy_drop"],
            "std_drop": best["std_accuracy_drop"],
            "num_datasets": best["num_datasets_tested"],
            "datasets": best["datasets"],
        }
        if previous is not None:
            step["incremental_drop"] = best["avg_accuracy_drop"] - previous["avg_drop"]
        chosen[str(count)] = previous = step
    return chosen
