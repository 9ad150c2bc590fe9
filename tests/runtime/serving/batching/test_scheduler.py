"""Requests from several threads, answered as if each were alone, on an engine that is deterministic."""

import random
import threading
import time
from collections import Counter

import pytest

from runtime.engines.greedy import generate
from runtime.errors import DeadlineError, DocumentError, OverloadedError, RequestError
from runtime.serving.answer import CANCELLED, LENGTH, STOP
from runtime.serving.batching.batch import Batch
from runtime.serving.batching.limits import Limits
from runtime.serving.batching.queue_state import QueuedPrompt
from runtime.serving.batching.scheduler import Scheduler
from runtime.serving.batching.variants import EngineVariants
from runtime.serving.pool import Pool
from runtime.serving.request import Sampling
from runtime.serving.variant_sizes import VariantSize
from tests.support.listeners import Heard
from tests.support.toy_language import VARIANTS, LetterReader, ToyEngine, prompt, tokens_of

GREEDY = Sampling(max_tokens=12)


def not_before(moment: threading.Event) -> None:
    assert moment.wait(10)


def test_answers_under_random_arrivals_equal_those_of_each_alone() -> None:
    rng = random.Random(5)
    engine = ToyEngine()
    asked = [
        (
            prompt("".join(rng.choices("abcdefgh", k=rng.choice((1, 5, 20, 90)))), rng.choice(VARIANTS)),
            Sampling(max_tokens=rng.randint(1, 20), temperature=rng.choice((0.0, 1.5)), seed=rng.randint(0, 9)),
        )
        for _ in range(60)
    ]

    def answers(limits: Limits, together: bool) -> list[tuple[int, ...]]:
        scheduler, heard = Scheduler(engine, LetterReader(), limits=limits), []
        for one, sampling in asked:
            heard.append(Heard())
            scheduler.submit(one, sampling, heard[-1])
            if not together:
                heard[-1].answer()
            elif rng.random() < 0.2:
                time.sleep(0.002)
        scheduler.close(drain=True)
        return [one.answer().tokens for one in heard]

    assert answers(Limits(max_rows=7, chunk_tokens=16), True) == answers(Limits(max_rows=1), False)


def test_a_greedy_answer_is_what_the_engine_s_own_loop_gives() -> None:
    engine, reader = ToyEngine(), LetterReader()
    scheduler, asked = Scheduler(engine, reader), [prompt(9, variant) for variant in VARIANTS]
    heard = [Heard() for _ in asked]
    for one, listener in zip(asked, heard, strict=True):
        scheduler.submit(one, GREEDY, listener)
    scheduler.close(drain=True)
    alone = [row for one in asked for row in generate(ToyEngine(), [one], max_new_tokens=12, ends=reader.ends)]
    assert [list(one.answer().tokens) for one in heard] == alone


