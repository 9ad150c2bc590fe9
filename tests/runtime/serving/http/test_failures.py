"""Which field of a request a refusal names."""

import pytest

from runtime.selection.choice import NoFeasibleVariantError, Reason
from runtime.selection.reasons import BELOW_FLOOR, NO_ACCURACY, NOT_PINNED, OVER_BUDGET, UNPREDICTED
from runtime.serving.http.answering.failures import api_error
from tests.support.decision_logs import candidate


@pytest.mark.parametrize(
    ("kinds", "param"),
    [
        ((OVER_BUDGET, OVER_BUDGET), "latency_budget_ms"),
        ((UNPREDICTED, BELOW_FLOOR), "latency_budget_ms"),
        ((BELOW_FLOOR, NO_ACCURACY), "min_accuracy"),
        ((NOT_PINNED, BELOW_FLOOR), "min_accuracy"),
        ((NOT_PINNED,), "model"),
    ],
)
def test_a_refusal_names_what_cannot_be_kept(kinds: tuple[str, ...], param: str) -> None:
    reasons = [Reason(candidate=candidate("b16-k8"), kind=kind, text="") for kind in kinds]
    error = NoFeasibleVariantError("nothing", reasons=reasons, least_budget_ms=None, best_accuracy=None)
    found = api_error(error, retry_after_s=1.0)
    assert (found.status, found.code, found.param) == (422, "no_feasible_variant", param)
