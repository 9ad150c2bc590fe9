"""What an engine ran when, and for whom: what newcomers had to wait for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from runtime.engines.protocol import Prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A chunk or a step: seconds of time.monotonic at which it began and ended, and whose prompts took part."""

    kind: str
    began: float
    ended: float
    prompts: tuple[Prompt, ...]

    def took_part(self, prompt: Prompt) -> bool:
        """Whether it was for that prompt."""
        return any(one is prompt for one in self.prompts)


class Calls(list[Call]):
    """Calls in their order."""

    @contextmanager
    def noted(self, kind: str, prompts: tuple[Prompt, ...]) -> Iterator[None]:
        """See Around."""
        began = time.monotonic()
        yield
        self.append(Call(kind=kind, began=began, ended=time.monotonic(), prompts=prompts))
