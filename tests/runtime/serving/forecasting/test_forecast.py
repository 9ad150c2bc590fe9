"""Forecasts: the estimator's own predictions, made longer by what is ahead, corrected by drift."""

import random
from dataclasses import replace

import pytest
from msgspec.structs import replace as altered

from profiles.benchmarks.made_up_family import made_up_estimator
from runtime.errors import DocumentError
from runtime.latency.estimator import Estimator
from runtime.latency.workload import Workload
from runtime.selection.candidate import Candidate
from runtime.serving.answer import LENGTH, Timing
from runtime.serving.batching.listener import Finish
from runtime.serving.batching.queue_state import QueuedPrompt, QueueState
from runtime.serving.forecasting.accuracies import Accuracies
from runtime.serving.forecasting.forecast import Forecaster, layers_of
from runtime.serving.forecasting.work import Ahead, Work
from tests.support.decision_logs import DTYPE, ENGINE, MANIFEST, TASK, forecaster, work

ESTIMATOR = Estimator(made_up_estimator(random.Random(0)))
IMAGE_MS = ESTIMATOR.call_ms("image", Workload(vision_tokens=144, text_tokens=60))


def finish(timing: Timing, tokens: int, *, reused: int = 0) -> Finish:
    return Finish(text="", tokens=(3,) * tokens, reason=LENGTH, timing=timing, reused_tokens=reused)


def candidates(found: Forecaster, asked: Work, ahead: Ahead | None = None) -> dict[str, Candidate]:
    states = {} if ahead is None else {DTYPE: ahead}
    return {one.variant: one for one in found.forecast(asked, TASK, states).candidates}


@pytest.mark.parametrize("tokens", [1, 2, 40])
@pytest.mark.parametrize(("text", "vision"), [(60, 144), (60, 0), (5, 0)])
def test_alone_it_is_the_estimators_own_prediction_for_every_variant(tokens: int, text: int, vision: int) -> None:
    spent_ms = IMAGE_MS if vision else 0.0
    found = candidates(forecaster(), work(text=text, vision=vision, mean=tokens, high=tokens, spent_ms=spent_ms))
    load = Workload(text_tokens=text, vision_tokens=vision)
    costs = ESTIMATOR.request(load, output_tokens=tokens, widen=True)
    for variant in MANIFEST.variants:
        own = costs.predict(layers_of(variant, MANIFEST))
        one = found[variant.id]
        assert one.predicted_ms == pytest.approx(own.total_ms)
        bound = own.upper_ms / own.total_ms
        assert one.upper_ms == pytest.approx(spent_ms + bound * (own.total_ms - spent_ms))
        assert one.widened == (text == 5 or len(variant.layers) < 10)


def test_the_upper_bound_is_that_of_a_long_answer_and_the_prediction_that_of_a_mean_one() -> None:
    short, long, both = (
        candidates(forecaster(), work(mean=mean, high=high))["b16-k8"] for mean, high in ((9, 9), (40, 40), (9, 40))
    )
    assert both.predicted_ms == short.predicted_ms
    assert both.upper_ms == long.upper_ms


def test_the_time_that_was_spent_already_counts() -> None:
    now, later = (candidates(forecaster(), work(spent_ms=ms))["b16-k8"] for ms in (0.0, 7.0))
    assert later.predicted_ms == pytest.approx((now.predicted_ms or 0) + 7)
    assert later.upper_ms == pytest.approx((now.upper_ms or 0) + 7)


def test_prompts_that_wait_are_read_before() -> None:
    alone = candidates(forecaster(), work())["b9-k2"]
    behind = candidates(forecaster(), work(mean=1, high=1), Ahead(waiting={"b16-k8": (2, 200)}))["b9-k2"]
    only = candidates(forecaster(), work(mean=1, high=1))
    assert behind.predicted_ms == pytest.approx(
        (only["b9-k2"].predicted_ms or 0) + 2 * (only["b16-k8"].predicted_ms or 0)
    )
    assert alone.widened


def test_rows_of_other_variants_run_in_turn_and_those_of_its_own_with_it() -> None:
    asked = work(mean=21, high=21)
    alone, beside = candidates(forecaster(), asked), candidates(forecaster(), asked, Ahead(running={"b16-k8": 3}))
    load, layers = Workload(batch=3, text_tokens=1, vision_tokens=0), layers_of(MANIFEST.variants[-5], MANIFEST)
    assert MANIFEST.variants[-5].id == "b16-k8"

    def token(batch: int) -> float:
        rows = replace(load, batch=batch)
        return sum(ESTIMATOR.stage_ms(stage, layers, rows, position=100 + 19 / 2) for stage in ("decode", "sampling"))

    added = {name: (beside[name].predicted_ms or 0) - (alone[name].predicted_ms or 0) for name in alone}
    assert added["b12-k4"] == pytest.approx(20 * token(3))
    assert added["b16-k8"] == pytest.approx(20 * (token(4) - token(1)))


