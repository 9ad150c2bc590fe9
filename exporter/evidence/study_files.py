"""Files of the pruning study that hold measurements and no choice of blocks: refused, naming the file that has one."""

from dataclasses import dataclass
from pathlib import Path

from runtime.documents.checked_json import Node
from runtime.errors import PlanError

MERGED = "give --importance the scores that the study's merge wrote, layer_importance_scores_simple.json or _full.json"
ANALYSED = (
    "give --recommendations the cross_dataset_analysis.json or pruning_recommendations.json made from all of them"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFile:
    """One kind of file that the pruning study's scripts write: how its name looks, the keys that only it has together,
    what it holds, what to give instead."""

    pattern: str
    keys: tuple[str, ...]
    holds: str
    instead: str


STUDY_FILES = (
    StudyFile(
        pattern="importance_comparison_*.json",
        keys=("train_scores", "validation_scores"),
        holds="the scores of one data set's train and validation splits",
        instead=MERGED,
    ),
    StudyFile(
        pattern="sensitivity_block_*.json",
        keys=("block_idx", "ablated_accuracy"),
        holds="the sensitivity of one block on one data set",
        instead=MERGED,
    ),
    StudyFile(
        pattern="exp3_accuracy_sensitivity_v2_results.json",
        keys=("summary", "baseline_accuracy"),
        holds="the beam search on one data set",
        instead=ANALYSED,
    ),
    StudyFile(
        pattern="beam_search_step*.json",
        keys=("active_block_indices", "removed_block_indices"),
        holds="one configuration of the beam search on one data set",
        instead=ANALYSED,
    ),
    StudyFile(
        pattern="*.json",
        keys=("per_sample_results",),
        holds="latencies of single samples",
        instead="evidence is a file of scores or of recommended blocks",
    ),
)
_MOST_LISTED = 10_000


def refuse_measurements(node: Node, *, path: Path) -> None:
    """Raise PlanError when the document is a file of the study that holds no choice."""
    keys = {key for key, _ in node.items()}
    for kind in STUDY_FILES:
        if keys.issuperset(kind.keys):
            raise PlanError(f"{path}: holds {kind.holds}, which is no choice of blocks; {kind.instead}")


def refuse_folder(path: Path) -> None:
    """Raise PlanError when the path is a folder, saying which of its files (or of the study's) to give."""
    if not path.is_dir():
        return
    names = [found.name for found, _ in zip(path.rglob("*.json"), range(_MOST_LISTED), strict=False)]
    for kind in STUDY_FILES[:-1]:
        if any(Path(name).match(kind.pattern) for name in names):
            raise PlanError(f"{path}: a folder of {kind.pattern}, each of which holds {kind.holds}; {kind.instead}")
    raise PlanError(f"{path}: a folder; evidence is a file of scores or of recommended blocks")
