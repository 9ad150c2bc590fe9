"""How a generated text becomes the answer that is scored, by id; a baseline stores which was used."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from profiles.errors import MeasurementError
from profiles.metrics.normalisation.cleanup import clean_prediction

MOLMO = "cleanup/molmo"
STUDY = "cleanup/study"
STRIP = "cleanup/strip"

_MARK = "Answer:"


def clean_study(text: str) -> str:
    """The answer as the pruning study takes it.

    1. `Answer:` occurs: what stands between it and a second `Answer:`, inner white space kept.
    2. A line end occurs, if only at the end: the last line that is not blank, inner white space kept.
    3. Else: the text with white space collapsed.
    """
    if _MARK in text:
        return text.split(_MARK)[1].strip()
    if "\n" in text:
        return next((line.strip() for line in reversed(text.split("\n")) if line.strip()), "")
    return " ".join(text.split())


CLEANUPS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {MOLMO: clean_prediction, STUDY: clean_study, STRIP: str.strip}
)


def find_cleanup(id: str) -> Callable[[str], str]:
    """The clean-up of that id. Raises MeasurementError naming the ids there are."""
    if id not in CLEANUPS:
        raise MeasurementError(f"no clean-up {id!r}; there are {', '.join(CLEANUPS)}")
    return CLEANUPS[id]
