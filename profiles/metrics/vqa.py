"""Short-answer score with the normalisation of VQA-v2. Id: `vqa_score/molmo`."""

import re
from collections.abc import Sequence

VQA_SCORE = "vqa_score/molmo"

_NUMBERS = {
    word: str(value)
    for value, words in enumerate(("none zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))
    for word in words.split()
}
_ARTICLES = frozenset(("a", "an", "the"))
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_PERIODS_REMOVED = 32
"""The public implementation hands a regular-expression flag, 32, where the number of replacements is expected."""

_CONTRACTED = """
    'ow's'at 'twas ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's
    how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't needn't not've o'clock oughtn't shan't
    she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's something'd
    something'd've something'll that's there'd there'd've there're there's they'd they'd've they'll they're they've wasn't we'd've we've
    weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
    would've wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've you'll you're you've
"""


def _contractions() -> dict[str, str]:
    """Each contraction under its spellings with one apostrophe left out; `somebody'd` alone goes the other way.

    The table's `Id've`, `Im`, `Ive` are left out: texts are in lower case before they are looked up.
    """
    spelled = {word[:place] + word[place + 1 :]: word for word in _CONTRACTED.split() for place, letter in enumerate(word) if letter == "'"}
    return spelled | {"somebody'd": "somebodyd"}


_CONTRACTIONS = _contractions()


def normalize_answer(text: str) -> str:
    """Lower case, without punctuation and articles, number words as digits, contractions spelt with apostrophes.

    Punctuation: a mark is deleted when it touches a space anywhere in the text or the text has a number like 1,000; else it becomes a
    space. Periods not followed by a digit are deleted, the first 32 of them.
    """
    text = text.replace("\n", " ").replace("\t", " ").lower().strip()
    delete_all = _COMMA_IN_NUMBER.search(text) is not None
    stripped = text
    for mark in _PUNCTUATION:
        delete = delete_all or f"{mark} " in text or f" {mark}" in text
        stripped = stripped.replace(mark, "" if delete else " ")
    stripped = _PERIOD.sub("", stripped, count=_PERIODS_REMOVED)
    words = [_NUMBERS.get(word, word) for word in stripped.split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def vqa_score(answers: Sequence[str], prediction: str) -> float:
    """`min(matches / 3, 1)` over people's answers, all normalised.

    A single answer therefore scores at most 1/3, as Molmo's evaluator has it. Raises ValueError without answers.
    """
    if isinstance(answers, str) or not answers:
        raise ValueError(f"vqa_score needs a list of answers: got {answers!r}")
    wanted = normalize_answer(prediction)
    return min(sum(normalize_answer(answer) == wanted for answer in answers) / 3, 1.0)
