"""Who is read when, who joins and leaves when: deterministic, under a clock that only the engine moves."""

from collections.abc import Callable, Sequence

import pytest

from runtime.engines.greedy import generate
from runtime.engines.protocol import Prompt
from runtime.errors import DeadlineError, EngineError, OverloadedError, VerificationError
from runtime.serving.answer import CANCELLED
from runtime.serving.batching.entry import Entry
from runtime.serving.batching.limits import Limits
from tests.support.listeners import Heard
from tests.support.toy_language import VARIANTS, Clock, ToyEngine, prompt
from tests.support.turns import Driven, heard


def alone(entry: Entry) -> list[int]:
    """The answer of an engine that runs nothing else."""
    room = entry.transcript.room
    return generate(ToyEngine(), [entry.prompt], max_new_tokens=room, ends=frozenset())[0]


def test_answers_join_after_their_prompt_and_leave_with_their_last_token() -> None:
    driven = Driven()
    driven.ask(10, tokens=3)
    driven.run(1)
    assert driven.engine.calls == [("prefill", 1), ("read", 128), ("decode", 1)]
    driven.ask(20, tokens=3)
    driven.run(1)  # the first one's last token comes in the step that the second one takes part in
    assert driven.engine.calls[3:] == [("prefill", 1), ("read", 128), ("join", 1), ("decode", 2), ("keep", [1])]
    driven.run()
    assert driven.engine.calls[8:] == [("decode", 1)]
    assert [heard(entry).tokens for entry in driven.ended] == [alone(entry) for entry in driven.ended]


def test_a_long_prompt_is_read_in_chunks_with_a_step_after_each() -> None:
    driven = Driven(Limits(chunk_tokens=16))
    driven.ask(4, tokens=50)
    driven.run(2)
    driven.engine.calls.clear()
    driven.ask(70, tokens=2)
    driven.run(5)
    assert driven.engine.names() == [
        *("prefill", "read", "decode", "read", "decode", "read", "decode", "read", "decode", "read", "join", "decode"),
        "keep",
    ]


def test_newcomers_first_tokens_wait_for_one_step_and_one_chunk_at_most() -> None:
    driven = Driven(Limits(chunk_tokens=16))
    driven.ask(4, tokens=90)
    driven.ask(160, tokens=2)
    driven.run(3)  # three of ten chunks of the long prompt
    began = driven.engine.clock()
    late = [driven.ask(prompt(7, variant)) for variant in VARIANTS[:2]]
    driven.engine.calls.clear()
    driven.run(1)
    assert driven.engine.calls[:2] == [("prefill", 2), ("read", 16)]
    assert [entry.times.first for entry in late] == [pytest.approx(began + 14 * driven.engine.read_s)] * 2
    driven.engine.calls.clear()
    driven.run(1)
    assert driven.engine.names() == ["read", "decode"]  # the long prompt's turn again


def test_tokens_that_the_engine_has_kept_do_not_count_as_chunks_to_be_read() -> None:
    driven = Driven(
        Limits(chunk_tokens=16), ToyEngine(kept=lambda asked: 48 if len(asked.arrays["input_ids"]) > 60 else 0)
    )
    entry = driven.ask(70, tokens=1)
    driven.engine.clock.now += 1
    other = driven.ask(40, tokens=1)
    driven.run(1)
    assert (entry.unread, other.unread) == (70, 24)  # the shorter one goes first
    driven.run(1)
    assert entry.unread == 70 - 48 - 16
    driven.run()
    assert driven.engine.names().count("read") == 3 + 2
    assert [heard(one).tokens for one in (entry, other)] == [alone(entry), alone(other)]


def test_prompts_are_read_together_where_they_fit_into_a_chunk_with_their_padding() -> None:
    driven = Driven(Limits(chunk_tokens=32))
    for tokens in (8, 4, 14, 8, 30):
        driven.ask(tokens)
    driven.run()
    assert [detail for what, detail in driven.engine.calls if what == "prefill"] == [3, 1, 1]


