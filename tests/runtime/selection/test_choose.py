"""The choice: tables of cases, and what holds for all candidates and demands."""

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from runtime.selection.candidate import Accuracy, Candidate
from runtime.selection.choice import Choice, NoFeasibleVariantError
from runtime.selection.choose import choose
from runtime.selection.demand import Demand
from runtime.selection.reasons import KINDS, NOT_PINNED
from tests.support.decision_logs import candidate

WHOLE = candidate("b16-k8", score=0.95, ms=100.0, active_parameters=9)
LESS = candidate("b16-k4", score=0.94, ms=70.0, active_parameters=8)
SMALL = candidate("b12-k4", score=0.90, ms=40.0, active_parameters=5)
THREE = (SMALL, WHOLE, LESS)


def kinds(choice: Choice) -> dict[str, str]:
    return {one.candidate.variant: one.kind for one in choice.reasons}


@pytest.mark.parametrize(
    ("demand", "chosen", "others"),
    [
        (Demand(), "b16-k8", {"b12-k4": "less_accurate", "b16-k4": "less_accurate"}),
        (Demand(budget_ms=120.0), "b16-k8", {"b12-k4": "less_accurate", "b16-k4": "less_accurate"}),
        (Demand(budget_ms=119.9), "b16-k4", {"b12-k4": "less_accurate", "b16-k8": "over_budget"}),
        (Demand(budget_ms=50.0), "b12-k4", {"b16-k4": "over_budget", "b16-k8": "over_budget"}),
        (Demand(min_accuracy=0.925), "b16-k8", {"b12-k4": "below_floor", "b16-k4": "below_floor"}),
        (Demand(variant="b12-k4"), "b12-k4", {"b16-k8": "not_pinned", "b16-k4": "not_pinned"}),
    ],
)
def test_the_most_accurate_that_keeps_the_demand_is_chosen(demand: Demand, chosen: str, others: dict[str, str]) -> None:
    choice = choose(THREE, demand)
    assert choice.candidate.variant == chosen
    assert kinds(choice) == others
    assert not choice.best_effort


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (candidate("b", score=0.9, ms=120.0), "slower"),
        (candidate("b", score=0.9, bytes=2), "more_memory"),
        (candidate("c", score=0.9), "later_name"),
        (candidate("b", score=0.9, measured=False), "not_measured"),
        (candidate("b", score=None), "no_accuracy"),
    ],
)
def test_ties_go_by_time_then_memory_then_name(other: Candidate, kind: str) -> None:
    best = candidate("b", score=0.9)
    choice = choose((other, best), Demand())
    assert choice.candidate is best
    assert [reason.kind for reason in choice.reasons] == [kind]


def test_where_nothing_is_measured_more_of_the_source_is_better_than_less_time() -> None:
    slow = candidate("b16-k8", score=0.99, measured=False, ms=100.0, active_parameters=9)
    quick = candidate("b16-k4", score=0.99, measured=False, ms=70.0, active_parameters=8)
    choice = choose((quick, slow), Demand())
    assert choice.candidate is slow
    assert kinds(choice) == {"b16-k4": "keeps_less"}
    unknown = [structs.replace(one, accuracy=None) for one in (quick, slow)]
    assert choose(unknown, Demand()).candidate.variant == "b16-k8"


def test_every_reason_is_a_sentence_with_its_numbers() -> None:
    demand = Demand(budget_ms=90.0, min_accuracy=0.91)
    more = (candidate("c", score=None), candidate("d", ms=None, unpredicted="nobody measured it"))
    texts = {one.candidate.variant: one.text for one in choose((*THREE, *more), demand).reasons}
    assert texts == {
        "b16-k8": "takes up to 120.0 ms, the budget is 90.0 ms",
        "b12-k4": "its accuracy may be as low as 0.8800, the least allowed is 0.91",
        "c": "takes up to 120.0 ms, the budget is 90.0 ms",
        "d": "there is a budget, and its time is not known: nobody measured it",
    }


def test_refusals_say_what_would_be_feasible() -> None:
    with pytest.raises(NoFeasibleVariantError) as refused:
        choose(THREE, Demand(budget_ms=60.0, min_accuracy=0.91))
    assert str(refused.value) == (
        "no variant keeps a budget of 60.0 ms with an accuracy of at least 0.91; the least budget is 84.0 ms, for "
        "b16-k4 float32; within the budget the highest floor is 0.8800, of b12-k4 float32"
    )
    assert refused.value.least_budget_ms == pytest.approx(84.0)
    assert refused.value.best_accuracy == pytest.approx(0.88)
    assert len(refused.value.reasons) == 3


@pytest.mark.parametrize(
    ("demand", "text"),
    [
        (Demand(variant="b9-k9"), "b9-k9 is not among what is served: b12-k4 in float32, b16-k4 in float32"),
        (Demand(min_accuracy=0.99), "at least 0.99; the highest floor is 0.9300, of b16-k8 float32"),
        (Demand(budget_ms=1.0, dtype="float32"), "a budget of 1.0 ms, being float32; the least budget is 48.0 ms"),
    ],
)
def test_refusals_name_what_was_asked_for(demand: Demand, text: str) -> None:
    with pytest.raises(NoFeasibleVariantError, match=text.replace(".", r"\.")):
        choose(THREE, demand)


