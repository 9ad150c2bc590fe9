"""The variants that a scheduler may run: each is held while a request needs it."""

from typing import Protocol

from runtime.engines.protocol import Engine


class Variants(Protocol):
    """What a scheduler asks of the pool (runtime/serving/pool.py); from several threads."""

    @property
    def context_tokens(self) -> int | None:
        """The most tokens of a prompt and its answer together; None: no limit is known."""

    def token_bytes(self, variant: str) -> int:
        """What keys and values of one token take. Raises DocumentError for an unknown variant."""

    def hold_resident(self, variant: str) -> bool:
        """Hold it if it is loaded; at once. Whether it was."""

    def hold(self, variant: str) -> None:
        """Load it if need be, and keep it loaded until as many calls of `release`. Raises what loading raises."""

    def release(self, variant: str) -> None:
        """One request needs it no longer; at once."""


class EngineVariants:
    """Those of an engine without a pool: what is loaded stays."""

    context_tokens: int | None = None

    def __init__(self, engine: Engine) -> None:
        """Nothing is loaded yet."""
        self._engine, self._loaded = engine, set[str]()

    def token_bytes(self, variant: str) -> int:
        """Not known."""
        return 0

    def hold_resident(self, variant: str) -> bool:
        """See Variants."""
        return variant in self._loaded

    def hold(self, variant: str) -> None:
        """See Variants."""
        self._engine.load(variant)
        self._loaded.add(variant)

    def release(self, variant: str) -> None:
        """See Variants."""
