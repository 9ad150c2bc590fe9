"""Short-answer score with the normalisation of VQA-v2. Id: `vqa_score/molmo`."""

import re
from collections.abc import Sequence

from profiles.metrics.normalisation.vqa_v2 import normalize_words, strip_punctuation

VQA_SCORE = "vqa_score/molmo"

_COMMA_IN_NUMBER = re.compile(r"\d,\d")


def normalize_answer(text: str) -> str:
    """Lower case, without punctuation and articles, number words as digits, contractions spelt with apostrophes.

    The normalisation of VQA-v2 as in Molmo's evaluation (allenai/molmo, olmo/eval/vqa.py).
    """
    text = text.replace("\n", " ").replace("\t", " ").lower().strip()
    return normalize_words(strip_punctuation(text, delete_all=_COMMA_IN_NUMBER.search(text) is not None))


def vqa_score(answers: Sequence[str], prediction: str) -> float:
    """`min(matches / 3, 1)` over people's answers, all normalised.

    Antol et al., VQA: Visual Question Answering, 2015, in the short form of Molmo's evaluation (allenai/molmo,
    olmo/eval/vqa.py); a single answer therefore scores at most 1/3. Raises ValueError without answers.
    """
    if isinstance(answers, str) or not answers:
        raise ValueError(f"vqa_score needs a list of answers: got {answers!r}")
    wanted = normalize_answer(prediction)
    return min(sum(normalize_answer(answer) == wanted for answer in answers) / 3, 1.0)
