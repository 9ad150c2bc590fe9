"""Exact match. Id: `em/molmo`."""

from collections.abc import Sequence

EXACT_MATCH = "em/molmo"


def exact_match(answers: Sequence[str], prediction: str) -> float:
    """1.0 when the prediction is one of the answers, case ignored; neither side is stripped, as in Molmo's evaluation
    (allenai/molmo, olmo/eval/evaluators.py). Raises ValueError without answers."""
    if isinstance(answers, str) or not answers:
        raise ValueError(f"exact_match needs a list of answers: got {answers!r}")
    return float(prediction.lower() in [answer.lower() for answer in answers])
