"""What evaluation asks of an engine: texts for samples, nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from profiles.sample import Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A prompt, already filled in, and the sample whose image goes with it."""

    prompt: str
    sample: Sample


class Engine(Protocol):
    """A variant, loaded."""

    @property
    def dtype(self) -> str:
        """The data type of the weights, e.g. `float32`."""

    @property
    def software(self) -> Mapping[str, str]:
        """Names and versions of what the answers may depend on."""

    def generate(
        self, requests: Sequence[Request], *, max_new_tokens: int, following: Sequence[Request] = ()
    ) -> list[str]:
        """The greedy answer to each request, in order, without special tokens. What comes after may be prepared
        meanwhile: `following`."""

    def close(self) -> None:
        """Free the variant."""


class EngineOpener(Protocol):
    """Loads variants of one family for one engine."""

    def __call__(self, variant: str) -> Engine:
        """The engine of a variant, by its id."""
