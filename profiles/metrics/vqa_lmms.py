"""Short-answer scores as lmms-eval has them. Ids: `vqa_score/lmms-textvqa` (also its ok-vqa),
`vqa_score/lmms-vqav2`."""

import re
from collections.abc import Callable, Sequence

from profiles.metrics.normalisation.vqa_v2 import normalize_words, strip_punctuation

VQA_SCORE_TEXTVQA = "vqa_score/lmms-textvqa"
VQA_SCORE_VQAV2 = "vqa_score/lmms-vqav2"

_COMMAS_IN_NUMBER = re.compile(r"\d,+\d")


def normalize_textvqa(text: str) -> str:
    """The answer as lmms-eval's text-vqa compares it: `,` and `?` are deleted and `'s` is split off before the rules of
    VQA-v2 (EvolvingLMMs-Lab/lmms-eval, lmms_eval/tasks/_task_utils/vqa_eval_metric.py)."""
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's")
    return normalize_vqav2(text.strip())


def normalize_vqav2(text: str) -> str:
    """The answer as lmms-eval's vqa-v2 compares it (EvolvingLMMs-Lab/lmms-eval, lmms_eval/tasks/vqav2/utils.py).

    As Molmo's `normalize_answer`, but several commas inside a number count as one, and the text is put in lower case at
    the end.
    """
    text = text.replace("\n", " ").replace("\t", " ").strip()
    return normalize_words(strip_punctuation(text, delete_all=_COMMAS_IN_NUMBER.search(text) is not None).lower())


def vqa_score_textvqa(answers: Sequence[str], prediction: str) -> float:
    """Mean over leave-one-out subsets of `min(matches / 3, 1)`, normalised for text-vqa. Raises ValueError without
    answers."""
    return _leave_one_out(answers, prediction, normalize_textvqa)


def vqa_score_vqav2(answers: Sequence[str], prediction: str) -> float:
    """Mean over leave-one-out subsets of `min(matches / 3, 1)`, normalised for vqa-v2. Raises ValueError without
    answers."""
    return _leave_one_out(answers, prediction, normalize_vqav2)


def _leave_one_out(answers: Sequence[str], prediction: str, normalize: Callable[[str], str]) -> float:
    """The score of visualqa.org (GT-Vision-Lab/VQA, PythonEvaluationTools/vqaEvaluation/vqaEval.py).

    Each subset lacks one answer: a matching one in `matches` of the subsets, another one in the rest. One answer
    alone scores 0.
    """
    if isinstance(answers, str) or not answers:
        raise ValueError(f"vqa_score needs a list of answers: got {answers!r}")
    wanted = normalize(prediction)
    matches = sum(normalize(answer) == wanted for answer in answers)
    without_match = matches * min((matches - 1) / 3, 1.0) if matches else 0.0
    return (without_match + (len(answers) - matches) * min(matches / 3, 1.0)) / len(answers)
