"""Keeps what a scheduler tells of a request."""

import threading
from collections.abc import Callable

from runtime.serving.answer import Piece
from runtime.serving.batching.listener import Finish


class Heard:
    """`then` is called with each piece."""

    def __init__(self, then: Callable[[Piece], None] = lambda piece: None) -> None:
        self.pieces: list[Piece] = []
        self.finish: Finish | None = None
        self.error: Exception | None = None
        self._then, self._over = then, threading.Event()

    def piece(self, piece: Piece) -> None:
        assert not self.over
        self.pieces.append(piece)
        self._then(piece)

    def finished(self, finish: Finish) -> None:
        assert not self.over
        self.finish = finish
        self._over.set()

    def failed(self, error: Exception) -> None:
        assert not self.over
        self.error = error
        self._over.set()

    @property
    def over(self) -> bool:
        return self._over.is_set()

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def tokens(self) -> list[int]:
        return [piece.token for piece in self.pieces]

    def answer(self, timeout: float = 20.0) -> Finish:
        """The answer, when it is there; raises what it failed with."""
        assert self._over.wait(timeout), "no answer"
        if self.error is not None:
            raise self.error
        assert self.finish is not None
        return self.finish
