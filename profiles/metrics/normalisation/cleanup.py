"""How a generated text becomes the answer that is scored, by id; a baseline stores which was used."""

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType

from profiles.errors import MeasurementError

MOLMO = "cleanup/molmo"
STUDY = "cleanup/study"
STRIP = "cleanup/strip"

_MARK = "Answer:"


def clean_prediction(text: str) -> str:
    """The answer in a generated text, as Molmo's evaluation takes it (allenai/molmo, olmo/eval/evaluators.py).

    1. `Answer:` occurs: what stands between it and a second `Answer:`, inner white space kept.
    2. Several lines: the most frequent one (the first among equals; blank lines count), white space collapsed.
    3. Else: the text with white space collapsed.
    """
    text = text.strip()
    if _MARK in text:
        return text.split(_MARK)[1].strip()
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return Counter(lines).most_common(1)[0][0]


def clean_study(text: str) -> str:
    """The answer as the pruning study of MolmoE-1B takes it (its own evaluation code).

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
