"""The server's own OpenAPI is true: whatever is sent, what comes back is declared, and no undeclared failure."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from runtime.serving.http.app import create_app
from runtime.serving.http.limits import Limits
from tests.support.fake_family import FakeFamily
from tests.support.http_server import make_service

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


def load(_path: object) -> FakeFamily:
    return FakeFamily()


SERVICE = make_service(FakeFamily(), Limits(), load=load)
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", create_app(SERVICE))
QUICK = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@SCHEMA.parametrize()
@QUICK
def test_what_comes_back_is_declared(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=list(CHECKS))


@pytest.mark.slow
@SCHEMA.parametrize()
@settings(QUICK, max_examples=300)
def test_what_comes_back_is_declared_whatever_is_sent(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=list(CHECKS))


@pytest.fixture(scope="module")
def document(client_of_module: httpx.Client) -> dict[str, Any]:
    return client_of_module.get("/openapi.json").json()


@pytest.fixture(scope="module")
def client_of_module(server: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


def test_every_operation_declares_errors_in_openais_form(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            errors = {status: one for status, one in operation["responses"].items() if int(status) >= 400}
            assert {"400", "404", "500", "503"} <= errors.keys()
            for one in errors.values():
                assert one["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorBody")


def test_own_fields_are_declared(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["ChatRequest"]["properties"]
    assert {"latency_budget_ms", "min_accuracy", "task", "best_effort"} <= fields.keys()
