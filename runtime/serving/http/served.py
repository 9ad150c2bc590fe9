"""What the server asks of a family: the part of serving.family that it uses."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from runtime.documents.manifest import Manifest
from runtime.selection.choice import Choice
from runtime.serving.answer import Answer, Piece
from runtime.serving.request import Request


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyState:
    """How a family is doing: requests that wait and rows that run, by variant; bytes that its variants take; and by
    what factor measured times differ from predicted ones, by stage."""

    waiting: int = 0
    running: Mapping[str, int] = field(default_factory=dict)
    loaded_bytes: int = 0
    drift: Mapping[str, float] = field(default_factory=dict)


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
    def state(self) -> FamilyState:
        """How it is doing now."""

    def chat_text(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Messages, each with `role` and `content`, as the prompt that the model was trained to read."""

    def prompt_tokens(self, request: Request) -> int:
        """How many tokens the prompt has, those of its picture included."""

    def choose(self, request: Request) -> Choice:
        """Who would answer now. Raises NoFeasibleVariantError."""

    async def stream_async(self, request: Request) -> ServedStream:
        """Begin to answer. Raises NoFeasibleVariantError, and OverloadedError when no more can wait."""

    def close(self) -> None:
        """Free everything; waits for nothing."""
