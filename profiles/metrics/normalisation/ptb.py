"""Penn-Treebank tokens of captions, as pycocoevalcap prepares them: the Java program it ships, and its list of dropped
punctuation."""

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from profiles.errors import MissingToolError

JAR = "stanford-corenlp-3.4.1.jar"
_PACKAGE = "pycocoevalcap"
_CLASS = "edu.stanford.nlp.process.PTBTokenizer"
_DROPPED = frozenset(
    ("''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";")
)
_LINE_ENDS = str.maketrans(dict.fromkeys("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))
"""The program works line by line; pycocoevalcap replaces `\\n` only and shifts all later captions when one has
another line end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PtbTokenizer:
    """Where the Java program and the tokenizer's jar are."""

    java: str
    jar: Path


def find_ptb_tokenizer() -> PtbTokenizer:
    """The tokenizer installed here. Raises MissingToolError naming what is missing: Java, the package, or its jar."""
    java = shutil.which("java")
    if java is None:
        raise MissingToolError(
            "cider needs the PTB tokenizer, which is a Java program: no `java` is on the PATH; install a Java runtime"
        )
    spec = importlib.util.find_spec(_PACKAGE)
    folders = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
    if not folders:
        raise MissingToolError(
            f"cider needs the PTB tokenizer of the package {_PACKAGE}, which is not installed: pip install {_PACKAGE}"
        )
    jar = folders[0] / "tokenizer" / JAR
    if not jar.is_file():
        raise MissingToolError(
            f"cider needs the PTB tokenizer: {_PACKAGE} is installed, but {jar} is missing; install the package again"
        )
    return PtbTokenizer(java=java, jar=jar)


def ptb_tokenize(captions: Sequence[str], tokenizer: PtbTokenizer) -> tuple[str, ...]:
    """Captions in lower case as tokens between spaces, without punctuation.

    As pycocoevalcap/tokenizer/ptbtokenizer.py of tylin/coco-caption, with the tokenizer of Stanford CoreNLP 3.4.1. Line
    ends inside a caption become spaces. Raises MissingToolError when the program fails or loses a line.
    """
    if not captions:
        return ()
    # The first line end would be swallowed by a caption that is empty at the end, so every line gets one.
    text = "".join(f"{caption.translate(_LINE_ENDS)}\n" for caption in captions)
    command = [tokenizer.java, "-cp", str(tokenizer.jar), _CLASS, "-preserveLines", "-lowerCase"]
    try:
        done = subprocess.run(command, input=text.encode("utf-8", "replace"), capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", None) or str(error).encode()
        raise MissingToolError(f"the PTB tokenizer failed: {detail.decode(errors='replace').strip()[-300:]}") from error
    lines = done.stdout.decode("utf-8", "replace").split("\n")[:-1]
    if len(lines) != len(captions):
        raise MissingToolError(f"the PTB tokenizer returned {len(lines)} lines for {len(captions)} captions")
    return tuple(" ".join(token for token in line.rstrip().split(" ") if token not in _DROPPED) for line in lines)
