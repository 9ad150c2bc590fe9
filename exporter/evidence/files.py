"""Reading evidence files: what kind a file is, and its content as a value."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.evidence.combinations import read_combinations
from exporter.evidence.evidence import ANALYSIS, ROBUST, Importance, Recommendations
from exporter.evidence.importance import SCORE_KEYS, read_scores
from exporter.evidence.recommendations import read_steps
from exporter.evidence.strategies import Rule, Steps, choose_steps
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
    def is_importance(self) -> bool:
        """Whether this holds scores: numbers by block, or under one of the keys of the full form."""
        entries = self.node.items()
        return any(key in SCORE_KEYS or (key.isdigit() and isinstance(one.value, int | float)) for key, one in entries)

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


def as_recommendations(source: EvidenceFile, rule: Rule, *, blocks: int) -> Recommendations:
    """Recommended sets: pruning_recommendations.json as it stands, or cross_dataset_analysis.json under a strategy
    (default: stepwise).

    A strategy leaves out the sets that remove one of the protected blocks; ready recommendations are returned with
    them.

    Raises DocumentError naming file and place; PlanError when a strategy is asked of a file that holds ready
    recommendations, and when the strategy finds no candidate.
    """
    if source.is_importance:
        raise PlanError(
            f"{source.path}: holds importance scores, not recommended sets of blocks; give it as --importance"
        )
    if source.is_analysis:
        return _from_analysis(source, rule, blocks=blocks)
    if rule.strategy is not None:
        raise PlanError(
            f"{source.path}: --strategy {rule.strategy} needs a cross_dataset_analysis.json; this file holds ready "
            "recommendations"
        )
    steps = Steps(sets=read_steps(source.node, blocks=blocks), barred=(), beyond=(), notes=())
    return _recommendations(source, steps, kind="recommendations", strategy="recommendations")


def _from_analysis(source: EvidenceFile, rule: Rule, *, blocks: int) -> Recommendations:
    combinations = read_combinations(source.node, blocks=blocks)
    steps = choose_steps(combinations, rule, file=source.label, blocks=blocks)
    name = f"{ROBUST} (at least {rule.min_datasets} data sets)" if rule.name == ROBUST else rule.name
    if not steps.sets and not steps.barred:
        needed = f"a candidate was tried on at least {rule.least_datasets} data sets, and its mean drop is 0 or more"
        found = f"strategy {name} finds no candidate among {len(combinations)} combinations"
        raise PlanError(f"{source.path}: combination_stats: {found}: {needed}")
    return _recommendations(source, steps, kind=ANALYSIS, strategy=name)


def _recommendations(source: EvidenceFile, steps: Steps, *, kind: str, strategy: str) -> Recommendations:
    return Recommendations(
        file=source.label,
        path=str(source.path),
        sha256=source.sha256,
        kind=kind,
        strategy=strategy,
        steps=steps.sets,
        notes=steps.notes,
        barred=steps.barred,
        beyond=steps.beyond,
    )


def as_any(source: EvidenceFile, rule: Rule, *, blocks: int) -> Importance | Recommendations:
    """Evidence of whichever kind the file holds; a strategy is used only for a cross-data-set analysis."""
    if source.is_analysis:
        return as_recommendations(source, rule, blocks=blocks)
    if source.is_recommendations:
        return as_recommendations(source, replace(rule, strategy=None), blocks=blocks)
    return as_importance(source, blocks=blocks)