def test_the_least_slack_goes_first_whatever_the_order_of_arrival() -> None:
    driven, order = Driven(Limits(max_rows=1)), []
    asked = {"none": (None, 0.0), "late": (9.0, 0.1), "soon": (5.0, 0.1), "long": (9.5, 6.0), "past": (30.0, 0.0)}
    for name, (deadline, predicted_s) in asked.items():
        first = Heard(lambda piece, name=name: order.append(name))
        driven.ask(5, tokens=1, deadline=deadline, predicted_s=predicted_s, heard=first)
    driven.run()
    assert order == ["long", "soon", "late", "none", "past"]


def test_a_request_without_a_deadline_is_answered_among_urgent_ones_without_end() -> None:
    driven = Driven(Limits(max_rows=1, patience_s=2.0))
    slow = driven.ask(5, tokens=2)
    while not heard(slow).over and driven.engine.clock() < 20:
        driven.ask(5, tokens=2, deadline=driven.engine.clock() + 1.5)
        driven.run(2)
    assert 0 < driven.engine.clock() < 4


def test_a_long_prompt_is_read_among_short_ones_without_end() -> None:
    driven = Driven(Limits(chunk_tokens=16))
    long = driven.ask(160, tokens=1)
    turns = 0
    while not heard(long).over:
        driven.ask(16, tokens=1)
        driven.run(1)
        turns += 1
    assert turns <= 2 * 10


def test_one_that_needs_much_memory_is_not_overtaken_for_ever() -> None:
    driven = Driven(Limits(cache_bytes=100))
    driven.ask(5, tokens=9, bytes=30)
    large = driven.ask(5, tokens=2, bytes=90)
    taken = []
    while not heard(large).over:
        driven.ask(5, tokens=3, bytes=30)
        driven.run(1)
        taken.append(sum(entry.bytes for entry in driven.turns._active()))
    assert max(taken) <= 100 and len(taken) <= 11


def test_no_more_rows_than_allowed_run_together() -> None:
    driven = Driven(Limits(max_rows=3))
    entries = [driven.ask(5, tokens=4) for _ in range(8)]
    driven.run()
    assert max(detail for what, detail in driven.engine.calls if what == "decode") == 3
    assert all(heard(entry).finish for entry in entries)


@pytest.mark.parametrize("turns", range(8))
def test_a_cancelled_request_leaves_at_once_in_every_phase(turns: int) -> None:
    driven = Driven(Limits(chunk_tokens=16, max_rows=2))
    other = driven.ask(5, tokens=9)
    entry = driven.ask(60, tokens=3)  # four chunks, then three tokens
    driven.run(turns)
    over = heard(entry).over
    entry.cancelled = True
    driven.run(1)
    assert heard(entry).over
    if not over:
        assert heard(entry).finish is not None and heard(entry).finish.reason == CANCELLED
        assert list(heard(entry).finish.tokens) == heard(entry).tokens == alone(entry)[: len(heard(entry).tokens)]
    assert entry not in list(driven.turns._active())
    driven.run()
    assert heard(other).tokens == alone(other) and len(driven.ended) == 2


def test_who_waits_too_long_or_cannot_be_answered_in_time_is_refused() -> None:
    driven = Driven(Limits(max_rows=1, max_wait_s=0.3))
    driven.ask(5, tokens=200)
    driven.run(1)
    patient = driven.ask(5, deadline=9.0)
    doomed = driven.ask(5, deadline=0.15, predicted_s=0.1)
    driven.run(5)
    assert isinstance(heard(doomed).error, DeadlineError)
    assert "the answer would come" in str(heard(doomed).error) and "after its deadline" in str(heard(doomed).error)
    assert not heard(patient).over
    driven.run(40)
    assert isinstance(heard(patient).error, OverloadedError)
    assert "the limit is 0.3 s" in str(heard(patient).error) and heard(patient).error.retry_after_s > 0


def test_reading_stops_when_the_deadline_has_passed_but_an_answer_goes_on() -> None:
    driven = Driven(Limits(chunk_tokens=16), ToyEngine(read_s=0.01))
    long = driven.ask(160, deadline=0.5)
    driven.run(9)
    assert isinstance(heard(long).error, DeadlineError) and "before the prompt was read" in str(heard(long).error)
    assert driven.engine.names().count("read") == 4
    late = driven.ask(16, tokens=50, deadline=driven.engine.clock() + 0.3)
    driven.run()
    assert heard(late).finish is not None


CULPRIT = prompt("culprit", VARIANTS[1])


