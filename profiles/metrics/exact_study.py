"""Exact match as the pruning study has it, and a count-aware form of it. Ids: `em/study`, `em/counts`."""

from collections.abc import Sequence

from profiles.metrics.normalisation.vqa_v2 import NUMBERS

EXACT_MATCH_STUDY = "em/study"
EXACT_MATCH_COUNTS = "em/counts"


def exact_match_study(answers: Sequence[str], prediction: str) -> float:
    """1.0 when the prediction is one of the answers, case and outer white space ignored, as in the evaluation code of
    the pruning study of MolmoE-1B. Raises ValueError without answers."""
    _check(answers)
    return float(_plain(prediction) in [_plain(answer) for answer in answers])


def exact_match_counts(answers: Sequence[str], prediction: str) -> float:
    """As `exact_match_study`, with the number words none and zero to ten taken as digits and a final period ignored, on
    both sides: trimoe's own definition for counts, with the number words of VQA-v2. Raises ValueError without
    answers."""
    _check(answers)
    return float(_count(prediction) in [_count(answer) for answer in answers])


def _check(answers: Sequence[str]) -> None:
    if isinstance(answers, str) or not answers:
        raise ValueError(f"exact match needs a list of answers: got {answers!r}")


def _plain(text: str) -> str:
    return text.lower().strip()


def _count(text: str) -> str:
    plain = _plain(text).removesuffix(".").rstrip()
    return NUMBERS.get(plain, plain)
