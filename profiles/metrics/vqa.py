"""Short-answer score with the normalisation of VQA-v2. Id: `vqa_score/molmo`."""

import re
from collections.abc import Sequence

from profiles.metrics.normalisation.vqa_words import (
    ARTICLES,
    CONTRACTIONS,
    NUMBERS,
    PERIOD,
    PERIODS_REMOVED,
    PUNCTUATION,
)

VQA_SCORE = "vqa_score/molmo"

_COMMA_IN_NUMBER = re.compile(r"\d,\d")


def normalize_answer(text: str) -> str:
    """Lower case, without punctuation and articles, number words as digits, contractions spelt with apostrophes.

    Punctuation: a mark is deleted when it touches a space anywhere in the text or the text has a number like 1,000;
    else it becomes a space. Periods not followed by a digit are deleted, the first 32 of them.
    """
    text = text.replace("\n", " ").replace("\t", " ").lower().strip()
    delete_all = _COMMA_IN_NUMBER.search(text) is not None
    stripped = text
    for mark in PUNCTUATION:
        delete = delete_all or f"{mark} " in text or f" {mark}" in text
        stripped = stripped.replace(mark, "" if delete else " ")
    stripped = PERIOD.sub("", stripped, count=PERIODS_REMOVED)
    words = [NUMBERS.get(word, word) for word in stripped.split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def vqa_score(answers: Sequence[str], prediction: str) -> float:
    """`min(matches / 3, 1)` over people's answers, all normalised.

    A single answer therefore scores at most 1/3, as Molmo's evaluator has it. Raises ValueError without answers.
    """
    if isinstance(answers, str) or not answers:
        raise ValueError(f"vqa_score needs a list of answers: got {answers!r}")
    wanted = normalize_answer(prediction)
    return min(sum(normalize_answer(answer) == wanted for answer in answers) / 3, 1.0)
