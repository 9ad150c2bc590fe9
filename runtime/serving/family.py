"""A family that answers: each request is read, given to the variant that is chosen for it, and learned from."""

import asyncio
import dataclasses
import queue
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Protocol, Self

import msgspec

from runtime.documents.baseline import ONNX, read_baseline
from runtime.documents.family_files import FamilyFiles
from runtime.documents.graph_contract import INPUT_IDS
from runtime.documents.manifest import Manifest
from runtime.engines import prompts
from runtime.engines.prompts import PromptReader
from runtime.engines.protocol import Prompt
from runtime.errors import RequestError, TrimoeError
from runtime.selection.choice import Choice, NoFeasibleVariantError
from runtime.serving.answer import Answer
from runtime.serving.batching.listener import Finish
from runtime.serving.batching.scheduler import Ticket
from runtime.serving.decisions.journal import Entry, Journal
from runtime.serving.elastic import ServedVariants
from runtime.serving.family_settings import FamilySettings
from runtime.serving.forecasting.accuracies import Accuracies
from runtime.serving.forecasting.chooser import Chooser, Plan
from runtime.serving.forecasting.recorded_lengths import recorded_lengths
from runtime.serving.forecasting.work import Ahead
from runtime.serving.going import GoingRequest
from runtime.serving.open_parts import open_chooser, open_elastic, open_engines, open_estimators, open_journal
from runtime.serving.request import Request
from runtime.serving.served_engine import ServedEngine
from runtime.serving.stream import AsyncStream, Event, Sink, Stream, Whole


