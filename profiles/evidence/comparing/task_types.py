"""What kinds of tasks lose how much: data sets by type, and their drops by type and number of removed blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profiles.datasets.catalogue import LAYOUTS
from profiles.datasets.dataset import TASKS
from profiles.datasets.digits.dataset import DEMO_TYPES
from profiles.errors import MeasurementError
from profiles.evidence.combining.analysis import is_candidate
from profiles.evidence.combining.combination import Combination, Study, sizes
from profiles.evidence.comparing.summary import Summary, summarize

OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskType:
    """The data sets of one type. `overall` sums up, as the study does, the mean drops of the candidates that were
    tried on one of them, whatever the others were; `own` the drops on these data sets alone, without block 0.
    `by_size` has both for each number of removed blocks."""

    name: str
    datasets: tuple[str, ...]
    overall: Summary | None
    own: Summary | None
    by_size: Mapping[int, tuple[Summary | None, Summary | None]]


def types_of(study: Study, given: Mapping[str, str]) -> dict[str, str]:
    """The task type of each data set of the study: as given, or as its name is known, or else `OTHER`. Raises
    MeasurementError where a given name is none of the study's."""
    absent = sorted(set(given) - set(study.datasets))
    if absent:
        raise MeasurementError(f"no data set {absent[0]!r}: the results have {', '.join(study.datasets)}")
    known = {name: layout.settings.task for name, layout in LAYOUTS.items()} | dict(DEMO_TYPES)
    return {name: given.get(name, known.get(name, OTHER)) for name in study.datasets}


def task_types(study: Study, types: Mapping[str, str]) -> tuple[TaskType, ...]:
    """Every type that the study has, those that are known first."""
    order = [*TASKS, *sorted(set(types.values()) - set(TASKS))]
    found = (name for name in order if name in types.values())
    return tuple(_type(study, name, tuple(one for one in study.datasets if types[one] == name)) for name in found)


def _type(study: Study, name: str, datasets: tuple[str, ...]) -> TaskType:
    tried = [one for one in study.combinations if one.removed and set(one.drops) & set(datasets)]
    return TaskType(
        name=name,
        datasets=datasets,
        overall=_overall(tried),
        own=_own(tried, datasets),
        by_size={
            size: (_overall(found), _own(found, datasets))
            for size in sizes(tried)
            for found in [[one for one in tried if len(one.removed) == size]]
        },
    )


def _overall(tried: Sequence[Combination]) -> Summary | None:
    return summarize(one.mean for one in tried if is_candidate(one))


def _own(tried: Sequence[Combination], datasets: Sequence[str]) -> Summary | None:
    free = [one for one in tried if 0 not in one.removed]
    return summarize(one.drops[name] for one in free for name in datasets if name in one.drops)
