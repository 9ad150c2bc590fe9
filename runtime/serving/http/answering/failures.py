"""What stops an answer, as clients are told."""

import logging

from runtime.errors import DeadlineError, MemoryLimitError, OverloadedError, RequestError, TrimoeError
from runtime.selection.choice import NoFeasibleVariantError
from runtime.selection.reasons import NOT_PINNED, OVER_BUDGET, UNPREDICTED
from runtime.serving.http.api_error import ApiError
from runtime.serving.http.schema.family_view import refusal_view

_log = logging.getLogger(__name__)


def api_error(error: Exception, *, retry_after_s: float) -> ApiError:
    """The refusal for what the family raised; what nobody expected is logged, and its text stays here. A budget that
    an idle machine would keep may be kept later."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, NoFeasibleVariantError):
        details = {"trimoe": refusal_view(error).model_dump(mode="json")}
        if error.when_idle:
            return ApiError(503, str(error), code="overloaded", retry_after_s=retry_after_s, details=details)
        return ApiError(422, str(error), code="no_feasible_variant", param=_not_kept(error), details=details)
    if isinstance(error, OverloadedError):
        return ApiError(503, str(error), code="overloaded", retry_after_s=error.retry_after_s)
    if isinstance(error, DeadlineError):
        return ApiError(503, str(error), code="deadline_out_of_reach", retry_after_s=error.retry_after_s)
    if isinstance(error, MemoryLimitError):
        return ApiError(503, str(error), code="out_of_memory", retry_after_s=retry_after_s)
    if isinstance(error, RequestError):
        return ApiError(400, str(error), code="request_not_possible")
    _log.error("a request failed", exc_info=error)
    if isinstance(error, TrimoeError):
        return ApiError(
            503, "the model failed; see the server's log", code="engine_failed", retry_after_s=retry_after_s
        )
    return ApiError(500, "internal error; see the server's log", code="internal_error")


def _not_kept(error: NoFeasibleVariantError) -> str:
    """The field of the request that refuses: the variant that it names, its budget, or its floor."""
    kinds = {one.kind for one in error.reasons} - {NOT_PINNED}
    if not kinds:
        return "model"
    return "latency_budget_ms" if kinds & {OVER_BUDGET, UNPREDICTED} else "min_accuracy"
