"""A study seen from all sides."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from profiles.evidence.combining.analysis import is_candidate
from profiles.evidence.combining.combination import Combination, Study
from profiles.evidence.combining.recommend import Recommended, Settings, recommend
from profiles.evidence.comparing.consistency import Consistency, consistencies
from profiles.evidence.comparing.pairs import Pair, pairs
from profiles.evidence.comparing.parts import Parts, parts
from profiles.evidence.comparing.positions import Position, positions
from profiles.evidence.comparing.splits import SplitComparison, compare_splits
from profiles.evidence.comparing.task_types import TaskType, task_types, types_of


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Overview:
    """Everything that an analysis tells of a study; `types` has the task type of each data set, `candidates` what may
    be recommended, the least drop first."""

    study: Study
    recommended: Recommended
    candidates: tuple[Combination, ...]
    types: Mapping[str, str]
    task_types: tuple[TaskType, ...]
    positions: tuple[Position, ...]
    parts: tuple[Parts, ...]
    consistencies: tuple[Consistency, ...]
    pairs: tuple[Pair, ...]
    splits: tuple[SplitComparison, ...]


def look_over(study: Study, settings: Settings, *, types: Mapping[str, str]) -> Overview:
    """The overview of a study; `types` are task types of data sets whose names do not tell. Raises MeasurementError as
    `recommend` and `types_of` do."""
    known = types_of(study, types)

    def is_free(one: Combination) -> bool:
        return is_candidate(one) and not set(one.removed) & set(settings.protected)

    return Overview(
        study=study,
        recommended=recommend(study, settings),
        candidates=tuple(sorted((one for one in study.combinations if is_free(one)), key=lambda one: one.mean)),
        types=known,
        task_types=task_types(study, known),
        positions=positions(study),
        parts=parts(study),
        consistencies=consistencies(study),
        pairs=pairs(study, known),
        splits=compare_splits(Path(study.source)) if study.searches else (),
    )