@pytest.mark.parametrize("method", ["leave", "step", "join"])
def test_whatever_raises_in_a_turn_is_told_to_every_request_and_later_ones_go_on(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, original, raised = list[str](), getattr(Batch, method), list[str]()

    class Counted(EngineVariants):
        def release(self, variant: str) -> None:
            released.append(variant)

    def fails_once(self: Batch, *more: Batch) -> object:
        if not raised:
            raised.append(method)
            raise MemoryError("no room")
        return original(self, *more)

    monkeypatch.setattr(Batch, method, fails_once)
    engine = ToyEngine()
    scheduler = Scheduler(engine, LetterReader(), variants=Counted(engine), limits=Limits(chunk_tokens=4))
    heard = [Heard() for _ in range(3)]
    for one in heard:
        scheduler.submit(prompt(9), GREEDY, one)
    for one in heard:
        assert one._over.wait(10), "never told"
    assert raised and any(isinstance(one.error, MemoryError) for one in heard)
    later = Heard()
    scheduler.submit(prompt(9), GREEDY, later)
    assert later.answer().tokens
    scheduler.close(drain=True)
    assert len(released) == 4 and not scheduler.queue().waiting


def test_variants_are_loaded_while_others_answers_go_on() -> None:
    running, may_load = threading.Event(), threading.Event()
    engine = ToyEngine(script={tuple(tokens_of("a")): tokens_of("b" * 500)})

    def loading(variant: str) -> None:
        if variant == VARIANTS[1]:
            running.wait(10)
            assert may_load.wait(10)

    engine.loading = loading
    scheduler, first, second, third = Scheduler(engine, LetterReader()), Heard(), Heard(), Heard()
    scheduler.submit(prompt("a"), Sampling(max_tokens=400), first)
    scheduler.submit(prompt("b", VARIANTS[1]), GREEDY, second)
    scheduler.submit(prompt("c", VARIANTS[1]), GREEDY, third)
    running.set()
    first.answer()
    assert not second.over and not third.over
    may_load.set()
    assert second.answer() and third.answer()
    scheduler.close(drain=True)
    assert engine.loaded == list(VARIANTS[:2])


def test_a_variant_that_does_not_load_fails_its_requests_only() -> None:
    scheduler, lost, other = Scheduler(ToyEngine(), LetterReader()), Heard(), Heard()
    scheduler.submit(prompt("a", "b9-k9"), GREEDY, lost)
    scheduler.submit(prompt("a"), GREEDY, other)
    assert other.answer()
    with pytest.raises(DocumentError, match="no variant 'b9-k9'"):
        lost.answer()
    scheduler.close(drain=False)


def test_closing_at_once_fails_what_is_not_over_and_leaves_no_thread() -> None:
    before = threading.active_count()
    began = threading.Event()
    engine = ToyEngine(script={tuple(tokens_of("a")): tokens_of("b" * 5000)})
    scheduler, heard = Scheduler(engine, LetterReader(), limits=Limits(max_rows=1)), [Heard(lambda _: began.set())]
    scheduler.submit(prompt("a"), Sampling(max_tokens=5000), heard[0])
    heard.append(Heard())
    scheduler.submit(prompt("a"), Sampling(max_tokens=5000), heard[1])
    began.wait(10)
    scheduler.close(drain=False)
    for one in heard:
        with pytest.raises(OverloadedError, match="closing"):
            one.answer()
    with pytest.raises(OverloadedError, match="no further request"):
        scheduler.submit(prompt("a"), GREEDY, Heard())
    assert threading.active_count() == before


def test_a_full_queue_is_refused_with_the_time_after_which_to_ask_again() -> None:
    may_load = threading.Event()
    engine = ToyEngine(loading=lambda variant: not_before(may_load))
    scheduler, heard = Scheduler(engine, LetterReader(), limits=Limits(max_waiting=2)), [Heard(), Heard()]
    for one in heard:
        scheduler.submit(prompt("a"), GREEDY, one)
    with pytest.raises(OverloadedError, match="2 requests wait; the limit is 2") as found:
        scheduler.submit(prompt("a"), GREEDY, Heard())
    assert found.value.retry_after_s > 0
    may_load.set()
    scheduler.close(drain=True)
    assert all(one.answer() for one in heard)


def test_a_deadline_that_cannot_be_met_is_refused_while_the_variant_is_loaded() -> None:
    may_load = threading.Event()
    engine = ToyEngine(loading=lambda variant: not_before(may_load))
    scheduler, heard = Scheduler(engine, LetterReader()), Heard()
    scheduler.submit(prompt("a"), GREEDY, heard, deadline=time.monotonic() + 0.05, predicted_ms=20.0)
    with pytest.raises(DeadlineError, match="after its deadline"):
        heard.answer()
    may_load.set()
    scheduler.close(drain=True)


def test_a_cancelled_answer_finishes_with_what_there_is() -> None:
    engine = ToyEngine(script={tuple(tokens_of("a")): tokens_of("b" * 5000)})
    scheduler, begun = Scheduler(engine, LetterReader()), threading.Event()
    heard = Heard(lambda _: begun.set())
    ticket = scheduler.submit(prompt("a"), Sampling(max_tokens=5000), heard)
    begun.wait(10)
    ticket.cancel()
    finish = heard.answer()
    ticket.cancel()
    assert finish.reason == CANCELLED and finish.text == heard.text and list(finish.tokens) == heard.tokens
    assert scheduler.queue().running == {}
    scheduler.close(drain=True)


@pytest.mark.parametrize(("most", "reason", "text"), [(3, LENGTH, "xyz"), (9, STOP, "xyzu"), (None, STOP, "xyzu")])
def test_an_answer_ends_with_an_end_token_or_where_there_is_no_more_room(
    most: int | None, reason: str, text: str
) -> None:
    engine = ToyEngine(script={tuple(tokens_of("a")): [*tokens_of("xyzu"), 0]})
    scheduler, heard = Scheduler(engine, LetterReader()), Heard()
    scheduler.submit(prompt("a"), Sampling(max_tokens=most), heard)
    finish = heard.answer()
    scheduler.close(drain=True)
    assert (finish.reason, finish.text, heard.text) == (reason, text, text)
    assert finish.timing.total_ms >= finish.timing.first_token_ms >= finish.timing.queue_ms >= 0
    assert set(finish.timing.stages) == {"embeddings", "prefill", "sampling", "decode"}


def test_what_no_limit_allows_is_refused_at_once() -> None:
    engine = ToyEngine()
    sizes = {
        variant: VariantSize(parts={variant: 1}, load_bytes=0, token_bytes=8, context_tokens=64) for variant in VARIANTS
    }
    pool = Pool(engine, sizes, available=lambda: 10**9)
    scheduler = Scheduler(engine, LetterReader(), limits=Limits(cache_bytes=300), variants=pool)
    with pytest.raises(RequestError, match="the prompt has 64 tokens; with an answer the limit is 64"):
        scheduler.submit(prompt(64), GREEDY, Heard())
    with pytest.raises(RequestError, match="62 tokens take 496 bytes of keys and values; there are 300"):
        scheduler.submit(prompt(50), GREEDY, Heard())
    with pytest.raises(DocumentError, match="no variant 'b9'"):
        scheduler.submit(prompt(5, "b9"), GREEDY, Heard())
    heard = Heard()
    scheduler.submit(prompt(20), Sampling(max_tokens=17), heard)
    assert heard.answer() and pool.state.resident == (VARIANTS[0],)
    scheduler.close(drain=True)
    assert pool.state.used == ()


def test_an_answer_stops_at_the_end_of_the_context() -> None:
    engine = ToyEngine(script={tuple(tokens_of("a" * 60)): tokens_of("b" * 99)})
    size = VariantSize(parts={}, load_bytes=0, token_bytes=8, context_tokens=64)
    pool, heard = Pool(engine, {VARIANTS[0]: size}, available=lambda: 10**9), Heard()
    scheduler = Scheduler(engine, LetterReader(), variants=pool)
    scheduler.submit(prompt("a" * 60), Sampling(), heard)
    scheduler.close(drain=True)
    assert heard.answer().text == "bbbb" and heard.answer().reason == LENGTH


def test_log_probabilities_come_with_each_piece_where_they_are_asked_for() -> None:
    scheduler, asked, plain = Scheduler(ToyEngine(), LetterReader()), Heard(), Heard()
    scheduler.submit(prompt("abc"), Sampling(max_tokens=5, top_logprobs=3), asked)
    scheduler.submit(prompt("abc"), Sampling(max_tokens=5), plain)
    scheduler.close(drain=True)
    found = asked.answer().log_probabilities
    assert tuple(piece.log_probability for piece in asked.pieces) == found
    assert [one.token for one in found] == asked.tokens == plain.tokens
    assert all(one.most_likely[0] == (one.token, one.text, one.value) and len(one.most_likely) == 3 for one in found)
    assert plain.answer().log_probabilities == ()


def test_what_waits_and_runs_can_be_asked_for() -> None:
    may_load, begun = threading.Event(), threading.Event()
    engine = ToyEngine(script={tuple(tokens_of("a")): tokens_of("b" * 5000)})
    engine.loading = lambda variant: not_before(may_load) if variant == VARIANTS[1] else None
    scheduler = Scheduler(engine, LetterReader())
    ticket = scheduler.submit(prompt("a"), Sampling(max_tokens=5000), Heard(lambda _: begun.set()))
    scheduler.submit(prompt(9, VARIANTS[1]), GREEDY, Heard(), predicted_ms=30.0)
    begun.wait(10)
    state = scheduler.queue()
    assert state.running in ({VARIANTS[0]: 1}, {}) and len(state.waiting) == 1
    assert state.waiting[0] == QueuedPrompt(variant=VARIANTS[1], unread_tokens=9, predicted_ms=30.0)
    ticket.cancel()
    may_load.set()
    scheduler.close(drain=True)


def test_no_request_is_lost_and_no_answer_wrong_under_cancellations_and_faults() -> None:
    rng, faults = random.Random(3), random.Random(4)

    def fault(what: str, prompts: object) -> None:
        if faults.random() < 0.02:
            raise RuntimeError("now and then")

    engine, asked = ToyEngine(fault=fault), []
    pool = Pool(
        engine,
        {one: VariantSize(parts={one: 9}, load_bytes=0, token_bytes=1, context_tokens=None) for one in VARIANTS},
        most_bytes=27,
        available=lambda: 10**9,
    )
    scheduler = Scheduler(
        engine, LetterReader(), limits=Limits(max_rows=6, chunk_tokens=16, cache_bytes=300), variants=pool
    )
    for _ in range(150):
        one, heard = prompt("".join(rng.choices("abcdef", k=rng.randint(1, 60))), rng.choice(VARIANTS[:3])), Heard()
        ticket = scheduler.submit(one, Sampling(max_tokens=rng.randint(1, 20)), heard)
        asked.append((one, heard))
        if rng.random() < 0.3:
            threading.Timer(rng.random() / 50, ticket.cancel).start()
    scheduler.close(drain=True)
    ends = Counter(heard.finish.reason if heard.finish else str(heard.error) for _, heard in asked)
    assert (
        set(ends) <= {CANCELLED, LENGTH, STOP, "the engine failed: RuntimeError: now and then"}
        and ends[LENGTH] + ends[STOP] > 75
    )
    for one, heard in asked:
        alone = generate(ToyEngine(), [one], max_new_tokens=20, ends=LetterReader.ends)[0]
        assert heard.over and heard.tokens == alone[: len(heard.tokens)]
    assert pool.state.used == ()


def test_limits_that_let_nothing_through_are_refused() -> None:
    with pytest.raises(ValueError, match="max_rows is 0: it must be above 0"):
        Limits(max_rows=0)
