"""The family facade on a toy engine: blocking, streams, asyncio, refusals, cancelling, and its log."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from runtime.documents.manifest import Manifest
from runtime.engines.prompts import Question
from runtime.engines.protocol import Prompt
from runtime.errors import DocumentError, RequestError
from runtime.selection.choice import NoFeasibleVariantError
from runtime.serving.answer import CANCELLED, LENGTH
from runtime.serving.decisions.journal import Journal
from runtime.serving.decisions.log import DecisionLog
from runtime.serving.decisions.log_file import LogFile
from runtime.serving.decisions.read_log import LogReader
from runtime.serving.family import Family
from runtime.serving.family_settings import FamilySettings
from runtime.serving.forecasting.accuracies import Accuracies
from runtime.serving.forecasting.lengths import Lengths
from runtime.serving.open_parts import open_chooser, open_journal, serve_engine
from runtime.serving.request import Request, Sampling, Wish
from tests.support.decision_logs import header
from tests.support.documents import MANIFEST
from tests.support.toy_language import VARIANTS, LetterReader, ToyEngine, prompt, tokens_of


class Reader(LetterReader):
    crop_settings = None

    def read(self, questions: Iterable[Question], *, variant: str) -> tuple[Prompt, ...]:
        return tuple(prompt(question.text, variant) for question in questions)

    def chat_text(self, messages: Iterable[dict[str, str]]) -> str:
        return "".join(message["content"] for message in messages)


def manifest() -> Manifest:
    whole = replace(MANIFEST.variants[0], layers=(0, 1, 2), removed=(), drop=None)
    made = (replace(whole, id=name, active_parameters=9 - place) for place, name in enumerate(VARIANTS))
    return replace(MANIFEST, variants=tuple(made))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def family(log: Path) -> Iterator[Family]:
    settings, document, engine = FamilySettings(), manifest(), ToyEngine()
    served = serve_engine(engine, Reader(), settings)
    accuracies = Accuracies(document, None, engine="onnx")
    chooser = open_chooser(document, accuracies, (), settings, engine="onnx", dtypes=("float32",))
    journal = Journal(DecisionLog(log, header(document)))
    with Family(document, Reader(), {"float32": served}, chooser, journal=journal) as made:
        yield made


def asked(text: str = "hello", tokens: int = 5, **wish: object) -> Request:
    return Request(text=text, sampling=Sampling(max_tokens=tokens), wish=Wish(**wish))


def test_blocking_streaming_and_asyncio_give_the_same_answer(family: Family) -> None:
    answer = family.generate(asked())
    assert answer.variant == VARIANTS[0] and answer.prompt_tokens == 5 and len(answer.tokens) <= 5
    with family.stream(asked()) as stream:
        pieces = list(stream)
        assert "".join(piece.text for piece in pieces) == answer.text == stream.answer.text
        assert stream.choice.candidate.variant == answer.variant
        assert list(stream) == []

    async def both() -> tuple[str, str]:
        begun = await family.stream_async(asked())
        text = "".join([piece.text async for piece in begun])
        assert begun.answer.text == text
        return text, (await family.generate_async(asked())).text

    assert asyncio.run(both()) == (answer.text, answer.text)


def test_many_tasks_of_an_event_loop_are_answered_each_with_its_own(family: Family) -> None:
    texts = ["a" * length for length in range(1, 9)]
    alone = [family.generate(asked(text)).text for text in texts]

    async def together() -> list[str]:
        found = await asyncio.gather(*(family.generate_async(asked(text)) for text in texts))
        return [one.text for one in found]

    assert asyncio.run(together()) == alone


def test_it_is_prepared_for_requests_and_that_is_neither_logged_nor_learned(family: Family, log: Path) -> None:
    engine = family._engines["float32"].engine
    assert isinstance(engine, ToyEngine)
    for _ in range(25):
        family.prepare([VARIANTS[1]])
    assert engine.loaded == [VARIANTS[1]] and engine.names().count("prefill") == 25
    family.prepare()
    assert sorted(engine.loaded) == sorted(VARIANTS)
    assert family._chooser._lengths.expect(None, 9).mean == 9.0
    family.close(drain=True)
    assert list(LogReader(log)) == []


def test_what_keeps_a_variant_from_being_prepared_is_raised(family: Family) -> None:
    with pytest.raises(DocumentError, match="no variant 'b9'"):
        family.prepare(["b9"])


def test_an_answer_says_how_many_tokens_were_read_for_an_earlier_one(family: Family) -> None:
    engine = family._engines["float32"].engine
    assert isinstance(engine, ToyEngine)
    first = family.generate(asked())
    engine.kept = lambda prompt: 3
    again = family.generate(asked())
    assert (first.reused_tokens, again.reused_tokens) == (0, 3) and again.tokens == first.tokens


def test_the_answer_is_there_only_at_the_end(family: Family) -> None:
    stream = family.stream(asked())
    with pytest.raises(RuntimeError, match="the answer is not over"):
        _ = stream.answer
    list(stream)
    assert stream.answer.text


def test_a_cancelled_stream_ends_with_what_there_was(family: Family) -> None:
    stream = family.stream(asked(tokens=10_000))
    stream.cancel()
    stream.cancel()
    list(stream)
    assert stream.answer.reason in (CANCELLED, LENGTH, "stop")


def test_a_wish_is_kept_or_refused_and_both_are_logged(family: Family, log: Path) -> None:
    assert family.choose(asked(variant=VARIANTS[3])).candidate.variant == VARIANTS[3]
    assert family.generate(asked(variant=VARIANTS[2]), request_id="mine").variant == VARIANTS[2]
    with pytest.raises(NoFeasibleVariantError, match="leave the budget out, or ask for best effort"):
        family.generate(asked(budget_ms=50.0))
    assert family.generate(asked(budget_ms=50.0, best_effort=True)).best_effort
    family.close(drain=True)
    found = list(LogReader(log))
    assert [one.best_effort for one in found] == [False, False, True]
    assert found[0].request == "mine" and found[0].candidates[2].kind == "" and found[0].chosen == 2
    assert found[1].refused is not None and found[1].outcome is None
    assert found[2].outcome is not None and found[2].prompt is None


def test_time_runs_from_the_moment_at_which_a_request_came(family: Family) -> None:
    def hour_ago() -> float:
        return time.monotonic() - 3600

    assert 3600e3 <= family.generate(asked(), began=hour_ago()).timing.first_token_ms < 3660e3
    with family.stream(asked(), began=hour_ago()) as stream:
        list(stream)
    late = asyncio.run(family.generate_async(asked(), began=hour_ago()))
    assert stream.answer.timing.total_ms >= 3600e3 and late.timing.total_ms >= 3600e3


@pytest.mark.parametrize("idle", [False, True])
def test_a_refusal_says_whether_an_idle_machine_would_answer(
    family: Family, monkeypatch: pytest.MonkeyPatch, idle: bool
) -> None:
    monkeypatch.setattr(family._chooser, "feasible_when_idle", lambda request, plan: idle)
    with pytest.raises(NoFeasibleVariantError) as caught:
        family.generate(asked(budget_ms=50.0))
    assert caught.value.when_idle is idle


def test_what_the_scheduler_does_not_take_is_refused_in_the_log_too(family: Family, log: Path) -> None:
    family._engines["float32"].scheduler.close(drain=True)
    with pytest.raises(Exception, match="closing"):
        family.generate(asked())
    family.close()
    (found,) = LogReader(log)
    assert found.chosen is None and "closing" in (found.refused or "")


def test_a_failing_engine_fails_the_answer_and_is_logged(log: Path) -> None:
    def fault(what: str, prompts: object) -> None:
        raise RequestError("broken")

    document, settings = manifest(), FamilySettings()
    served = serve_engine(ToyEngine(fault=fault), Reader(), settings)
    accuracies = Accuracies(document, None, engine="onnx")
    chooser = open_chooser(document, accuracies, (), settings, engine="onnx", dtypes=("float32",))
    with Family(
        document, Reader(), {"float32": served}, chooser, journal=Journal(DecisionLog(log, header(document)))
    ) as family:
        with pytest.raises(RequestError, match="broken"):
            family.generate(asked())
        with pytest.raises(RequestError, match="broken"):
            list(family.stream(asked()))
    assert [(one.chosen, one.outcome) for one in LogReader(log)] == [(0, None), (0, None)]


@pytest.mark.parametrize(
    ("sampling", "learned"),
    [
        (Sampling(max_tokens=3), [(None, 3, True)]),
        (Sampling(max_tokens=9), [(None, 5, False)]),
        (Sampling(max_tokens=9, stop=("d",)), []),
        (Sampling(max_tokens=3, stop=("z",)), [(None, 3, True)]),
    ],
)
def test_lengths_are_learned_from_answers_that_their_clients_did_not_end(
    sampling: Sampling, learned: list[tuple[None, int, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[str | None, int, bool]] = []
    monkeypatch.setattr(Lengths, "learn", lambda self, task, tokens, cut: found.append((task, tokens, cut)))
    engine, settings = (
        ToyEngine(script={tuple(tokens_of("a")): [*tokens_of("bcde"), *LetterReader.ends]}),
        FamilySettings(),
    )
    chooser = open_chooser(
        manifest(), Accuracies(manifest(), None, engine="onnx"), (), settings, engine="onnx", dtypes=("float32",)
    )
    with Family(manifest(), Reader(), {"float32": serve_engine(engine, Reader(), settings)}, chooser) as family:
        family.generate(Request(text="a", sampling=sampling))
        family.close(drain=True)
    assert found == learned


def test_a_family_can_be_swapped_while_both_write_one_log(log: Path) -> None:
    document = manifest()
    changed = replace(document, variants=document.variants[:2])
    settings = FamilySettings(log=LogFile(log))

    def opened(one: Manifest) -> Family:
        chooser = open_chooser(
            one, Accuracies(one, None, engine="onnx"), (), settings, engine="onnx", dtypes=("float32",)
        )
        journal = open_journal(one, settings, engine="onnx", dtypes=("float32",))
        return Family(
            one, Reader(), {"float32": serve_engine(ToyEngine(), Reader(), settings)}, chooser, journal=journal
        )

    old = opened(document)
    old.generate(asked(), request_id="old")
    new = opened(changed)
    new.generate(asked(), request_id="new")
    old.generate(asked(), request_id="late")
    old.close(drain=True)
    old.close()
    new.generate(asked(), request_id="newest")
    new.close(drain=True)
    found = {path.name: [one.request for one in LogReader(path)] for path in log.parent.iterdir()}
    assert found == {"log.1": ["old", "late"], "log": ["new", "newest"]}


def test_its_state_and_what_it_reads(family: Family) -> None:
    family.generate(asked())
    state = family.state
    assert (state.waiting, state.running, state.loaded_bytes, state.drift) == (0, {}, 0, {})
    assert not family.reads_images
    assert family.prompt_tokens(asked("abc")) == 3
    assert family.chat_text([{"role": "user", "content": "hi"}]) == "hi"


def test_a_floor_needs_a_task_where_there_are_several(family: Family) -> None:
    family.tasks = ("scene text", "digits")
    for ask in (family.choose, family.generate):
        with pytest.raises(RequestError, match="min_accuracy needs a task, one of scene text, digits"):
            ask(asked(min_accuracy=0.5))
