"""The variants of a family that are loaded, over one copy of the weights: on demand, pinned, or evicted by bytes."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from runtime.engines.memory import available_bytes
from runtime.engines.protocol import Engine
from runtime.errors import DocumentError, MemoryLimitError
from runtime.serving.variant_sizes import VariantSize, union_bytes
from runtime.text.sizes import show_bytes

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolState:
    """For metrics: the `resident` variants, the longest unused first, those that are `pinned` or in use, and their
    `bytes` together as the manifest gives them."""

    resident: tuple[str, ...]
    pinned: tuple[str, ...]
    used: tuple[str, ...]
    bytes: int


class Pool:
    """Loads variants into `engine` when they are first asked for, one at a time, because what they share is then held
    once and memory can be counted. Whoever asks for one that is loaded never waits for another. Nobody else may load
    or unload variants of that engine."""

    def __init__(
        self,
        engine: Engine,
        sizes: Mapping[str, VariantSize],
        *,
        most_bytes: int | None = None,
        available: Callable[[], int] = available_bytes,
    ) -> None:
        """`sizes` by variant (runtime/serving/variant_sizes.py). All loaded variants together take at most
        `most_bytes`; `available` says how much memory is free."""
        self._engine, self._sizes, self._most_bytes, self._available = engine, sizes, most_bytes, available
        self._holds: dict[str, int] = {}  # how often each loaded variant is held, the longest unused first
        self._pinned: set[str] = set()
        self._changing = threading.Lock()  # of the fields above, never for long
        self._loading = threading.Lock()  # of what the engine has loaded

    @property
    def context_tokens(self) -> int | None:
        """The most tokens of a prompt and its answer together; None: no limit is known."""
        return min((one.context_tokens for one in self._sizes.values() if one.context_tokens is not None), default=None)

    @property
    def state(self) -> PoolState:
        """What is loaded now."""
        with self._changing:
            resident, pinned = tuple(self._holds), tuple(sorted(self._pinned))
            used = tuple(variant for variant, holds in self._holds.items() if holds)
        return PoolState(resident=resident, pinned=pinned, used=used, bytes=self._bytes(resident))

    def token_bytes(self, variant: str) -> int:
        """What keys and values of one token take. Raises DocumentError for an unknown variant."""
        return self._size(variant).token_bytes

    def further_bytes(self, variant: str) -> int:
        """What loading it would add to what is loaded. Raises DocumentError for an unknown variant."""
        self._size(variant)
        resident = self.state.resident
        return self._bytes([*resident, variant]) - self._bytes(resident)

    def hold_resident(self, variant: str) -> bool:
        """Hold it if it is loaded, at once; whether it was."""
        with self._changing:
            if variant not in self._holds:
                return False
            self._holds[variant] = self._holds.pop(variant) + 1
            return True

    def hold(self, variant: str) -> None:
        """Load it if need be, and keep it loaded until as many calls of `release`.

        Raises MemoryLimitError when it does not fit beside what is held or pinned, DocumentError for an unknown
        variant, and what the engine's `load` raises.
        """
        size = self._size(variant)
        if self.hold_resident(variant):
            return
        with self._loading:
            if self.hold_resident(variant):
                return
            self._make_room(variant, size)
            self._engine.load(variant)
            with self._changing:
                self._holds[variant] = 1

    def release(self, variant: str) -> None:
        """One needs it no longer; it stays until memory is needed."""
        with self._changing:
            self._holds[variant] = self._holds.pop(variant) - 1

    def pin(self, variant: str) -> None:
        """Load it, and never evict it. Raises as `hold` does."""
        self.hold(variant)
        with self._changing:
            self._pinned.add(variant)
        self.release(variant)

    def unpin(self, variant: str) -> None:
        """It may be evicted."""
        with self._changing:
            self._pinned.discard(variant)

    def _size(self, variant: str) -> VariantSize:
        if variant not in self._sizes:
            raise DocumentError(f"no variant {variant!r} in this family; it has {', '.join(self._sizes)}")
        return self._sizes[variant]

    def _bytes(self, variants: Iterable[str]) -> int:
        return union_bytes(self._sizes[variant] for variant in variants)

    def _make_room(self, variant: str, size: VariantSize) -> None:
        """Evict what `_to_evict` says."""
        free = self._available()
        with self._changing:
            evicted = self._to_evict(variant, size, free)
            for other in evicted:
                del self._holds[other]  # from here on it has to be loaded again, which waits for `_loading`
        for other in evicted:
            _log.info("unloading %s to make room for %s", other, variant)
            self._engine.unload(other)

    def _to_evict(self, variant: str, size: VariantSize, free: int) -> Sequence[str]:
        """The fewest of those longest unused, without which there is room. Raises MemoryLimitError."""
        resident = list(self._holds)
        idle = [one for one, holds in self._holds.items() if not holds and one not in self._pinned]
        now = self._bytes(resident)
        for count in range(len(idle) + 1):
            staying = [one for one in resident if one not in idle[:count]]
            together, least = self._bytes([*staying, variant]), self._bytes(staying)
            needed, available = together - least + size.load_bytes, free + now - least
            allowed = self._most_bytes is None or together <= self._most_bytes
            if allowed and needed <= available:
                return idle[:count]
        if not allowed:
            raise MemoryLimitError(
                f"{variant}: with what is in use it takes {show_bytes(together)} ({together} bytes); the limit of "
                f"loaded variants is {show_bytes(self._most_bytes or 0)}"
            )
        raise MemoryLimitError(
            f"{variant}: loading it needs {show_bytes(needed)} ({needed} bytes) of memory; "
            f"{show_bytes(available)} ({available} bytes) are available"
        )
