"""Files of the pruning study that hold measurements and no choice of blocks: refused, naming the file that has one."""

from pathlib import Path
from typing import NamedTuple

from runtime.documents.checked_json import Node
from runtime.errors import PlanError

MERGED = "give --importance the scores that the study's merge wrote, layer_importance_scores_simple.json or _full.json"
ANALYSED = (
    "give --recommendations the cross_dataset_analysis.json or pruning_recommendations.json made from all of them"
)
NEITHER = "evidence is a file of scores or of recommended blocks"


class StudyFile(NamedTuple):
    """One kind of file that the pruning study's scripts write: how its name looks (None: like any other), the keys that
    only it has together, what it holds, what to give instead."""

    pattern: str | None
    keys: frozenset[str]
    holds: str
    instead: str


STUDY_FILES = tuple(
    StudyFile(pattern, frozenset(keys.split()), holds, instead)
    for pattern, keys, holds, instead in (
        (
            "importance_comparison_*.json",
            "train_scores validation_scores",
            "the scores of one data set's train and validation splits",
            MERGED,
        ),
        (
            "sensitivity_block_*.json",
            "block_idx ablated_accuracy",
            "the sensitivity of one block on one data set",
            MERGED,
        ),
        (
            "exp3_accuracy_sensitivity_v2_results.json",
            "summary baseline_accuracy",
            "the beam search on one data set",
            ANALYSED,
        ),
        (
            "beam_search_step*.json",
            "active_block_indices removed_block_indices",
            "one configuration of the beam search on one data set",
            ANALYSED,
        ),
        (None, "per_sample_results", "latencies of single samples", NEITHER),
    )
)
_MOST_LISTED = 10_000


def refuse_measurements(node: Node, *, path: Path) -> None:
    """Raise PlanError when the document is a file of the study that holds no choice."""
    keys = {key for key, _ in node.items()}
    for kind in STUDY_FILES:
        if keys >= kind.keys:
            raise PlanError(f"{path}: holds {kind.holds}, which is no choice of blocks; {kind.instead}")


def refuse_folder(path: Path) -> None:
    """Raise PlanError when the path is a folder, saying which of its files (or of the study's) to give."""
    if not path.is_dir():
        return
    names = [found.name for found, _ in zip(path.rglob("*.json"), range(_MOST_LISTED), strict=False)]
    for kind in STUDY_FILES:
        if kind.pattern is not None and any(Path(name).match(kind.pattern) for name in names):
            raise PlanError(f"{path}: a folder of {kind.pattern}, each of which holds {kind.holds}; {kind.instead}")
    raise PlanError(f"{path}: a folder; {NEITHER}")
