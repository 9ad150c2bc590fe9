"""Average normalised Levenshtein similarity of one answer as lmms-eval and VLMEvalKit have it. Id: `anls/lmms`."""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

ANLS_LMMS = "anls/lmms"
_LIMIT = 0.5


def anls_lmms(references: Sequence[str], prediction: str) -> float:
    """Best over references of `1 − distance / longer length`, 0 when that is below a half; exactly a half counts.

    The distance is taken between texts in lower case with white space collapsed, the length between the given texts in
    upper case. Both empty: 1.0. ANLS: Biten et al., Scene Text Visual Question Answering, 2019; here as lmms-eval has
    it (EvolvingLMMs-Lab/lmms-eval, lmms_eval/api/metrics.py). Raises ValueError without references.
    """
    if isinstance(references, str) or not references:
        raise ValueError(f"anls needs a list of references: got {references!r}")
    similarity = 1 - min(_distance(reference, prediction) for reference in references)
    return similarity if similarity >= _LIMIT else 0.0


def _distance(reference: str, prediction: str) -> float:
    length = max(len(reference.upper()), len(prediction.upper()))
    return Levenshtein.distance(_plain(reference), _plain(prediction)) / length if length else 0.0


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
