"""What earlier tests were given: tokens that an app keeps, requests that a thread still sends.

The brokers of all tests of a run have the same URL. A token or a client_id shows which test a
request belongs to.
"""

from __future__ import annotations

import json
import os
import re
from collections import OrderedDict, deque
from dataclasses import replace
from typing import Any

from mockbroker.broker.answers import NO_STORE, Reply, json_response, render_json
from mockbroker.fake_broker import Broker
from mockbroker.model.authorization import decode_leniently
from mockbroker.model.credentials import Credentials
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.model.forms import LOOKED_AT_BYTES
from mockbroker.model.messages import Request, Response

__all__ = ["EarlierTests", "FixtureBroker"]

_TOKEN_LIMIT = 10_000
_LATE_LIMIT = 1000
_RANDOM_CLIENT_ID = re.compile(r"client-[0-9a-f]{8}")
"""What the client_id of a broker without credentials of its own looks like."""
_UNAUTHORIZED = 401


class EarlierTests:
    """What each test of this process was given; thread-safe.

    It remembers the latest 10,000 tokens, and the client_id of each test.
    """

    def __init__(self) -> None:
        self._tokens: OrderedDict[str, str] = OrderedDict()
        self._clients: dict[str, str] = {}
        self._firsts: dict[str, Exchange] = {}
        self.late: deque[str] = deque(maxlen=_LATE_LIMIT)
        """The tests whose credentials came in a token request during the present test."""

    def begin(self, own: Credentials | None = None) -> None:
        """Record that a test begins, with credentials of its own or those of the session."""
        self.late.clear()
        if own is not None:
            self._clients[own.client_id] = _current_test()

    def see(self, exchange: Exchange) -> None:
        """Record which test a token was issued to, and the first exchange of a test."""
        test = _current_test()
        self._firsts.setdefault(test, exchange)
        if exchange.endpoint is Endpoint.TOKEN and exchange.token is not None:
            self._tokens[exchange.token.value] = test
            if len(self._tokens) > _TOKEN_LIMIT:
                self._tokens.popitem(last=False)

    def first_number(self, test: str) -> int | None:
        """Return the number of the first exchange during a test, None if there was none."""
        first = self._firsts.get(test)
        return None if first is None else first.number

    def hint_on(self, request: Request) -> str:
        """Return what to do about a token that an earlier test got; empty for another token."""
        presented = (value.partition(" ")[2] for value in request.headers.get_all("Authorization"))
        tests = (self._tokens.get(token) for token in presented)
        test = next((each for each in tests if each and each != _current_test()), "")
        if not test:
            return ""
        return (
            f"this token was issued to the client in an earlier test ({test}): the app keeps "
            "tokens between tests; clear its cache before each test, or use auth_broker_session "
            "alone, which keeps tokens valid"
        )

    def owner_of(self, request: Request, present: Credentials) -> str:
        """Return the earlier test whose credentials a token request has; empty without them."""
        found = {name for text in _texts(request) for name in _RANDOM_CLIENT_ID.findall(text)}
        if present.client_id in found:
            return ""
        tests = (self._clients.get(name) for name in found)
        return next((each for each in tests if each and each != _current_test()), "")


def _current_test() -> str:
    """Return the id of the test that runs now, as pytest has it in the environment."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]


def _texts(request: Request) -> tuple[str, ...]:
    """Return the parts of a token request that may have a client_id, decoded."""
    encoded = (value.partition(" ")[2] for value in request.headers.get_all("Authorization"))
    decoded = (decode_leniently(value) or b"" for value in encoded)
    return tuple(each.decode("latin-1") for each in (*decoded, request.body[:LOOKED_AT_BYTES]))


class FixtureBroker(Broker):
    """The broker that the fixtures provide: it recognizes what was given to earlier tests.

    A token request with the credentials of an earlier test is rejected, and is not part of the
    journal. A call with a token of an earlier test is answered and recorded as usual; the answer
    has a hint.
    """

    def __init__(self, earlier: EarlierTests, **settings: Any) -> None:
        super().__init__(**settings)
        self._earlier = earlier
        self.journal.subscribe(earlier.see)

    def reset(self) -> None:
        """Return to the initial state, but recognize what earlier tests were given."""
        super().reset()
        self.journal.subscribe(self._earlier.see)

    def renew(self) -> None:
        """Return to the initial state, with other random credentials, for the next test."""
        self._state.clients.renew()
        self.reset()

    def handle(self, request: Request, origin: str) -> Reply:
        """Answer a request as a broker does, unless it belongs to an earlier test."""
        owner = self._earlier.owner_of(request, self.credentials)
        # Within a test the journal is what the test asserts on. Requests of a thread that an
        # earlier test has left behind would make it fail for a wrong reason.
        if owner:
            self._earlier.late.append(owner)
            return Reply(response=_late_answer(owner))
        reply = super().handle(request, origin)
        hint = self._earlier.hint_on(request)
        if hint and reply.response.status == _UNAUTHORIZED:
            return replace(reply, response=_with_hint(reply.response, hint))
        return reply


def _late_answer(owner: str) -> Response:
    """Return the answer to a token request with the credentials of an earlier test."""
    hint = (
        f"these credentials were given to an earlier test ({owner}); an app that reads its "
        "settings once needs auth_broker_session"
    )
    text = "these credentials belong to another test"
    members = {"error": "invalid_client", "error_description": text, "hint": hint}
    return json_response(401, members, *NO_STORE, ("WWW-Authenticate", 'Basic realm="auth-broker"'))


def _with_hint(response: Response, hint: str) -> Response:
    """Return the response with another reason and hint in its JSON; any other body as it is."""
    try:
        members = json.loads(response.body)
    except ValueError:
        return response
    if not isinstance(members, dict):
        return response
    # In place of "never issued", which is true for the present test only.
    changed = {"message": "the token was issued in an earlier test", "hint": hint}
    return replace(response, body=render_json({**members, **changed}))
