"""The scheduler's turns on the toy engine, one at a time, under a clock that only the engine moves."""

from dataclasses import dataclass, field

from runtime.engines.protocol import Prompt
from runtime.serving.batching.answering.sampler import Draw
from runtime.serving.batching.answering.transcript import Transcript
from runtime.serving.batching.entry import WAITING, Entry
from runtime.serving.batching.limits import Limits
from runtime.serving.batching.times import Times
from runtime.serving.batching.turns import Turns
from runtime.serving.request import Sampling
from tests.support.listeners import Heard
from tests.support.toy_language import LetterReader, ToyEngine, prompt


@dataclass
class Driven:
    """`ask` lets a request wait; `run` takes turns until nothing is left, or so many."""

    limits: Limits = field(default_factory=Limits)
    engine: ToyEngine = field(default_factory=ToyEngine)

    def __post_init__(self) -> None:
        self.ended: list[Entry] = []
        self.turns = Turns(
            self.engine, LetterReader().texts, self.limits, clock=self.engine.clock, ended=self.ended.append
        )

    def ask(
        self,
        asked: Prompt | int | str,
        tokens: int = 4,
        *,
        deadline: float | None = None,
        predicted_s: float = 0.0,
        bytes: int = 0,
        heard: Heard | None = None,
    ) -> Entry:
        found = asked if isinstance(asked, Prompt) else prompt(asked)
        now = self.engine.clock()
        sampling = Sampling(max_tokens=tokens)
        entry = Entry(
            prompt=found,
            sampling=sampling,
            listener=heard or Heard(),
            transcript=Transcript(EndlessReader(), room=tokens, stops=()),
            draw=Draw.of(sampling),
            times=Times(arrived=now),
            deadline=deadline,
            predicted_s=predicted_s,
            urgency=(now + self.limits.patience_s if deadline is None else deadline) - predicted_s,
            bytes=bytes,
            unread=len(found.arrays["input_ids"]),
            state=WAITING,
        )
        self.turns.waiting.add(entry)
        return entry

    def run(self, turns: int | None = None) -> None:
        count = 0
        while (self.turns.busy if turns is None else count < turns) and count < 5000:
            self.turns.turn()
            count += 1
        assert count < 5000, "no end"


class EndlessReader(LetterReader):
    """Answers end only where there is no more room."""

    ends = frozenset()


def heard(entry: Entry) -> Heard:
    assert isinstance(entry.listener, Heard)
    return entry.listener
