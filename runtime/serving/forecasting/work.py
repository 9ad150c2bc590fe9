"""What a request asks of a machine, and what is there before it: sizes alone, no text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime.documents.graph_contract import IMAGE_INPUT_IDX, INPUT_IDS
from runtime.engines.protocol import Prompt
from runtime.latency.workload import Workload
from runtime.serving.batching.queue_state import QueueState
from runtime.serving.forecasting.lengths import Length


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """The sizes of a prompt, how long its answer will be, and the milliseconds spent since its arrival (reading it)."""

    text_tokens: int
    vision_tokens: int
    length: Length
    spent_ms: float = 0.0

    @classmethod
    def of(cls, prompt: Prompt, length: Length, *, spent_ms: float) -> "Work":
        """The sizes of a prompt that was read."""
        tokens, places = len(prompt.arrays[INPUT_IDS]), prompt.arrays.get(IMAGE_INPUT_IDX)
        vision = 0 if places is None else int((places >= 0).sum())
        return cls(text_tokens=tokens - vision, vision_tokens=vision, length=length, spent_ms=spent_ms)

    def load(self, *, batch: int) -> Workload:
        """The same sizes as estimators take them."""
        return Workload(batch=batch, vision_tokens=self.vision_tokens, text_tokens=self.text_tokens)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ahead:
    """What an engine has to do before and beside a request: by variant, the number of prompts that wait and their
    tokens together, and the rows that are being decoded; `max_rows` run at most."""

    waiting: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    running: Mapping[str, int] = field(default_factory=dict)
    max_rows: int = 32

    @classmethod
    def of(cls, queue: QueueState, *, max_rows: int) -> "Ahead":
        """What a scheduler has to do; a prompt of which a part is read counts with what is left of it."""
        waiting: dict[str, tuple[int, int]] = {}
        for one in (*queue.reading, *queue.waiting):
            prompts, tokens = waiting.get(one.variant, (0, 0))
            waiting[one.variant] = (prompts + 1, tokens + one.unread_tokens)
        return cls(waiting=waiting, running=dict(queue.running), max_rows=max_rows)

    @property
    def rows(self) -> dict[str, int]:
        """Rows by variant once those that wait have been read."""
        found = dict(self.running)
        for variant, (prompts, _) in self.waiting.items():
            found[variant] = found.get(variant, 0) + prompts
        return found
