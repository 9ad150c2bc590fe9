"""Text from outside (paths, names, messages of libraries) as one line that a terminal shows as it is."""

import re
import unicodedata

LONGEST_NAME = 160
LONGEST_TEXT = 4000
# Cc control, Cf format (also what turns the direction of writing), Cs surrogates (bytes of a path that are not UTF-8),
# Co and Cn without a meaning, Zl and Zp line and paragraph separators.
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
# From here on the text of an error of torch or ONNX Runtime is a list of C++ frames.
_FRAMES = re.compile(
    r"\s*(?:\(?Exception raised from \S+ at |\n\s*(?:frame #\d+:|#\d+ +0x|Stack ?trace:|Traceback \())"
)
# "/src/core/graph.cc:120 void onnxruntime::Graph::Resolve(const Options&) const" in front of what ONNX Runtime says.
_PLACE = re.compile(
    r"/[^\s:]+\.(?:cc|cpp|cu|cuh|h|hpp):\d+ "
    r"[^()\n]*::[^()\n]*\((?:[^()\n]|\([^()\n]*\))*\)(?: const)?(?: \[[^\]\n]*\])? ?"
)


def one_line(text: str) -> str:
    """The text as one line of at most 4,000 characters.

    Control characters are escaped as in Python's literals (a line break is `\\n`), C++ frames and places left out,
    and names of more than 160 characters (what stands between spaces and slashes) shortened in the middle.
    """
    text = _PLACE.sub("", _FRAMES.split(text, maxsplit=1)[0]).strip()
    text = "".join(_shown(character) for character in text)
    text = re.sub(rf"[^\s/]{{{LONGEST_NAME + 1},}}", lambda name: shorten_middle(name[0], LONGEST_NAME), text)
    return shorten_middle(text, LONGEST_TEXT)


def shorten_middle(text: str, longest: int) -> str:
    """The text with "…" in the place of its middle when it has more than `longest` characters."""
    if len(text) <= longest:
        return text
    end = (longest - 1) // 2
    return f"{text[: longest - 1 - end]}…{text[len(text) - end :]}"


def _shown(character: str) -> str:
    if unicodedata.category(character) not in HIDDEN:
        return character
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