def test_without_an_estimator_there_are_choices_but_no_budgets() -> None:
    unknown = [candidate(one.variant, score=0.9, ms=None, unpredicted="no estimator") for one in THREE]
    assert choose(unknown, Demand(min_accuracy=0.5)).candidate.variant == "b12-k4"
    with pytest.raises(NoFeasibleVariantError, match=r"not known \(no estimator\): leave the budget out") as refused:
        choose(unknown, Demand(budget_ms=5.0))
    assert refused.value.least_budget_ms is None
    assert choose(unknown, Demand(budget_ms=5.0, best_effort=True)).best_effort


@pytest.mark.parametrize(
    ("demand", "chosen"),
    [
        (Demand(budget_ms=90.0, min_accuracy=0.99), "b16-k4"),  # in time, the least below the floor
        (Demand(budget_ms=10.0, min_accuracy=0.91), "b16-k4"),  # too late, but the quickest at the floor
        (Demand(budget_ms=10.0, min_accuracy=0.99), "b12-k4"),  # neither: the quickest
        (Demand(budget_ms=10.0), "b12-k4"),
        (Demand(min_accuracy=0.99), "b16-k8"),
        (Demand(budget_ms=10.0, variant="b16-k8"), "b16-k8"),
    ],
)
def test_best_effort_takes_the_nearest(demand: Demand, chosen: str) -> None:
    choice = choose(THREE, dataclasses.replace(demand, best_effort=True))
    assert (choice.candidate.variant, choice.best_effort) == (chosen, True)


SHARES = st.sampled_from((0.0, 0.3, 0.5, 0.5001, 0.9, 1.0))
MS = st.none() | st.sampled_from((1.0, 2.0, 5.0, 5.5, 100.0))
ACCURACIES = st.none() | st.builds(
    lambda score, below, measured: Accuracy(score=score, low=max(0.0, score - below), measured=measured),
    SHARES,
    st.sampled_from((0.0, 0.1)),
    st.booleans(),
)


@st.composite
def candidates(draw: st.DrawFn) -> Sequence[Candidate]:
    names = draw(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(("x", "y"))), unique=True, min_size=1))
    found = []
    for variant, dtype in names:
        ms = draw(MS)
        bound = None if ms is None else ms * draw(st.sampled_from((1.0, 1.5)))
        accuracy, parameters, size = draw(ACCURACIES), draw(st.integers(0, 2)), draw(st.integers(0, 2))
        found.append(
            Candidate(
                variant=variant,
                dtype=dtype,
                accuracy=accuracy,
                predicted_ms=ms,
                upper_ms=bound,
                bytes=size,
                active_parameters=parameters,
            )
        )
    return found


DEMANDS = st.builds(
    Demand,
    budget_ms=st.none() | st.sampled_from((0.5, 2.0, 6.0, 200.0)),
    min_accuracy=st.none() | SHARES,
    variant=st.none() | st.sampled_from("abf"),
    dtype=st.none() | st.sampled_from(("x", "z")),
    best_effort=st.booleans(),
)


def outcome(found: Sequence[Candidate], demand: Demand) -> Choice | NoFeasibleVariantError:
    try:
        return choose(found, demand)
    except NoFeasibleVariantError as error:
        return error


@given(candidates(), DEMANDS)
def test_what_is_chosen_keeps_the_demand_and_every_other_one_has_a_reason(
    found: Sequence[Candidate], demand: Demand
) -> None:
    result = outcome(found, demand)
    named = [one for one in found if demand.asks_for(one)]
    if isinstance(result, Choice):
        chosen = result.candidate
        assert demand.asks_for(chosen)
        keeps = demand.keeps_budget(chosen) and demand.keeps_floor(chosen)
        assert keeps != result.best_effort
        assert [one.candidate for one in result.reasons] == [one for one in found if one is not chosen]
    else:
        assert not named or not demand.best_effort
        assert [one.candidate for one in result.reasons] == list(found)
    assert all(one.kind in KINDS and one.text for one in result.reasons)
    assert all((one.kind == NOT_PINNED) != (one.candidate in named) for one in result.reasons)


@given(candidates(), DEMANDS, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter(found: Sequence[Candidate], demand: Demand, random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    one, other = outcome(found, demand), outcome(shuffled, demand)
    if isinstance(one, Choice) and isinstance(other, Choice):
        assert one.candidate == other.candidate
        assert one.best_effort == other.best_effort
    else:
        assert str(one) == str(other)


@given(candidates(), DEMANDS, st.floats(0, 300))
def test_a_larger_budget_never_gives_less_accuracy(found: Sequence[Candidate], demand: Demand, more: float) -> None:
    if demand.budget_ms is None:
        return
    strict = dataclasses.replace(demand, best_effort=False)
    one = outcome(found, strict)
    other = outcome(found, dataclasses.replace(strict, budget_ms=demand.budget_ms + more))
    if isinstance(one, Choice):
        assert isinstance(other, Choice)
        assert score(other.candidate) >= score(one.candidate)


def score(one: Candidate) -> float:
    return -1.0 if one.accuracy is None else one.accuracy.score


@given(candidates(), DEMANDS)
def test_the_budget_that_a_refusal_names_is_enough(found: Sequence[Candidate], demand: Demand) -> None:
    result = outcome(found, demand)
    if isinstance(result, NoFeasibleVariantError) and result.least_budget_ms is not None:
        enough = dataclasses.replace(demand, budget_ms=result.least_budget_ms)
        assert not choose(found, enough).best_effort
    if isinstance(result, NoFeasibleVariantError) and result.best_accuracy is not None:
        lower = dataclasses.replace(demand, min_accuracy=result.best_accuracy)
        assert not choose(found, lower).best_effort
