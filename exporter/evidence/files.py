"""Reading evidence files: what kind a file is, and its content as a value."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from exporter.evidence.combinations import read_combinations
from exporter.evidence.evidence import ANALYSIS, ROBUST, STEPWISE, Importance, Recommendations
from exporter.evidence.importance import read_scores
from exporter.evidence.recommendations import read_steps
from exporter.evidence.strategies import choose_steps, least_datasets
from exporter.evidence.study_files import refuse_folder, refuse_measurements
from runtime.documents.checked_json import Node, parse_document, read_bytes
from runtime.errors import PlanError


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceFile:
    """An evidence file that was read but not yet interpreted; `label` is what notes and the manifest call it."""

    path: Path
    label: str
    sha256: str
    node: Node

    @property
    def is_analysis(self) -> bool:
        """Whether this is a cross-data-set analysis, the only kind that a strategy applies to."""
        return self.node.get("combination_stats") is not None

    @property
    def is_recommendations(self) -> bool:
        """Whether this holds ready recommendations."""
        return any(isinstance(entry.value, dict) and "removed_blocks" in entry.value for _, entry in self.node.items())


def read_evidence_files(paths: tuple[Path, ...]) -> tuple[EvidenceFile, ...]:
    """Read files of evidence. They are called by their names, or where two have the same name by folder and name."""
    names = [path.name for path in paths]
    return tuple(
        read_evidence_file(path, label=path.name if names.count(path.name) == 1 else f"{path.parent.name}/{path.name}")
        for path in paths
    )


def read_evidence_file(path: Path, *, label: str | None = None) -> EvidenceFile:
    """Read a file of evidence. Raises DocumentError when it is no JSON object, PlanError for a folder and for the
    study's files that hold measurements and no choice."""
    refuse_folder(path)
    data = read_bytes(path)
    node = parse_document(data, file=str(path))
    refuse_measurements(node, path=path)
    return EvidenceFile(path=path, label=label or path.name, sha256=hashlib.sha256(data).hexdigest(), node=node)


def as_importance(source: EvidenceFile, *, blocks: int) -> Importance:
    """Importance scores, flat or in the full form, of a model with `blocks` blocks. Raises DocumentError naming file
    and place."""
    if source.is_analysis or source.is_recommendations:
        raise PlanError(
            f"{source.path}: holds recommended sets of blocks, not importance scores; give it as --recommendations"
        )
    return Importance(
        file=source.label, path=str(source.path), sha256=source.sha256, scores=read_scores(source.node, blocks=blocks)
    )


def as_recommendations(
    source: EvidenceFile, *, blocks: int, strategy: str | None, min_datasets: int, protected: tuple[int, ...]
) -> Recommendations:
    """Recommended sets: pruning_recommendations.json as it stands, or cross_dataset_analysis.json under a strategy
    (default: stepwise).

    A strategy leaves out the sets that remove one of the `protected` blocks; ready recommendations are returned with
    them.

    Raises DocumentError naming file and place; PlanError when a strategy is asked of a file that holds ready
    recommendations, and when the strategy finds no candidate.
    """
    if source.is_analysis:
        return _from_analysis(
            source, blocks=blocks, strategy=strategy or STEPWISE, min_datasets=min_datasets, protected=protected
        )
    if strategy is not None:
        raise PlanError(
            f"{source.path}: --strategy {strategy} needs a cross_dataset_analysis.json; this file holds ready "
            "recommendations"
        )
    steps = read_steps(source.node, blocks=blocks)
    kind = "recommendations"
    path = str(source.path)
    return Recommendations(
        file=source.label,
        path=path,
        sha256=source.sha256,
        kind=kind,
        strategy=kind,
        steps=steps,
        notes=(),
        barred=(),
    )


def _from_analysis(
    source: EvidenceFile, *, blocks: int, strategy: str, min_datasets: int, protected: tuple[int, ...]
) -> Recommendations:
    combinations = read_combinations(source.node, blocks=blocks)
    steps = choose_steps(
        combinations,
        file=source.label,
        blocks=blocks,
        strategy=strategy,
        min_datasets=min_datasets,
        protected=protected,
    )
    name = f"{ROBUST} (at least {min_datasets} data sets)" if strategy == ROBUST else strategy
    if not steps.sets and not steps.barred:
        rule = (
            f"a candidate was tried on at least {least_datasets(strategy, min_datasets)} data sets, and its "
            "mean drop is 0 or more"
        )
        found = f"strategy {name} finds no candidate among {len(combinations)} combinations"
        raise PlanError(f"{source.path}: combination_stats: {found}: {rule}")
    return Recommendations(
        file=source.label,
        path=str(source.path),
        sha256=source.sha256,
        kind=ANALYSIS,
        strategy=name,
        steps=steps.sets,
        notes=steps.notes,
        barred=steps.barred,
        beyond=steps.beyond,
    )


def as_any(
    source: EvidenceFile, *, blocks: int, strategy: str | None, min_datasets: int, protected: tuple[int, ...]
) -> Importance | Recommendations:
    """Evidence of whichever kind the file holds; a strategy is used only for a cross-data-set analysis."""
    if source.is_analysis:
        return as_recommendations(
            source, blocks=blocks, strategy=strategy, min_datasets=min_datasets, protected=protected
        )
    if source.is_recommendations:
        return as_recommendations(source, blocks=blocks, strategy=None, min_datasets=min_datasets, protected=protected)
    return as_importance(source, blocks=blocks)
