"""Average normalised Levenshtein similarity of one answer. Id: `anls/molmo`."""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

ANLS = "anls/molmo"
_LIMIT = 0.5


def _similarity(reference: str, prediction: str) -> float:
    """Both empty: 1.0 (the public implementation divides by zero there)."""
    length = max(len(reference), len(prediction))
    if length == 0:
        return 1.0
    distance = Levenshtein.distance(reference.lower(), prediction.lower()) / length
    return 1 - distance if distance < _LIMIT else 0.0


def anls(references: Sequence[str], prediction: str) -> float:
    """Best over references of `1 − distance / longer length`, 0 when that distance is half the length or more; case is
    ignored.

    ANLS: Biten et al., Scene Text Visual Question Answering, 2019; here as Molmo's evaluation has it (allenai/molmo,
    olmo/eval/vqa.py), which lets a distance of exactly half the length score 0. Raises ValueError without references.
    """
    if isinstance(references, str) or not references:
        raise ValueError(f"anls needs a list of references: got {references!r}")
    return max(_similarity(reference, prediction) for reference in references)
