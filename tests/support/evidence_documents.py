"""Evidence documents in the shapes that the study's scripts write, for tests to change and break."""

import json
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from exporter.evidence.evidence import Recommendations
from exporter.evidence.files import as_recommendations, read_evidence_file
from exporter.evidence.strategies import Rule
from tests.support.paths import TEST_DATA

MOLMOE = TEST_DATA / "molmoe-1b"
STUDY_SCORES = MOLMOE / "layer_importance_scores.json"
ASSIGNED_SCORES = MOLMOE / "layer_importance_scores_exp3_recommended.json"


def combination(drops: dict[str, float], *blocks: int) -> tuple[str, dict[str, Any]]:
    """Key and entry of one combination of cross_dataset_analysis.json."""
    return str(blocks), {
        "removed_blocks": list(blocks),
        "num_removed": len(blocks),
        "avg_accuracy_drop": fmean(drops.values()),
        "std_accuracy_drop": pstdev(drops.values()),
        "avg_accuracy": 0.7,
        "num_datasets_tested": len(drops),
        "datasets": sorted(drops, reverse=True),
        "accuracy_drops_by_dataset": drops,
    }


def analysis(*combinations: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """cross_dataset_analysis.json with these combinations."""
    return {
        "combination_stats": dict(combinations),
        "best_combinations": {},
        "all_combinations": [],
        "summary_stats": {},
    }


def recommendation(
    *blocks: int, drop: float = 0.05, std: float = 0.01, datasets: tuple[str, ...] = ("okvqa", "doc-qa")
) -> dict[str, Any]:
    """One entry of pruning_recommendations.json."""
    return {
        "removed_blocks": list(blocks),
        "avg_drop": drop,
        "std_drop": std,
        "num_datasets": len(datasets),
        "datasets": list(datasets),
    }


def write_json(path: Path, document: Any) -> Path:
    """Write a document (or bytes, as they are) and return its path."""
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return path


def recommended(
    path: Path, *, strategy: str | None = None, min_datasets: int = 3, protected: tuple[int, ...] = (0,)
) -> Recommendations:
    source = read_evidence_file(path)
    return as_recommendations(
        source, Rule(strategy=strategy, min_datasets=min_datasets, protected=protected), blocks=16
    )


def sets(found: Recommendations) -> list[list[int]]:
    return [list(step.blocks) for step in found.steps]
