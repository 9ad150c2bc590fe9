"""What /metrics tells, and what is remembered of decisions."""

import json
import logging
import sys

import httpx
import pytest

from runtime.serving.http.observing.json_log import JsonLines
from runtime.serving.http.observing.recent import KEPT, RecentDecisions
from tests.runtime.serving.http.test_limits import ASKED, CHAT
from tests.support.fake_family import FakeFamily
from tests.support.http_server import running_server


def test_metrics_tell_times_choices_refusals_and_state() -> None:
    with running_server(FakeFamily(waiting=2, busy=True)) as server, httpx.Client(base_url=server.url) as client:
        client.post(CHAT, json={**ASKED, "latency_budget_ms": 30})
        client.post(CHAT, json={**ASKED, "latency_budget_ms": 12, "stream": True})
        client.post(CHAT, json={**ASKED, "latency_budget_ms": 1})
        client.get("/made/up/path")
        text = client.get("/metrics").text
    for line in (
        'trimoe_choices_total{best_effort="false",dtype="float32",variant="b3-k2"} 1.0',
        'trimoe_stage_seconds_sum{stage="prefill",variant="b3-k2"} 0.003',
        'trimoe_stage_seconds_count{stage="queue",variant="b2-k1"} 1.0',
        'trimoe_actual_over_predicted_sum{variant="b2-k1"} 1.25',
        'trimoe_budgets_total{kept="yes",variant="b3-k2"} 1.0',
        'trimoe_budgets_total{kept="no",variant="b2-k1"} 1.0',
        'trimoe_tokens_total{kind="reused",variant="b3-k2"} 0.0',
        'trimoe_tokens_total{kind="completion",variant="b3-k2"} 4.0',
        'trimoe_refusals_total{reason="overloaded"} 1.0',
        'trimoe_http_requests_total{method="POST",route="/v1/chat/completions",status="200"} 2.0',
        'trimoe_http_requests_total{method="GET",route="other",status="404"} 1.0',
        'trimoe_drift{stage="prefill"} 1.1',
        'trimoe_running{variant="b4-k4"} 1.0',
        'trimoe_memory_bytes{of="variants"} 1000.0',
        "trimoe_waiting 2.0",
        "trimoe_requests_in_progress 0.0",
    ):
        assert line in text.splitlines(), line
    assert "made" not in text


@pytest.mark.parametrize(("waiting", "busy", "status"), [(0, False, 422), (1, False, 422), (0, True, 503)])
def test_a_budget_that_cannot_be_kept_is_worth_a_retry_only_where_an_idle_machine_would_keep_it(
    waiting: int, busy: bool, status: int
) -> None:
    with running_server(FakeFamily(waiting=waiting, busy=busy)) as server:
        found = httpx.post(server.url + CHAT, json={**ASKED, "latency_budget_ms": 1})
    assert found.status_code == status and ("retry-after" in found.headers) == (status == 503)
    assert found.json()["error"]["trimoe"]["least_budget_ms"] == 12.0


def test_decisions_are_told_after_a_number_without_text() -> None:
    with running_server() as server, httpx.Client(base_url=server.url) as client:
        for budget in (30, 1):
            client.post(CHAT, json={**ASKED, "latency_budget_ms": budget})
        found = client.get("/trimoe/decisions").json()
        later = client.get("/trimoe/decisions?after=1").json()
    assert found["last"] == 2 and [one["outcome"] for one in found["decisions"]] == ["stop", "no_feasible_variant"]
    assert found["decisions"][0]["variant"] == "b3-k2" and found["decisions"][0]["actual_ms"] == 12.5
    assert later["decisions"] == found["decisions"][1:] and "hello" not in json.dumps(found)


def test_only_the_last_decisions_are_kept() -> None:
    recent = RecentDecisions()
    for _ in range(KEPT + 5):
        recent.add("stop")
    assert [one.number for one in recent.after(0).decisions] == list(range(6, KEPT + 6))


def test_a_log_line_is_json_whatever_is_in_it() -> None:
    try:
        raise ValueError("a\nb")
    except ValueError:
        record = logging.LogRecord("n", logging.ERROR, "f", 1, "failed %s\n", ("x",), sys.exc_info())
    record.fields = {"variant": "b2-k1"}
    line = JsonLines().format(record)
    found = json.loads(line)
    assert "\n" not in line and (found["event"], found["level"], found["variant"]) == ("failed x", "error", "b2-k1")
    assert "ValueError: a\nb" in found["traceback"]