def test_engines_of_other_types_are_on_the_same_device() -> None:
    slow = ESTIMATOR.document
    stages = tuple(
        altered(one, terms=tuple(altered(term, ms=2 * term.ms) for term in one.terms)) for one in slow.stages
    )
    int8 = Estimator(altered(slow, dtype="int8", stages=stages))
    accuracies = Accuracies(MANIFEST, None, engine=ENGINE)
    both = Forecaster(MANIFEST, (DTYPE, "int8"), accuracies, (ESTIMATOR, int8), engine=ENGINE)
    asked, one = work(mean=21, high=21), MANIFEST.variants.index(MANIFEST.variant("b12-k4"))
    alone = both.forecast(asked, None, {}).costs
    waits = both.forecast(asked, None, {"int8": Ahead(waiting={"b12-k4": (2, 200)})}).costs
    assert waits[DTYPE].wait[one] == pytest.approx(2 * alone["int8"].first[one])
    runs = both.forecast(asked, None, {"int8": Ahead(running={"b12-k4": 1}, max_rows=1)}).costs
    assert runs[DTYPE].decode[one] == pytest.approx(alone[DTYPE].decode[one] + alone["int8"].decode[one])
    assert runs[DTYPE].wait[one] == 0.0  # its own rows are free
    unknown = Forecaster(MANIFEST, (DTYPE, "int8"), accuracies, (ESTIMATOR,), engine=ENGINE)
    guessed = unknown.forecast(asked, None, {"int8": Ahead(waiting={"b12-k4": (1, 100)})}).costs
    assert guessed[DTYPE].wait[one] == pytest.approx(alone[DTYPE].first[one])


def test_who_finds_no_free_row_waits_for_one() -> None:
    free = candidates(forecaster(), work(), Ahead(running={"b16-k8": 3}, max_rows=4))["b12-k4"]
    full = candidates(forecaster(), work(), Ahead(running={"b16-k8": 3}, max_rows=3))["b12-k4"]
    assert full.predicted_ms == pytest.approx((free.predicted_ms or 0) * (1 + 1 / 3))


def test_drift_corrects_what_is_predicted_next() -> None:
    found, asked = forecaster(), work(mean=11, high=11)
    for _ in range(100):
        forecast = found.forecast(asked, TASK, {})
        costs = forecast.costs[DTYPE]
        first, further = 2 * float(costs.first[0]), 1.5 * float(costs.decode[0])
        timing = Timing(queue_ms=50.0, first_token_ms=50.0 + first, total_ms=50.0 + first + further, stages={})
        found.learn(forecast, forecast.candidates[0], finish(timing, 11))
        shorter = replace(timing, first_token_ms=50.0 + first / 9, total_ms=50.0 + first / 9 + further)
        found.learn(forecast, forecast.candidates[0], finish(shorter, 11, reused=20))  # of what was not predicted
    after = found.forecast(asked, TASK, {})
    assert dict(found.drift[DTYPE]) == pytest.approx({"first_token": 2.0, "decode": 1.5}, rel=0.02)
    assert after.candidates[0].predicted_ms == pytest.approx(first + further, rel=0.02)
    assert found.answer_ms(after, after.candidates[0]) == pytest.approx(first + further, rel=0.02)


def test_the_first_answer_of_a_variant_had_to_be_loaded_and_teaches_nothing() -> None:
    found, asked = forecaster(), work(mean=11, high=11)
    forecast = found.forecast(asked, TASK, {})
    slow = Timing(queue_ms=500.0, first_token_ms=600.0, total_ms=900.0, stages={})
    for candidate in forecast.candidates:
        found.learn(forecast, candidate, finish(slow, 11))
    assert found.forecast(asked, TASK, {}).candidates == forecast.candidates
    found.learn(forecast, forecast.candidates[0], finish(slow, 11))
    assert found.forecast(asked, TASK, {}).candidates != forecast.candidates


