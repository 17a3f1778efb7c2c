"""The server does what its OpenAPI document says: requests and expectations are made from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

from mockbroker import Broker, Credentials
from mockbroker.server.control.routes import ROUTES

schemathesis = pytest.importorskip(
    "schemathesis", reason="`tox -e control-api` installs schemathesis"
)
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

MAX_EXAMPLES = 6
MODES = list(schemathesis.GenerationMode)
"""Requests as the document has them, and requests with a mistake."""


@pytest.fixture(scope="module")
def running() -> Iterator[Broker]:
    with Broker(credentials=Credentials("shop", "s3cr:et")).running() as broker:
        yield broker


@pytest.fixture(scope="module")
def document(running):
    return schemathesis.openapi.from_url(f"{running.control_url}/openapi.json")


def bounded(body: object) -> object:
    """The body without what would end the run: refused connections, and long waits."""
    if isinstance(body, dict):
        return {
            key: 0.01 if key == "timeout_seconds" and is_number(value) else bounded(value)
            for key, value in body.items()
            if key != "refuse_seconds"
        }
    return [bounded(each) for each in body] if isinstance(body, list) else body


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


# Events do not end; they have tests of their own.
ENDING = [route for route in ROUTES if route.path != "/events"]
CASES = [
    (route, mode)
    for route in ENDING
    for mode in MODES
    # Without a body and a query there is nothing to make a mistake in.
    if mode is schemathesis.GenerationMode.POSITIVE or route.body or route.query
]


@pytest.mark.parametrize(
    ("route", "mode"),
    CASES,
    ids=[f"{route.method} {route.path} {mode.value}" for route, mode in CASES],
)
def test_every_answer_is_as_described(running, document, route, mode):
    running.reset()
    operation = document[route.path][route.method]

    @settings(
        max_examples=MAX_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answered(case):
        if route.path == "/journal/wait":
            assume(isinstance(case.body, dict) and "timeout_seconds" in case.body)
        body = bounded(case.body)
        if body != case.body:
            case.body = body
        response = case.call()
        assert response.status_code < 500, (response.text, case.as_curl_command())
        # A schema cannot say all: a fault without an effect is refused, and an unknown token.
        case.validate_response(response, excluded_checks=[checks.positive_data_acceptance])

    answered()
