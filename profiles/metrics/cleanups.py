"""How a generated text becomes the answer that is scored, by id; a baseline stores which was used."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from profiles.errors import MeasurementError
from profiles.metrics.cleanup import clean_prediction

MOLMO = "cleanup/molmo"
STUDY = "cleanup/study"
STRIP = "cleanup/strip"

_MARK = "Answer:"


def clean_study(text: str) -> str:
    """The answer as the pruning study takes it: what follows `Answer:`, else the last line that is not blank, white space collapsed."""
    text = text.strip()
    if _MARK in text:
        return text.split(_MARK)[1].strip()
    lines = [line for line in text.split("\n") if line.strip()]
    return " ".join(lines[-1].split()) if lines else ""


CLEANUPS: Mapping[str, Callable[[str], str]] = MappingProxyType({MOLMO: clean_prediction, STUDY: clean_study, STRIP: str.strip})


def find_cleanup(id: str) -> Callable[[str], str]:
    """The clean-up of that id. Raises MeasurementError naming the ids there are."""
    if id not in CLEANUPS:
        raise MeasurementError(f"no clean-up {id!r}; there are {', '.join(CLEANUPS)}")
    return CLEANUPS[id]
