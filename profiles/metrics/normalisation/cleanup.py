"""Cleaning a generated answer before it is scored."""

from collections import Counter

_MARK = "Answer:"


def clean_prediction(text: str) -> str:
    """The answer in a generated text, as Molmo's evaluation takes it.

    1. `Answer:` occurs: what stands between it and a second `Answer:`, inner white space kept.
    2. Several lines: the most frequent one (the first among equals; blank lines count), white space collapsed.
    3. Else: the text with white space collapsed.
    """
    text = text.strip()
    if _MARK in text:
        return text.split(_MARK)[1].strip()
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return Counter(lines).most_common(1)[0][0]
