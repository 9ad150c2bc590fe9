"""Multiple choice as the pruning study has it: a letter standing alone is the choice. Id: `mc/study`."""

import re
from collections.abc import Sequence

from profiles.metrics.choice import choose_option

MULTIPLE_CHOICE_STUDY = "mc/study"

_LONE_LETTER = re.compile(r"\b[A-Z]\b")


def choose_option_study(prediction: str, options: Sequence[str]) -> int:
    """Index of the option that a prediction picks.

    1. The first letter A–Z with no letter, digit or underscore beside it, in the text in upper case, is the option of
       that place: the article in "it is a dog" picks the first option, and "I'm sure" the ninth.
    2. There is none, or too few options for it: as `choose_option`, even when a later letter would do.

    As the evaluation code of the pruning study of MolmoE-1B chooses. Raises ValueError as `choose_option` does, but
    only where that decides.
    """
    found = _LONE_LETTER.search(prediction.strip().upper())
    place = ord(found.group()) - ord("A") if found else len(options)
    return place if place < len(options) else choose_option(prediction, options)


def multiple_choice_study(options: Sequence[str], answer_index: int, prediction: str) -> float:
    """1.0 when the prediction picks the right option. Raises ValueError as `choose_option_study`, and for an index
    outside the options."""
    if not 0 <= answer_index < len(options):
        raise ValueError(f"answer index {answer_index} is outside the {len(options)} options")
    return float(choose_option_study(prediction, options) == answer_index)
