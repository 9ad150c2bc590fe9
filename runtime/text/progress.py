"""How long-running work reports what it has done: a protocol and its silent implementation."""

from typing import Protocol


class Progress(Protocol):
    """Told about one phase after the other; amounts are bytes."""

    def begin(self, phase: str, total_bytes: int) -> None:
        """A phase of `total_bytes` begins; it ends the one before."""

    def advance(self, count: int) -> None:
        """`count` more bytes of the phase are done."""

    def end(self) -> None:
        """The last phase is over, also after an error."""


class NoProgress:
    """Says nothing."""

    def begin(self, phase: str, total_bytes: int) -> None:
        """Ignore it."""

    def advance(self, count: int) -> None:
        """Ignore it."""

    def end(self) -> None:
        """Ignore it."""