def failing(*calls: str) -> Callable[[str, Sequence[Prompt]], None]:
    """The engine fails in these calls whenever the culprit takes part."""

    def fault(what: str, prompts: Sequence[Prompt]) -> None:
        if what in calls and any(one.variant == CULPRIT.variant for one in prompts):
            raise RuntimeError(f"{what} failed")

    return fault


@pytest.mark.parametrize("call", ["prefill", "read", "decode"])
def test_the_request_that_the_engine_fails_on_fails_alone(call: str) -> None:
    driven = Driven(Limits(chunk_tokens=32), ToyEngine(fault=failing(call)))
    others = [driven.ask(5, tokens=6), driven.ask(40, tokens=6)]
    driven.run(2)
    culprit = driven.ask(CULPRIT, tokens=6)
    others.append(driven.ask(6, tokens=6))
    driven.run()
    assert str(heard(culprit).error) == f"the engine failed: RuntimeError: {call} failed"
    assert isinstance(heard(culprit).error, EngineError)
    assert [heard(entry).tokens for entry in others] == [alone(entry) for entry in others]
    assert len(driven.ended) == 4


@pytest.mark.parametrize("call", ["join", "keep", "decode", "read", "prefill"])
def test_a_fault_that_does_not_come_again_costs_no_answer(call: str) -> None:
    faults = [RuntimeError("once")]

    def fault(what: str, prompts: Sequence[Prompt]) -> None:
        if what == call and len(prompts) > 1 and faults:
            raise faults.pop()

    driven = Driven(Limits(chunk_tokens=32), ToyEngine(fault=fault))
    entries = [driven.ask(tokens, tokens=length) for tokens, length in ((5, 9), (6, 3), (40, 5), (7, 6))]
    driven.run()
    assert not faults
    assert [heard(entry).tokens for entry in entries] == [alone(entry) for entry in entries]


def test_an_engine_that_always_fails_fails_every_request_with_its_error() -> None:
    def fault(what: str, prompts: Sequence[Prompt]) -> None:
        raise RuntimeError("broken")

    driven = Driven(engine=ToyEngine(fault=fault))
    entries = [driven.ask(5) for _ in range(5)]
    driven.run()
    assert all(str(heard(entry).error) == "the engine failed: RuntimeError: broken" for entry in entries)
    assert not driven.turns.busy and len(driven.ended) == 5


def test_logits_that_are_no_numbers_fail_their_request_only() -> None:
    driven = Driven()
    original = driven.engine.logits

    def logits(variant: str, tokens: Sequence[int], prompt_length: int) -> object:
        found = original(variant, tokens, prompt_length)
        if variant == VARIANTS[1] and len(tokens) == prompt_length + 2:
            found[3] = float("nan")
        return found

    driven.engine.logits = logits  # type: ignore[method-assign]
    entries = [driven.ask(prompt(5, variant), tokens=6) for variant in VARIANTS]
    driven.run()
    assert isinstance(heard(entries[1]).error, VerificationError)
    assert [heard(entry).error for entry in entries if entry is not entries[1]] == [None] * 3


def test_a_listener_that_raises_ends_its_own_request_only() -> None:
    driven = Driven()

    def raises(piece: object) -> None:
        raise OSError("gone")

    lost, other = driven.ask(5, heard=Heard(raises)), driven.ask(5)
    driven.run()
    assert str(heard(lost).error) == "gone" and heard(other).finish


def test_times_are_those_of_the_clock() -> None:
    driven = Driven(Limits(max_rows=1, chunk_tokens=16), ToyEngine(Clock(100.0), read_s=0.001, step_s=0.01))
    driven.ask(16, tokens=3)
    entry = driven.ask(24, tokens=5)
    driven.run()
    timing = heard(entry).finish.timing if heard(entry).finish else None
    assert timing is not None
    assert timing.queue_ms == pytest.approx(16 + 2 * 10)
    assert timing.first_token_ms == pytest.approx(timing.queue_ms + 24)
    assert timing.total_ms == pytest.approx(timing.first_token_ms + 4 * 10)
    assert timing.stages["decode"] == pytest.approx(40)
    assert timing.stages["prefill"] + timing.stages["embeddings"] == pytest.approx(24)
