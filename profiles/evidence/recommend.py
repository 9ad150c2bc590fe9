"""From the searches of several data sets to recommended removals.

Files and keys are those of the pruning study of MolmoE-1B; the rule that recommends is the exporter's.
"""

from collections.abc import Iterable, Mapping
from statistics import fmean, pstdev
from typing import Any

from exporter.evidence.evidence import STEPWISE, RemovalSet
from exporter.evidence.strategies import LEAST_DATASETS, Rule, choose_steps
from runtime.documents.manifest import DropRecord

ANALYSIS_FILE = "cross_dataset_analysis.json"

Removed = tuple[int, ...]


def cross_dataset_analysis(searches: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The document `cross_dataset_analysis.json` from each data set's search results."""
    found: dict[Removed, dict[str, tuple[float, float]]] = {}
    for dataset, search in searches.items():
        for row in search["summary"]:
            removed = tuple(row["removed_block_indices"])
            found.setdefault(removed, {})[dataset] = (row["accuracy_drop"], row["accuracy"])
    statistics = {removed: _combination(removed, by_dataset) for removed, by_dataset in found.items()}
    ordered = sorted(statistics.values(), key=lambda entry: (entry["num_removed"], entry["avg_accuracy_drop"]))
    shared = [entry for entry in ordered if _is_candidate(entry)]
    return {
        "combination_stats": {str(removed): entry for removed, entry in statistics.items()},
        "best_combinations": {
            str(count): next(entry for entry in shared if entry["num_removed"] == count) for count in _counts(shared)
        },
        "all_combinations": ordered,
        "dataset_specific_best": {name: _best_rows(search, _counts(ordered)) for name, search in searches.items()},
        "summary_stats": {
            "num_datasets": len(searches),
            "num_combinations": len(ordered),
            "num_shared_combinations": len(shared),
        },
    }


def _combination(removed: Removed, by_dataset: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """One set of blocks over the data sets it was tried on: mean drop, population spread, mean accuracy."""
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


def _is_candidate(entry: Mapping[str, Any]) -> bool:
    """What may be recommended: seen on two data sets at least, and no gain by chance."""
    return bool(entry["num_datasets_tested"] >= LEAST_DATASETS and entry["avg_accuracy_drop"] >= 0)


def _counts(entries: Iterable[Mapping[str, Any]]) -> list[int]:
    return sorted({entry["num_removed"] for entry in entries})


def recommendations(analysis: Mapping[str, Any], *, blocks: int) -> dict[str, Any]:
    """The document `pruning_recommendations.json` of a model with `blocks` blocks: the stepwise rule of
    `exporter.evidence.strategies.choose_steps`."""
    steps = choose_steps(
        _removal_sets(analysis), Rule(strategy=STEPWISE, protected=()), file=ANALYSIS_FILE, blocks=blocks
    )
    pairs = zip(steps.sets, (None, *steps.sets), strict=False)
    return {str(len(step.blocks)): _step(step, previous) for step, previous in pairs}


def _removal_sets(analysis: Mapping[str, Any]) -> tuple[RemovalSet, ...]:
    """The combinations of an analysis, in the order of the file."""
    return tuple(
        RemovalSet(
            blocks=tuple(entry["removed_blocks"]),
            drop=DropRecord(
                mean=entry["avg_accuracy_drop"],
                std=entry["std_accuracy_drop"],
                datasets=tuple(entry["datasets"]),
            ),
            place=f"combination_stats.{name}",
        )
        for name, entry in analysis["combination_stats"].items()
    )


def _step(step: RemovalSet, previous: RemovalSet | None) -> dict[str, Any]:
    fields = {
        "removed_blocks": list(step.blocks),
        "avg_drop": step.drop.mean,
        "std_drop": step.drop.std,
        "num_datasets": len(step.drop.datasets),
        "datasets": list(step.drop.datasets),
    }
    return fields if previous is None else fields | {"incremental_drop": step.drop.mean - previous.drop.mean}
