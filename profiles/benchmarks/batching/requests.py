"""Requests of random tokens to a scheduler, and when their answers came."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from profiles.latency.bench.prompts import TOKENIZER_FILES
from runtime.documents.graph_contract import INPUT_IDS
from runtime.documents.manifest import Manifest
from runtime.engines.prompts import PromptReader
from runtime.engines.protocol import Engine, Prompt
from runtime.serving.answer import Piece
from runtime.serving.batching.answering.transcript import Reader, TextStream
from runtime.serving.batching.limits import Limits
from runtime.serving.batching.listener import Finish
from runtime.serving.batching.scheduler import Scheduler

CHUNK_TOKENS = 64


class EndlessReader:
    """The texts of `reader`, of answers that only end where there is no more room."""

    ends: frozenset[int] = frozenset()

    def __init__(self, reader: Reader) -> None:
        """See Reader."""
        self._reader = reader

    def text_stream(self) -> TextStream:
        """See Reader."""
        return self._reader.text_stream()

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """See Reader."""
        return self._reader.texts(rows)


class NoTexts:
    """For random weights, which come without a tokenizer: no token has a text."""

    ends: frozenset[int] = frozenset()

    def text_stream(self) -> "NoTexts":
        """See Reader."""
        return self

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """See Reader."""
        return [""] * len(rows)

    def push(self, token: int) -> str:
        """See TextStream."""
        return ""

    def end(self) -> str:
        """See TextStream."""
        return ""


def open_texts(family: Path, manifest: Manifest) -> Reader:
    """What gives the tokens of any variant their texts. Raises DocumentError for files that are not what they must
    be."""
    folder = family / manifest.variants[0].folder
    if manifest.source.synthetic and not any((folder / name).exists() for name in TOKENIZER_FILES):
        return NoTexts()
    return PromptReader(folder)


class Stopwatch:
    """The moments at which the tokens of an answer came."""

    def __init__(self) -> None:
        """None has come."""
        self.moments: list[float] = []
        self._error: Exception | None = None
        self._over = threading.Event()

    def piece(self, piece: Piece) -> None:
        """See Listener."""
        self.moments.append(time.monotonic())

    def finished(self, finish: Finish) -> None:
        """See Listener."""
        self._over.set()

    def failed(self, error: Exception) -> None:
        """See Listener."""
        self._error = error
        self._over.set()

    def wait(self) -> None:
        """Until the answer is over; raises what it failed with."""
        self._over.wait()
        if self._error is not None:
            raise self._error


@contextmanager
def running(engine: Engine, reader: Reader, *, rows: int) -> Iterator[Scheduler]:
    """A scheduler that is closed at the end."""
    scheduler = Scheduler(engine, reader, limits=Limits(max_rows=rows, chunk_tokens=CHUNK_TOKENS))
    try:
        yield scheduler
    finally:
        scheduler.close(drain=False)


def random_prompt(variant: str, tokens: int, *, seed: int) -> Prompt:
    """Text of random tokens that every vocabulary has."""
    ids = np.random.default_rng(seed).integers(3, 128, tokens)
    return Prompt(variant=variant, arrays={INPUT_IDS: ids})
