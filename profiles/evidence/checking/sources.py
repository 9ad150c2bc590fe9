"""What `trimoe check-evidence` is given: files of scores and recommendations, folders of results, a family."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.evidence.evidence import STEPWISE, Importance, Recommendations
from exporter.evidence.files import EvidenceFile, as_importance, as_recommendations, read_evidence_files
from exporter.evidence.strategies import Rule
from profiles.errors import MeasurementError
from profiles.evidence.combining.combination import Study
from profiles.evidence.combining.read_searches import CONFIGURATIONS, RESULTS_FILE
from profiles.evidence.combining.study import read_study
from profiles.evidence.importance import Sensitivity, read_sensitivity
from profiles.evidence.merging.study_tree import SENSITIVITIES
from runtime.documents.manifest import Manifest, read_manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """How sources are to be read: blocks of the model and the split as in `read_study`, and what is never removed."""

    blocks: int | None = None
    split: str | None = None
    protected: tuple[int, ...] = (0,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One file of sensitivity and where it lies."""

    path: Path
    sensitivity: Sensitivity


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """Everything that was given, of a model of `blocks` blocks. `configurations` are files of single configurations of
    a search; `manifest` is that of the family."""

    blocks: int
    protected: tuple[int, ...]
    importances: tuple[Importance, ...]
    recommendations: tuple[Recommendations, ...]
    study: Study | None
    sensitivities: tuple[Measured, ...]
    configurations: tuple[Path, ...]
    manifest: Manifest | None


def read_sources(paths: Sequence[Path], *, family: Path | None, asked: Asked) -> Sources:
    """Read files of evidence, folders of results (searches, sensitivities, or both) and a family.

    Raises MeasurementError where nothing can be compared, where two folders hold searches, and where the number of
    blocks is not known; and as the readers do.
    """
    folders = [path for path in paths if path.is_dir()]
    files = read_evidence_files(tuple(path for path in paths if not path.is_dir()))
    manifest = None if family is None else read_manifest(family)
    searched = [folder for folder in folders if any(folder.rglob(RESULTS_FILE))]
    searched += [file.path for file in files if file.is_analysis]
    if len(searched) > 1:
        raise MeasurementError(f"{searched[0]} and {searched[1]} both hold searches: give one of them")
    stated = asked.blocks if manifest is None else manifest.source.blocks
    study = read_study(searched[0], blocks=stated, split=asked.split) if searched else None
    blocks = stated or (None if study is None else study.blocks)
    if blocks is None:
        raise MeasurementError("how many blocks the model has is not known: give --blocks, or --family")
    sources = Sources(
        blocks=blocks,
        protected=asked.protected,
        importances=tuple(as_importance(file, blocks=blocks) for file in files if _holds_scores(file)),
        recommendations=_recommendations(files, asked.protected, blocks),
        study=study,
        sensitivities=tuple(_sensitivities(folders)),
        configurations=tuple(path for folder in folders for path in sorted(folder.rglob(CONFIGURATIONS))),
        manifest=manifest,
    )
    if not (sources.importances or sources.recommendations or study or sources.sensitivities or manifest):
        raise MeasurementError(f"{', '.join(map(str, paths))}: holds no evidence: neither results nor sensitivities")
    return sources


def _holds_scores(file: EvidenceFile) -> bool:
    return not file.is_analysis and not file.is_recommendations


def _recommendations(
    files: Sequence[EvidenceFile], protected: tuple[int, ...], blocks: int
) -> tuple[Recommendations, ...]:
    """Ready recommendations first; an analysis by the study's stepwise rule."""
    ready = [file for file in files if file.is_recommendations and not file.is_analysis]
    analyses = [file for file in files if file.is_analysis]
    return (
        *(as_recommendations(file, Rule(protected=protected), blocks=blocks) for file in ready),
        *(as_recommendations(file, Rule(strategy=STEPWISE, protected=protected), blocks=blocks) for file in analyses),
    )


def _sensitivities(folders: Sequence[Path]) -> list[Measured]:
    paths = [path for folder in folders for path in sorted(folder.rglob(SENSITIVITIES))]
    return [Measured(path=path, sensitivity=read_sensitivity(path)) for path in paths]
