"""The command `trimoe` with an engine that raises now and then while it runs, as one whose device fails does."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from profiles.benchmarks.engine_calls import EngineWithCalls
from runtime import cli
from runtime.engines.protocol import Engine, Prompt
from runtime.serving import open_parts

EVERY = 101  # calls; a family that is prepared needs one for each of its variants


def failing(engine: Engine) -> EngineWithCalls:
    """The engine, of whose calls every 101st raises."""
    numbers = itertools.count(1)

    @contextmanager
    def around(kind: str, prompts: tuple[Prompt, ...]) -> Iterator[None]:
        if next(numbers) % EVERY == 0:
            raise RuntimeError(f"made to fail in a {kind} of {len(prompts)}")
        yield

    return EngineWithCalls(engine, around)


def main() -> None:
    """Run the command line."""
    open_engine = open_parts.open_engine  # type: ignore[attr-defined]

    def open_failing(*given: Any, **named: Any) -> EngineWithCalls:
        return failing(open_engine(*given, **named))

    with patch.object(open_parts, "open_engine", open_failing):
        cli.main()
