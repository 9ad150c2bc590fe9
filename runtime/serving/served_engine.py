"""An engine with what lets many requests share it: one for each type of weights that a family is served in."""

from concurrent.futures import Future
from dataclasses import dataclass

from runtime.engines.protocol import Engine, Prompt
from runtime.serving.answer import Piece
from runtime.serving.batching.listener import Finish
from runtime.serving.batching.scheduler import Scheduler
from runtime.serving.pool import Pool
from runtime.serving.request import Sampling


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

    def prepare(self, prompt: Prompt) -> None:
        """Load the prompt's variant, which then repeats its golden outputs, and wait until it has answered with a
        token. Raises what loading and the scheduler raise."""
        heard = _Heard()
        self.scheduler.submit(prompt, Sampling(max_tokens=1), heard)
        heard.over.result()

    def close(self, *, drain: bool) -> None:
        """End its requests, after the last one with `drain`, and free everything."""
        self.scheduler.close(drain=drain)
        self.engine.close()


class _Heard:
    """A listener that only wants to know when it is `over`, or what went wrong."""

    def __init__(self) -> None:
        self.over: Future[None] = Future()

    def piece(self, piece: Piece) -> None:
        """See Listener."""

    def finished(self, finish: Finish) -> None:
        """See Listener."""
        self.over.set_result(None)

    def failed(self, error: Exception) -> None:
        """See Listener."""
        self.over.set_exception(error)
