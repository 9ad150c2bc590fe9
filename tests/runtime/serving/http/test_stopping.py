"""Stopping and changing the family while requests run."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx

from runtime.errors import VerificationError
from runtime.serving.http.api_keys import ApiKeys
from runtime.serving.http.limits import Limits
from runtime.serving.http.served import Files, Served
from tests.runtime.serving.http.test_limits import ASKED, CHAT, held_family, until
from tests.support.fake_family import FakeFamily, manifest_of
from tests.support.http_server import NAME, running_server


def test_a_server_that_stops_finishes_what_it_began_and_takes_no_more() -> None:
    family = held_family()
    with (
        running_server(family) as server,
        ThreadPoolExecutor(1) as threads,
        httpx.Client(base_url=server.url) as client,
    ):
        assert client.get("/readyz").json() == {"status": "ready"}
        running = threads.submit(httpx.post, server.url + CHAT, json={**ASKED, "stream": True})
        until(lambda: len(family.requests) == 1)
        server.service.admission.draining = True
        late = client.post(CHAT, json=ASKED)
        assert (late.status_code, late.json()["error"]["code"]) == (503, "shutting_down")
        assert client.get("/readyz").status_code == 503 and client.get("/healthz").status_code == 200
        server.call(server.server.stop)
        server.call(family.go.set)
        assert "[DONE]" in running.result().text
    assert family.closed


def test_what_does_not_end_in_time_is_told_that_the_server_stops() -> None:
    family = held_family()
    limits = Limits(drain_s=0.05)
    with running_server(family, limits) as server, ThreadPoolExecutor(1) as threads:
        running = threads.submit(httpx.post, server.url + CHAT, json=ASKED)
        until(lambda: len(family.requests) == 1)
        server.call(server.server.stop)
        found = running.result()
    assert (found.status_code, found.json()["error"]["code"]) == (503, "shutting_down")
    assert family.cancels == 1 and family.closed


def test_a_new_family_takes_over_without_dropping_a_request() -> None:
    old, new = held_family(), FakeFamily(words=("new",), manifest=manifest_of(("b4-k4",), "other"))
    with (
        running_server(old, load=lambda files: new) as server,
        ThreadPoolExecutor(1) as threads,
        httpx.Client(base_url=server.url) as client,
    ):
        before = client.get("/trimoe/family").json()["digest"]
        running = threads.submit(httpx.post, server.url + CHAT, json=ASKED)
        until(lambda: len(old.requests) == 1)
        found = client.post("/admin/family", json={})
        assert found.status_code == 200 and found.json()["digest"] != before
        assert client.post(CHAT, json=ASKED).json()["choices"][0]["message"]["content"] == "new"
        assert client.get("/trimoe/family").json()["digest"] == found.json()["digest"]
        assert not old.closed
        server.call(old.go.set)
        assert running.result().json()["choices"][0]["message"]["content"] == "the number is 0720"
        until(lambda: old.closed)
        assert 'trimoe_family_swaps_total{outcome="done"} 1.0' in client.get("/metrics").text
    assert new.closed


def test_a_family_that_cannot_be_loaded_leaves_the_old_one() -> None:
    def load(files: Files) -> Served:
        raise VerificationError(f"{files.path}: weights/a differs")

    with running_server(load=load) as server, httpx.Client(base_url=server.url) as client:
        found = client.post("/admin/family", json={})
        assert (found.status_code, found.json()["error"]["code"]) == (422, "family_not_loaded")
        assert "weights/a differs" in found.json()["error"]["message"]
        server.call(server.server.swap)
        until(lambda: 'trimoe_family_swaps_total{outcome="failed"} 2.0' in client.get("/metrics").text)
        assert client.post(CHAT, json=ASKED).status_code == 200


def test_one_change_at_a_time() -> None:
    begun, go = threading.Event(), threading.Event()

    def load(files: Files) -> Served:
        begun.set()
        go.wait(10)
        return FakeFamily()

    with running_server(load=load) as server, ThreadPoolExecutor(1) as threads:
        first = threads.submit(httpx.post, f"{server.url}/admin/family", json={}, timeout=10)
        assert begun.wait(10)
        assert httpx.post(f"{server.url}/admin/family", json={}).status_code == 409
        go.set()
        assert first.result().status_code == 200


def test_only_programs_on_this_machine_change_the_family_without_a_key() -> None:
    with running_server(load=lambda files: FakeFamily()) as server, httpx.Client(base_url=server.url) as client:
        for header in ("x-forwarded-for", "origin", "sec-fetch-site"):
            assert client.post("/admin/family", json={}, headers={header: "x"}).status_code == 403
        named = client.post("/admin/family", json={"path": "/elsewhere"})
        assert (named.status_code, named.json()["error"]["param"]) == (403, "path")


def test_other_files_are_named_with_admin_keys_and_stay_until_others_are() -> None:
    asked: list[Files] = []

    def load(files: Files) -> Served:
        asked.append(files)
        return FakeFamily()

    key = "k" * 20
    there = Files(path=Path("/there"), estimators=(Path("a.json"), Path("b.json")), baseline=Path("c.json"))
    bodies = [
        ({"path": "/there", "estimators": ["a.json", "b.json"], "baseline": "c.json"}, there),
        (None, there),
        ({}, there),
        ({"estimators": []}, replace(there, estimators=())),
        ({"baseline": None}, replace(there, estimators=(), baseline=None)),
        ({"path": "/other"}, Files(path=Path("/other"))),
    ]
    with running_server(load=load, admin_keys=ApiKeys([key])) as server, httpx.Client(base_url=server.url) as client:
        assert client.post("/admin/family", json={}).status_code == 401
        for body, expected in bodies:
            found = client.post("/admin/family", json=body, headers={"authorization": f"Bearer {key}"})
            assert (found.status_code, asked[-1]) == (200, expected)


def test_a_change_without_a_body_reads_the_same_files_anew() -> None:
    asked: list[Files] = []

    def load(files: Files) -> Served:
        asked.append(files)
        return FakeFamily()

    with running_server(load=load) as server, httpx.Client(base_url=server.url) as client:
        assert client.post("/admin/family").status_code == 200
        refused = [client.post("/admin/family", json=body) for body in ({"estimators": ["a"]}, {"baseline": None})]
    assert asked == [Files(path=Path(NAME))]
    assert [one.json()["error"]["param"] for one in refused] == ["estimators", "baseline"]