def test_upper_bounds_grow_where_answers_take_longer_than_predicted_now_and_then() -> None:
    found, asked = forecaster(), work(mean=11, high=11)
    before = found.forecast(asked, TASK, {})
    for number in range(200):
        forecast = found.forecast(asked, TASK, {})
        costs, slow = forecast.costs[DTYPE], 1.8 if number % 10 == 0 else 1.0
        first, further = slow * float(costs.first[0]), slow * float(costs.decode[0])
        timing = Timing(queue_ms=0.0, first_token_ms=first, total_ms=first + further, stages={})
        found.learn(forecast, forecast.candidates[0], finish(timing, 11))
    after = found.forecast(asked, TASK, {})
    once, now = before.candidates[0], after.candidates[0]
    assert now.predicted_ms == pytest.approx(once.predicted_ms, rel=0.1)
    assert now.upper_ms == pytest.approx(1.8 * (once.predicted_ms or 0), rel=0.1)
    assert (now.upper_ms or 0) > 1.3 * (once.upper_ms or 0)


@pytest.mark.parametrize("learned_from", [Ahead(), Ahead(running={"b16-k8": 3})])
def test_what_a_burst_taught_is_no_burden_to_an_idle_machine_nor_lasts_without_outcomes(learned_from: Ahead) -> None:
    now = [0.0]
    found, asked = forecaster(clock=lambda: now[0]), work(mean=11, high=11)
    before, beside = (found.forecast(asked, TASK, {DTYPE: ahead}) for ahead in (Ahead(), learned_from))
    for _ in range(100):
        timing = Timing(queue_ms=0.0, first_token_ms=500.0, total_ms=2000.0, stages={})
        found.learn(beside, beside.candidates[0], finish(timing, 11))
    idle, again = (found.forecast(asked, TASK, {DTYPE: ahead}) for ahead in (Ahead(), learned_from))
    assert (idle.candidates == before.candidates) == bool(learned_from.running)
    assert (again.candidates[0].upper_ms or 0) > 1.5 * (beside.candidates[0].upper_ms or 0)
    now[0] += 2.0
    assert found.forecast(asked, TASK, {DTYPE: learned_from}).candidates == again.candidates
    now[0] += 1000.0
    for _ in range(2):  # the outcome does not bring back what has faded
        later = found.forecast(asked, TASK, {DTYPE: learned_from})
        assert later.candidates[0].upper_ms == pytest.approx(beside.candidates[0].upper_ms, rel=0.1)
        place, costs = 0, later.costs[DTYPE]
        first, further = float(costs.wait[place] + costs.first[place]), float(costs.decode[place])
        as_predicted = Timing(queue_ms=0.0, first_token_ms=first, total_ms=first + further, stages={})
        found.learn(later, later.candidates[0], finish(as_predicted, 11))


def test_outside_the_domain_a_strict_forecaster_predicts_nothing_and_says_why() -> None:
    found = candidates(forecaster(widen=False), work(text=60))
    assert found["b9-k8"].upper_ms is None
    assert found["b9-k8"].unpredicted == "depth 9 is outside 10–16, which the estimator was fitted on"
    assert found["b16-k8"].upper_ms is not None
    outside = candidates(forecaster(widen=False), work(text=5))["b16-k8"]
    assert outside.unpredicted == "prompt_tokens 5 is outside 16–1500, which the estimator was fitted on"


def test_without_an_estimator_every_candidate_says_so() -> None:
    found = forecaster(estimators=()).forecast(work(), TASK, {})
    assert {one.unpredicted for one in found.candidates} == {"there is no estimator for float32"}
    assert forecaster(estimators=()).answer_ms(found, found.candidates[0]) is None
    timing = Timing(queue_ms=0, first_token_ms=1, total_ms=2, stages={})
    forecaster(estimators=()).learn(found, found.candidates[0], finish(timing, 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engine": "torch"}, "an estimator is for the torch engine in float32; served is onnx in float32"),
        ({"dtype": "int8"}, "an estimator is for the onnx engine in int8; served is onnx in float32"),
        ({"experts": 8}, "is for layers of 8 experts, the family bench has 64"),
    ],
)
def test_estimators_of_something_else_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        forecaster(estimators=(Estimator(altered(ESTIMATOR.document, **changes)),))
    with pytest.raises(DocumentError, match="two estimators are for onnx in float32; give one"):
        forecaster(estimators=(ESTIMATOR, ESTIMATOR))


def test_a_schedulers_queue_counts_by_variant() -> None:
    def queued(variant: str, tokens: int) -> QueuedPrompt:
        return QueuedPrompt(variant=variant, unread_tokens=tokens, predicted_ms=None)

    queue = QueueState(waiting=(queued("a", 5), queued("b", 6)), reading=(queued("a", 2),), running={"b": 2})
    ahead = Ahead.of(queue, max_rows=8)
    assert ahead == Ahead(waiting={"a": (2, 7), "b": (1, 6)}, running={"b": 2}, max_rows=8)
    assert ahead.rows == {"a": 2, "b": 3}
