"""Choices for requests as they come: what an idle machine would do for one that nothing can answer now."""

import numpy as np
import pytest

from runtime.engines.protocol import Prompt
from runtime.selection.choice import NoFeasibleVariantError
from runtime.selection.demand import Demand
from runtime.serving.forecasting.chooser import Chooser, Plan
from runtime.serving.forecasting.lengths import Lengths
from runtime.serving.forecasting.work import Ahead
from runtime.serving.request import Request, Sampling, Wish
from tests.support.decision_logs import DTYPE, TASK, forecaster, work


@pytest.mark.parametrize("ahead", [Ahead(running={"b16-k8": 14}), Ahead(waiting={"b16-k8": (3, 900)})])
def test_work_ahead_can_be_what_keeps_a_budget_from_being_kept(ahead: Ahead) -> None:
    model = forecaster()
    asked, queued = work(mean=16, high=16), {DTYPE: ahead}
    least = min(one.upper_ms or 0 for one in model.forecast(asked, TASK, {}).candidates)
    chooser = Chooser(model, Lengths(quantile=0.95), default_tokens=16)
    request = Request(text="", wish=Wish(task=TASK))
    found = []
    for budget_ms in (1.01 * least, 0.99 * least):
        forecast, demand = model.forecast(asked, TASK, queued), Demand(budget_ms=budget_ms)
        plan = Plan(cap=16, ahead=queued, forecast=forecast, demand=demand)
        with pytest.raises(NoFeasibleVariantError):
            chooser.choose(plan)
        found.append(chooser.feasible_when_idle(request, plan))
    assert found == [True, False]


@pytest.mark.parametrize(("max_tokens", "assumed"), [(None, True), (16, False)])
def test_a_refusal_says_how_long_an_answer_was_taken_to_be(max_tokens: int | None, assumed: bool) -> None:
    chooser = Chooser(forecaster(), Lengths(), default_tokens=16)
    request = Request(text="", sampling=Sampling(max_tokens=max_tokens), wish=Wish(task=TASK, budget_ms=1.0))
    prompt = Prompt(variant="b16-k8", arrays={"input_ids": np.arange(20)})
    with pytest.raises(NoFeasibleVariantError, match="the least budget is") as refused:
        chooser.choose(chooser.plan(request, prompt, {}, spent_ms=0.0))
    assert ("that is for an answer of 16 tokens, since max_tokens is not given" in str(refused.value)) == assumed
