"""VQA-v2's normalisation of answers: number words, articles, punctuation, contractions.

Tables and rules as in GT-Vision-Lab/VQA, PythonEvaluationTools/vqaEvaluation/vqaEval.py, the evaluation of
visualqa.org, with what its copies changed in them.
"""

import re

NUMBERS = {
    word: str(value)
    for value, words in enumerate(
        ("none zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
    for word in words.split()
}
ARTICLES = frozenset(("a", "an", "the"))
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
PERIOD = re.compile(r"\.(?!\d)")
PERIODS_REMOVED = 32
"""The public implementation hands a regular-expression flag, 32, where the number of replacements is expected."""

_CONTRACTED = """
    'ow's'at 'twas ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
    haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've
    must've mustn't needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've
    somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's something'd something'd've
    something'll that's there'd there'd've there're there's they'd they'd've they'll they're they've wasn't
    we'd've we've weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll
    who's who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'd've y'all'll you'd
    you'd've you'll you're you've
"""


def _contractions() -> dict[str, str]:
    """Each contraction under its spellings with one apostrophe left out; `somebody'd` alone goes the other way.

    The table's `Id've`, `Im`, `Ive` are left out: texts are in lower case before they are looked up.
    """
    spelled = {
        word[:place] + word[place + 1 :]: word
        for word in _CONTRACTED.split()
        for place, letter in enumerate(word)
        if letter == "'"
    }
    return spelled | {"somebody'd": "somebodyd"}


CONTRACTIONS = _contractions()


def strip_punctuation(text: str, *, delete_all: bool) -> str:
    """The text without punctuation.

    A mark is deleted when it touches a space anywhere in the text, or with `delete_all`, which is for texts with a
    number like 1,000; else it becomes a space. Periods not followed by a digit are deleted, the first 32 of them.
    """
    stripped = text
    for mark in PUNCTUATION:
        delete = delete_all or f"{mark} " in text or f" {mark}" in text
        stripped = stripped.replace(mark, "" if delete else " ")
    return PERIOD.sub("", stripped, count=PERIODS_REMOVED)


def normalize_words(text: str) -> str:
    """The words of a text in lower case: number words as digits, no articles, contractions spelt with apostrophes."""
    words = [NUMBERS.get(word, word) for word in text.split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)
