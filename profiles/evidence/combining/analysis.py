"""From the searches of several data sets to statistics of each combination, as the pruning study of MolmoE-1B computes
and writes them (its `cross_dataset_analysis.json`)."""

from collections.abc import Iterable, Sequence
from statistics import fmean, pstdev
from typing import Any

from exporter.evidence.strategies import LEAST_DATASETS
from profiles.evidence.combining.combination import Combination, Removed, Search, Study, Trial, sizes

ANALYSIS_FILE = "cross_dataset_analysis.json"


def combine(searches: Sequence[Search]) -> tuple[Combination, ...]:
    """Every combination over the data sets it was tried on, in the order of first appearance."""
    found: dict[Removed, dict[str, Trial]] = {}
    for search in searches:
        for trial in search.trials:
            found.setdefault(trial.removed, {})[search.dataset] = trial
    return tuple(
        Combination(
            removed=removed,
            drops={name: trial.drop for name, trial in trials.items()},
            mean=fmean(trial.drop for trial in trials.values()),
            std=pstdev(trial.drop for trial in trials.values()),
            accuracy=fmean(trial.accuracy for trial in trials.values()),
        )
        for removed, trials in found.items()
    )


def is_candidate(one: Combination) -> bool:
    """What may be recommended, as in the study: tried on two data sets at least, and no gain by chance."""
    return bool(one.removed) and one.count >= LEAST_DATASETS and one.mean >= 0


def analysis_document(study: Study) -> dict[str, Any]:
    """The document `cross_dataset_analysis.json`."""
    statistics = {one.name: _statistics(one) for one in study.combinations}
    ordered = sorted(study.combinations, key=lambda one: (len(one.removed), one.mean))
    shared = [one for one in ordered if is_candidate(one)]
    return {
        "combination_stats": statistics,
        "best_combinations": {
            str(size): next(statistics[one.name] for one in shared if len(one.removed) == size)
            for size in sizes(shared)
        },
        "all_combinations": [statistics[one.name] for one in ordered],
        "dataset_specific_best": {
            search.dataset: _best_trials(search, sizes(study.combinations)) for search in study.searches
        },
        "summary_stats": {
            "num_datasets": len(study.datasets),
            "num_combinations": len(ordered),
            "num_shared_combinations": len(shared),
        },
    }


def _statistics(one: Combination) -> dict[str, Any]:
    return {
        "removed_blocks": list(one.removed),
        "num_removed": len(one.removed),
        "avg_accuracy_drop": one.mean,
        "std_accuracy_drop": one.std,
        "avg_accuracy": one.accuracy,
        "num_datasets_tested": one.count,
        "datasets": list(one.drops),
        "accuracy_drops_by_dataset": dict(one.drops),
    }


def _best_trials(search: Search, counts: Iterable[int]) -> dict[str, Any]:
    found = {count: [trial for trial in search.trials if len(trial.removed) == count] for count in counts}
    best = {count: min(trials, key=lambda trial: trial.drop) for count, trials in found.items() if trials}
    return {
        str(count): {
            "step": count,
            "removed_block_indices": list(trial.removed),
            "accuracy": trial.accuracy,
            "accuracy_drop": trial.drop,
        }
        for count, trial in best.items()
    }
