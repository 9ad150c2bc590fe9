"""Multiple choice: the option a text means. Id: `mc/molmo`."""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

MULTIPLE_CHOICE = "mc/molmo"


def choose_option(prediction: str, options: Sequence[str]) -> int:
    """Index of the option that a prediction picks, case and outer white space ignored.

    1. The option equal to the prediction.
    2. The only option that contains the prediction.
    3. The option at the least edit distance (Levenshtein, 1966), the first among equals.

    As Molmo's evaluation chooses (allenai/molmo, olmo/eval/vqa.py). Raises ValueError when there are no options or two
    are equal.
    """
    text = prediction.lower().strip()
    names = [option.lower().strip() for option in options]
    if isinstance(options, str) or not names or len(set(names)) != len(names):
        raise ValueError(f"options must be distinct: got {options!r}")
    if text in names:
        return names.index(text)
    containing = [index for index, name in enumerate(names) if text in name]
    if len(containing) == 1:
        return containing[0]
    return min(range(len(names)), key=lambda index: Levenshtein.distance(names[index], text))


def multiple_choice(options: Sequence[str], answer_index: int, prediction: str) -> float:
    """1.0 when the prediction picks the right option. Raises ValueError as `choose_option`, and for an index outside
    the options."""
    if not 0 <= answer_index < len(options):
        raise ValueError(f"answer index {answer_index} is outside the {len(options)} options")
    return float(choose_option(prediction, options) == answer_index)
