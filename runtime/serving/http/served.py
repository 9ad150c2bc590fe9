"""What the server asks of a family: the part of serving.family that it uses."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runtime.documents.manifest import Manifest
from runtime.selection.choice import Choice
from runtime.serving.answer import Answer, Piece
from runtime.serving.request import Request


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """A family's folder, and the files that its choices are made by."""

    path: Path
    estimators: tuple[Path, ...] = ()
    baseline: Path | None = None


class ServedState(Protocol):
    """How a family is doing."""

    @property
    def waiting(self) -> int:
        """Requests that wait."""

    @property
    def running(self) -> Mapping[str, int]:
        """Sequences that run, by variant."""

    @property
    def loaded_bytes(self) -> int:
        """Bytes that its loaded variants take."""

    @property
    def drift(self) -> Mapping[str, float]:
        """By what factor measured times differ from predicted ones, by part."""


class ServedStream(Protocol):
    """An answer as it comes. Iterating raises what stopped it, once."""

    @property
    def choice(self) -> Choice:
        """Who answers, and why not the others."""

    @property
    def answer(self) -> Answer:
        """The whole answer, after the last piece."""

    def __aiter__(self) -> AsyncIterator[Piece]:
        """The pieces, in order."""

    def cancel(self) -> None:
        """Stop; may be called at any time, also twice."""


class Served(Protocol):
    """A family that answers."""

    @property
    def manifest(self) -> Manifest:
        """The family's document."""

    @property
    def dtypes(self) -> Sequence[str]:
        """The types of weights that are served."""

    @property
    def tasks(self) -> Sequence[str]:
        """The tasks whose accuracy is known."""

    @property
    def reads_images(self) -> bool:
        """Whether requests may have a picture."""

    @property
    def state(self) -> ServedState:
        """How it is doing now."""

    def chat_text(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Messages, each with `role` and `content`, as the prompt that the model was trained to read."""

    def prompt_tokens(self, request: Request) -> int:
        """How many tokens the prompt has, those of its picture included."""

    def choose(self, request: Request) -> Choice:
        """Who would answer now. Raises NoFeasibleVariantError."""

    async def stream_async(self, request: Request, *, request_id: str | None, began: float | None) -> ServedStream:
        """Begin to answer what came at `began` (seconds of time.monotonic; None: now). Raises NoFeasibleVariantError,
        and OverloadedError when no more can wait."""

    def close(self) -> None:
        """Free everything; waits for nothing."""
