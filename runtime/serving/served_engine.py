"""An engine with what lets many requests share it: one for each type of weights that a family is served in."""

from dataclasses import dataclass

from runtime.engines.protocol import Engine
from runtime.serving.batching.scheduler import Scheduler
from runtime.serving.pool import Pool


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedEngine:
    """`max_rows` run together; `pool` is None where nothing is known of sizes: then all variants stay loaded."""

    engine: Engine
    scheduler: Scheduler
    max_rows: int
    pool: Pool | None = None

    @property
    def loaded_bytes(self) -> int:
        """What the loaded variants take, as far as it is known."""
        return 0 if self.pool is None else self.pool.state.bytes

    def close(self, *, drain: bool) -> None:
        """End its requests, after the last one with `drain`, and free everything."""
        self.scheduler.close(drain=drain)
        self.engine.close()
