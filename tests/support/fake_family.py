"""A family that answers from a table, for the tests of the HTTP server: it can be told to wait, to fail and to be
slow."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from runtime.documents.manifest import Manifest
from runtime.selection.candidate import Accuracy, Candidate
from runtime.selection.choice import Choice, NoFeasibleVariantError, Reason
from runtime.serving.answer import CANCELLED, LENGTH, STOP, Answer, LogProbability, Piece, Timing
from runtime.serving.family import FamilyState
from runtime.serving.request import Request
from tests.support.documents import MANIFEST

MS = {"b4-k4": 40.0, "b3-k2": 20.0, "b2-k1": 10.0}
SCORES = {"b4-k4": 0.9, "b3-k2": 0.8, "b2-k1": 0.6}
WORDS = ("the", " number", " is", " 0720")


def manifest_of(variants: Sequence[str], name: str = "fake") -> Manifest:
    """A manifest with these variants."""
    one = MANIFEST.variants[0]
    return replace(
        MANIFEST,
        source=replace(MANIFEST.source, name=name),
        variants=tuple(replace(one, id=variant, folder=f"variants/{variant}") for variant in variants),
    )


@dataclass
class FakeStream:
    """Gives WORDS, one a step; waits for `family.go` before each."""

    family: "FakeFamily"
    choice: Choice
    request: Request
    cancelled: bool = False
    sent: list[str] = field(default_factory=list)

    async def __aiter__(self) -> AsyncIterator[Piece]:
        most = self.request.sampling.max_tokens or len(self.family.words)
        for place, word in enumerate(self.family.words[:most]):
            if self.family.failure is not None and place >= self.family.fails_at:
                raise self.family.failure
            await self.family.go.wait()
            if not self.family.ahead:
                await asyncio.sleep(0)
            self.sent.append(word)
            yield Piece(text=word, token=place, log_probability=self._log_probability(place, word))

    def _log_probability(self, place: int, word: str) -> LogProbability | None:
        count = self.request.sampling.top_logprobs
        if count is None:
            return None
        return LogProbability(token=place, text=word, value=-0.25, most_likely=((place, word, -0.25),) * min(count, 1))

    @property
    def answer(self) -> Answer:
        one = self.choice.candidate
        whole = len(self.sent) == len(self.family.words)
        logs = [self._log_probability(place, word) for place, word in enumerate(self.sent)]
        return Answer(
            text="".join(self.sent),
            tokens=tuple(range(len(self.sent))),
            reason=CANCELLED if self.cancelled else STOP if whole else LENGTH,
            variant=one.variant,
            dtype=one.dtype,
            prompt_tokens=self.family.prompt_tokens(self.request),
            predicted_ms=one.predicted_ms,
            upper_ms=one.upper_ms,
            best_effort=self.choice.best_effort,
            timing=Timing(queue_ms=1.0, first_token_ms=5.0, total_ms=12.5, stages={"prefill": 3.0, "decode": 7.5}),
            log_probabilities=tuple(one for one in logs if one is not None),
        )

    def cancel(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            self.family.cancels += 1


@dataclass
class FakeFamily:
    """Three variants; `go` lets answers go on, `failure` stops them at the token `fails_at`."""

    manifest: Manifest = field(default_factory=lambda: manifest_of(tuple(MS)))
    dtypes: Sequence[str] = ("float32",)
    tasks: Sequence[str] = ("digits-read", "digits-vqa")
    reads_images: bool = True
    words: Sequence[str] = WORDS
    failure: Exception | None = None
    fails_at: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    cancels: int = 0
    closed: bool = False
    waiting: int = 0
    ahead: bool = False  # all pieces are there when the first one is
    busy: bool = False  # budgets that cannot be kept now could be, were it idle
    requests: list[Request] = field(default_factory=list)
    arrivals: list[tuple[str | None, float | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.go.set()

    @property
    def state(self) -> FamilyState:
        return FamilyState(waiting=self.waiting, running={"b4-k4": 1}, loaded_bytes=1000, drift={"prefill": 1.1})

    def chat_text(self, messages: Sequence[Mapping[str, str]]) -> str:
        return " ".join(f"{message['role']}: {message['content']}" for message in messages)

    def prompt_tokens(self, request: Request) -> int:
        return len(request.text.split()) + (4 if request.image is not None else 0)

    def choose(self, request: Request) -> Choice:
        wish = request.wish
        candidates = [
            Candidate(
                variant=variant,
                dtype=dtype,
                accuracy=Accuracy(score=SCORES[variant], low=SCORES[variant] - 0.05, measured=True),
                predicted_ms=ms,
                upper_ms=ms * 1.2,
                bytes=1000,
            )
            for variant, ms in MS.items()
            for dtype in self.dtypes
        ]
        budget = wish.budget_ms or 1e9
        fit = [
            one
            for one in candidates
            if one.upper_ms <= budget
            and one.accuracy.low >= (wish.min_accuracy or 0)
            and wish.variant in (None, one.variant)
            and wish.dtype in (None, one.dtype)
        ]
        chosen = fit[0] if fit else candidates[-1]
        reasons = tuple(
            Reason(candidate=one, kind="over_budget", text=f"{one.upper_ms:g} ms are more than {budget:g} ms")
            for one in candidates
            if one is not chosen or not fit
        )
        if not fit and not wish.best_effort:
            refusal = NoFeasibleVariantError(
                f"no variant answers within {budget:g} ms; b2-k1 needs 12 ms",
                reasons=reasons,
                least_budget_ms=12.0,
                best_accuracy=None,
            )
            refusal.when_idle = self.busy
            raise refusal
        return Choice(candidate=chosen, reasons=reasons if fit else reasons[:-1], best_effort=not fit)

    async def stream_async(
        self, request: Request, *, request_id: str | None = None, began: float | None = None
    ) -> FakeStream:
        self.arrivals.append((request_id, began))
        self.requests.append(request)
        return FakeStream(family=self, choice=self.choose(request), request=request)

    def close(self) -> None:
        self.closed = True