class QuestionReader(Protocol):
    """What a family needs of runtime/engines/prompts.py's reader."""

    def read(self, questions: Iterable[prompts.Question], *, variant: str) -> tuple[Prompt, ...]:
        """Texts and pictures as prompts."""

    @property
    def crop_settings(self) -> object | None:
        """How images are cut into crops; None for families of text."""

    def chat_text(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The text of a question that continues a conversation."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FamilyState:
    """How a family is doing: requests that wait and rows that run, by variant; bytes that its loaded variants take; and
    by what factor measured times differ from predicted ones, by `TYPE first_token` and `TYPE decode`."""

    waiting: int
    running: Mapping[str, int]
    loaded_bytes: int
    drift: Mapping[str, float]


class Family:
    """Answers requests, from any thread and any event loop. A variant is loaded, and repeats its golden outputs, before
    its first answer."""

    def __init__(
        self,
        manifest: Manifest,
        reader: QuestionReader,
        engines: Mapping[str, ServedEngine],
        chooser: Chooser,
        *,
        tasks: Sequence[str] = (),
        journal: Journal | None = None,
    ) -> None:
        """Of parts; `load` makes them. `engines` by type of weights; `tasks` are those whose accuracy is known. All is
        closed with the family."""
        self.manifest, self.reader, self.tasks = manifest, reader, tuple(tasks)
        self._engines, self._chooser, self._journal = engines, chooser, journal

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        engine: str = ONNX,
        device: str | None = None,
        dtypes: Sequence[str] | None = None,
        estimators: str | Path | Sequence[str | Path] = (),
        baseline: str | Path | None = None,
        settings: FamilySettings | None = None,
    ) -> Self:
        """The family in the folder `path`, or a copy of one variant (`trimoe standalone`), run by the `engine` of that
        name (runtime/engines/open.py) in the types of weights `dtypes` (None: all there are). Estimators (`trimoe
        fit`), one, or one a type, and a baseline (`trimoe eval`) are files; without them no budget can be kept, and
        accuracies are the evidence's.

        Raises DocumentError for what is not what it must be or does not belong together, MissingPackageError,
        TargetError for a decision log that cannot be written.
        """
        folder, settings = Path(path), settings or FamilySettings()
        files = FamilyFiles(folder)
        whole = files.manifest()
        measured = None if baseline is None else read_baseline(Path(baseline))
        read = open_estimators((estimators,) if isinstance(estimators, str | Path) else estimators)
        variants = ServedVariants(exported=_served(whole, settings), elastic=open_elastic(settings, whole, read))
        manifest = variants.manifest
        accuracies = Accuracies(whole, measured, engine=engine, estimated=variants.accuracies)
        reader = PromptReader(files.place(manifest.variants[0].folder))
        with ExitStack() as undo:
            opened = open_engines(folder, variants, reader, settings, engine=engine, device=device, dtypes=dtypes)
            for one in opened.values():
                undo.callback(one.close, drain=False)
            types = tuple(opened)
            seen = () if measured is None else recorded_lengths(Path(baseline or ""), measured, reader.token_count)
            chooser = open_chooser(manifest, accuracies, read, settings, engine=engine, dtypes=types, seen=seen)
            journal = open_journal(whole, settings, engine=engine, dtypes=types)
            undo.pop_all()
        return cls(manifest, reader, opened, chooser, tasks=accuracies.tasks, journal=journal)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The types of weights that are served."""
        return tuple(self._engines)

    @property
    def state(self) -> FamilyState:
        """How it is doing now."""
        queues = [one.scheduler.queue() for one in self._engines.values()]
        running: dict[str, int] = {}
        for one in queues:
            for variant, rows in one.running.items():
                running[variant] = running.get(variant, 0) + rows
        return FamilyState(
            waiting=sum(len(one.waiting) + len(one.reading) for one in queues),
            running=running,
            loaded_bytes=sum(one.loaded_bytes for one in self._engines.values()),
            drift={f"{dtype} {part}": ratio for dtype, drift in self._chooser.drift.items() for part, ratio in drift},
        )

    @property
    def reads_images(self) -> bool:
        """Whether requests may have a picture."""
        return self.reader.crop_settings is not None

    def chat_text(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Messages, each with `role` and `content`, as the prompt that the model was trained to read."""
        return self.reader.chat_text(messages)

    def prompt_tokens(self, request: Request) -> int:
        """How many tokens the prompt has, those of its picture included."""
        return len(self._read(request).arrays[INPUT_IDS])

    def prepare(self, variants: Sequence[str] | None = None) -> None:
        """Load and test these variants (None: all) in every type of weights, and let each answer once, so that no
        request has to wait for it. Nothing of it is logged or learned from. Raises what loading raises."""
        prompt = self._read(Request(text="a"))
        for one in self._engines.values():
            for variant in [record.id for record in self.manifest.variants] if variants is None else variants:
                one.prepare(dataclasses.replace(prompt, variant=variant))

    def choose(self, request: Request) -> Choice:
        """Who would answer now. Raises NoFeasibleVariantError, RequestError for an unknown task."""
        began = time.monotonic()
        return self._chooser.choose(self._plan(request, self._read(request), began))

    def generate(self, request: Request, *, request_id: str | None = None, began: float | None = None) -> Answer:
        """Answer a request. Raises NoFeasibleVariantError; RequestError for one that no limit allows; OverloadedError
        and DeadlineError when it cannot have its turn in time; EngineError; and what loading raises. `request_id` names
        it in the decision log; it came at `began` (seconds of time.monotonic; None: now), and its budget runs from
        then."""
        whole = Whole()
        self._begin(request, whole, request_id, began or time.monotonic())
        return whole.answer()

    def stream(self, request: Request, *, request_id: str | None = None, began: float | None = None) -> Stream:
        """Begin to answer; the pieces come by iteration. Raises as `generate` does, later errors where they occur."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        return Stream(self._begin(request, events.put, request_id, began or time.monotonic()), events)

    async def stream_async(
        self, request: Request, *, request_id: str | None = None, began: float | None = None
    ) -> AsyncStream:
        """The same for an event loop; reading the request happens beside it."""
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Event]()

        def sink(event: Event) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        begun = loop.run_in_executor(None, partial(self._begin, request, sink, request_id, began or time.monotonic()))
        try:
            return AsyncStream(await asyncio.shield(begun), events)
        except asyncio.CancelledError:
            begun.add_done_callback(_cancel)
            raise

    async def generate_async(
        self, request: Request, *, request_id: str | None = None, began: float | None = None
    ) -> Answer:
        """See `generate`; where the task is cancelled, so is the request."""
        stream = await self.stream_async(request, request_id=request_id, began=began)
        try:
            async for _ in stream:
                pass
        finally:
            stream.cancel()
        return stream.answer

    def close(self, *, drain: bool = False) -> None:
        """End all requests, with `drain` after the last one that was begun, and free everything."""
        for one in self._engines.values():
            one.close(drain=drain)
        if self._journal is not None:
            self._journal.close()

    def _begin(self, request: Request, sink: Sink, request_id: str | None, began: float) -> GoingRequest:
        """Read, choose and submit what came at `began`, perhaps before this thread was free."""
        arrived = time.time() - (time.monotonic() - began)
        prompt = self._read(request)
        plan = self._plan(request, prompt, began)
        entry = Entry(id=request_id or uuid.uuid4().hex, time=arrived, request=request, plan=plan)
        try:
            choice = self._chooser.choose(plan)
            tokens = len(prompt.arrays[INPUT_IDS])
            going = GoingRequest(sink, plan, choice, prompt_tokens=tokens, image=request.image is not None)
            going.ended = partial(self._ended, dataclasses.replace(entry, choice=choice))
            going.submitted(self._submit(request, prompt, going, began))
        except TrimoeError as error:
            if isinstance(error, NoFeasibleVariantError):
                error.when_idle = self._chooser.feasible_when_idle(request, plan)
            if self._journal is not None:
                self._journal.refused(entry, error)
            raise
        return going

    def _submit(self, request: Request, prompt: Prompt, going: GoingRequest, began: float) -> Ticket:
        """A request that cannot keep its budget has no deadline: it was let through by best effort."""
        chosen, budget_ms = going.choice.candidate, request.wish.budget_ms
        deadline = None if budget_ms is None or going.choice.best_effort else began + budget_ms / 1e3
        return self._engines[chosen.dtype].scheduler.submit(
            dataclasses.replace(prompt, variant=chosen.variant),
            request.sampling,
            going,
            deadline=deadline,
            predicted_ms=self._chooser.answer_ms(going.plan, going.choice),
        )

    def _ended(self, entry: Entry, finish: Finish | None, answer: Answer | None) -> None:
        """On the scheduler's thread, after the client was told."""
        if finish is not None and entry.choice is not None:
            self._chooser.learn(entry.request, entry.plan, entry.choice, finish)
        if self._journal is None:
            return
        if answer is None:
            self._journal.failed(entry)
        else:
            self._journal.answered(entry, answer)

    def _read(self, request: Request) -> Prompt:
        """The prompt, for no variant yet: all read alike. Raises RequestError for a picture, or a text with tokens for
        pictures, that cannot be read."""
        question = prompts.Question(text=request.text, image=request.image)
        try:
            (prompt,) = self.reader.read((question,), variant=self.manifest.variants[0].id)
        except ValueError as error:
            raise RequestError(str(error)) from error
        return prompt

    def _plan(self, request: Request, prompt: Prompt, began: float) -> Plan:
        if request.wish.min_accuracy is not None and request.wish.task is None and len(self.tasks) > 1:
            raise RequestError(f"min_accuracy needs a task, one of {', '.join(self.tasks)}")
        ahead = {dtype: self._ahead(one) for dtype, one in self._engines.items()}
        return self._chooser.plan(request, prompt, ahead, spent_ms=1e3 * (time.monotonic() - began))

    def _ahead(self, one: ServedEngine) -> Ahead:
        return Ahead.of(one.scheduler.queue(), max_rows=one.max_rows)


def _served(manifest: Manifest, settings: FamilySettings) -> Manifest:
    """The manifest with the variants that are to be served. Raises DocumentError for an unknown one."""
    if settings.variants is None:
        return manifest
    return msgspec.structs.replace(manifest, variants=tuple(manifest.variant(one) for one in settings.variants))


def _cancel(begun: "asyncio.Future[GoingRequest]") -> None:
    """What was begun for a task that is gone."""
    if not begun.cancelled() and begun.exception() is None:
        begun.result().cancel()
