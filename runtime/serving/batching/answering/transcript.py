"""An answer as it grows: tokens into text, until an end token, a stop text or the last token that there is room for."""

from collections.abc import Sequence
from typing import Protocol

from runtime.serving.answer import LENGTH, STOP, LogProbability, Piece
from runtime.serving.batching.answering.stop_texts import StopTexts


class TextStream(Protocol):
    """Tokens of one answer into text, piece by piece."""

    def push(self, token: int) -> str:
        """The text that is complete with this token; empty while a character is open."""

    def end(self) -> str:
        """What is left when no token follows."""


class Reader(Protocol):
    """What a scheduler needs of runtime/engines/prompts.py's reader."""

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""

    def text_stream(self) -> TextStream:
        """For a new answer."""

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row of tokens."""


class Transcript:
    """`tokens` so far, and `reason` once the answer is over (STOP or LENGTH)."""

    def __init__(self, reader: Reader, *, room: int, stops: Sequence[str]) -> None:
        """`room` is the most tokens of the answer."""
        self._ends, self._stream, self._stops = reader.ends, reader.text_stream(), StopTexts(stops)
        self._texts: list[str] = []
        self.room = room
        self.tokens: list[int] = []
        self.log_probabilities: list[LogProbability] = []
        self.reason: str | None = None

    @property
    def text(self) -> str:
        """The text of all pieces."""
        return "".join(self._texts)

    def add(self, token: int, log_probability: LogProbability | None = None) -> Piece:
        """Take the next token."""
        self.tokens.append(token)
        if log_probability is not None:
            self.log_probabilities.append(log_probability)
        text = self._next_text(token)
        self._texts.append(text)
        return Piece(text=text, token=token, log_probability=log_probability)

    def _next_text(self, token: int) -> str:
        """The text to show, after which `reason` says whether the answer is over."""
        text = ""
        if token in self._ends:
            self.reason = STOP
        else:
            text = self._stops.push(self._stream.push(token))
            if self._stops.found:
                self.reason = STOP
                return text
            if len(self.tokens) >= self.room:
                self.reason = LENGTH
        return text if self.reason is None else text + self._rest()

    def _rest(self) -> str:
        """What was held back; a stop text may end only here."""
        text = self._stops.push(self._stream.end())
        if self._stops.found:
            self.reason = STOP
            return text
        return text + self._stops.end()
