"""How wide the terminal is, and text fitted into it."""

import os
import textwrap
import unicodedata
from typing import TextIO

from runtime.text.one_line import one_line

DEFAULT_COLUMNS = 80


def terminal_width(stream: TextIO) -> int | None:
    """The columns of the terminal that `stream` writes to, 80 where it does not say; None when it is no terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_COLUMNS
    except (OSError, ValueError):
        return None


def wrapped(text: str, width: int | None, *, indent: str = "") -> list[str]:
    """The text in lines of at most `width` columns, those after the first with `indent`; one line without a width.

    A word, such as a path, is never broken, even if it is longer. Control characters are escaped.
    """
    text = one_line(text)
    if width is None:
        return [text]
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def fitted(text: str, width: int) -> str:
    """As much of the beginning of a line as `width` columns hold; wide characters take two."""
    for end, character in enumerate(text):
        width -= 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if width < 0:
            return text[:end]
    return text
