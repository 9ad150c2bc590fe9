"""An engine that answers from a table, for the tests of evaluation and the gate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from profiles.accuracy.answerer import SampleQuestion


@dataclass
class EchoEngine:
    """Answers `reply(prompt)`; counts batches, and stops with `error` after `limit` of them."""

    reply: Callable[[str], str]
    limit: int | None = None
    batches: list[int] = field(default_factory=list)
    following: list[int] = field(default_factory=list)
    version: str = "1"
    dtype: str = "float32"

    @property
    def software(self) -> Mapping[str, str]:
        return {"echo": self.version}

    def answer(
        self, questions: Sequence[SampleQuestion], *, max_new_tokens: int, following: Sequence[SampleQuestion] = ()
    ) -> list[str]:
        if self.limit is not None and len(self.batches) >= self.limit:
            raise KeyboardInterrupt
        self.batches.append(len(questions))
        self.following.append(len(following))
        return [self.reply(question.prompt)[:max_new_tokens] for question in questions]

    def close(self) -> None:
        pass


@dataclass
class SilentProgress:
    """Remembers what it was told."""

    told: list[tuple] = field(default_factory=list)

    def begin(self, name: str, total: int, kept: int) -> None:
        self.told.append((name, total, kept))

    def advance(self, count: int) -> None:
        self.told.append(("advance", count))

    def end(self) -> None:
        self.told.append(("end",))
