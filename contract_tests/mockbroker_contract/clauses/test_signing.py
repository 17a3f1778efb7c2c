"""Chapter ``signing``: what a signed call carries, and what it keeps of the caller."""

from __future__ import annotations

import contextlib
import operator
import string
import urllib.parse
from typing import Any

import pytest
from hypothesis import strategies as st

from mockbroker.broker.answers import TokenAnswer
from mockbroker.contract import clauses
from mockbroker.model.api_call import judged_call
from mockbroker.model.messages import Request
from mockbroker_contract.clauses.signing_cases import (
    CREDENTIALS,
    UNAUTHORIZED,
    called,
    revoke,
    without_call,
)
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.drivers.failures import NotApplicable, NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.endings import ClientHung, TooManyRequests
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.harness.strategies import text_of, unreserved_tokens

# A client that copies the type from the answer breaks another clause.
_CAPITALIZED = TokenAnswer(members={"token_type": "Bearer"})


def _judge_signed_calls(scenario: Scenario) -> None:
    """Make signed calls with a first and a second token, and judge them.

    Two calls to different paths, an hour apart, so that the second one has another token.
    """
    scenario.run.needs(REQUEST)
    steps = scenario.run.time.is_virtual

    def run_case(value: str) -> Situation:
        with scenario.session(credentials=CREDENTIALS) as session:
            session.broker.token_answer = _CAPITALIZED
            session.broker.token_values = iter(
                # More values than calls, because a client that keeps no token or repeats a request
                # needs several.
                [value, *(f"{n}.{value}" for n in range(9))]
            ).__next__
            called(session)
            # The broken call is the proof, and another one would only make the report longer.
            if session.has_broken_request:
                return Situation.MET
            # A second token, because a session may keep the header of the first one.
            session.advance(3600 if steps else 0)
            called(session, path="/vehicle/2?region=au")
            return Situation.MET

    scenario.for_all(
        unreserved_tokens(), run_case, first=["dG9rZW4tMQ", "eyJhbGciOiJub25lIn0.e30."]
    )
    # A client may sign calls of some methods only, or put the token of others into the body. With
    # GET, as a client may make no other calls.
    scenario.for_each(
        ["GET", "POST", "PUT", "PATCH", "DELETE"],
        lambda method, _: _case_of_method(scenario, method),
        operations=(REQUEST,),
    )


def _case_of_method(scenario: Scenario, method: str) -> Situation:
    """Make a call by that method, with a body where it has one, and judge it."""
    options: dict[str, Any] = {"data": b"{}"} if method in {"POST", "PUT", "PATCH"} else {}
    with scenario.session(credentials=CREDENTIALS) as session:
        session.broker.token_answer = _CAPITALIZED
        url = session.broker.api_url + "/vehicle/1"
        outcome = session.call(method, url, **options)
        if _cannot_take(outcome, options):
            outcome = session.call(method, url)
        return Situation.met_if(outcome.api_calls)


@pytest.mark.contract_clause(clauses.signing.BEARER)
def test_bearer(scenario: Scenario) -> None:
    """Check the one Authorization header: Bearer, a space, and the token as issued.

    RFC 6750, 2.1. Judged in its own cases only: elsewhere a token may be changed for another
    reason. The second kind of cases is a call that is repeated after a 401: a client may add a
    second token to the header of the first attempt.
    """
    scenario.share(_judge_signed_calls)

    def run_case(_uses: int, _operation: str) -> Situation:
        with scenario.session(credentials=CREDENTIALS) as session:
            session.broker.token_answer = _CAPITALIZED
            session.use_well(REQUEST)
            revoke(session)
            # A client that repeats the call without end, or hangs, is judged by what it sent.
            with contextlib.suppress(ClientHung, TooManyRequests):
                session.use(REQUEST)
            return Situation.MET

    scenario.for_each([1], run_case, operations=(REQUEST,))


@pytest.mark.contract_clause(clauses.signing.HEADER_ONLY)
def test_header_only(scenario: Scenario) -> None:
    """Check that the token is in the Authorization header and nowhere else.

    RFC 6750, 2.3 and 5.3: a URL ends up in logs, histories and Referer headers.
    """
    scenario.share(_judge_signed_calls)


@pytest.mark.contract_clause(clauses.signing.NO_CREDENTIALS)
def test_no_credentials(scenario: Scenario) -> None:
    """Check that the API never receives the client's credentials.

    Passive. A client that keeps its credentials on the session would send them to the API as well.
    """
    scenario.share(_judge_signed_calls)


@pytest.mark.contract_clause(clauses.signing.PRESERVES_REQUEST)
def test_preserves_request(scenario: Scenario) -> None:
    """Check that method, path, query, body and the caller's headers arrive unchanged.

    Queries are compared as pairs, because libraries may encode a space in two ways. A call that is
    repeated after a 401 must be the same call; a client that has consumed its body fails there.
    """
    scenario.run.needs(REQUEST)

    def run_case(drawn: tuple[str, str, dict[str, str], bytes]) -> Situation:
        method, path, headers, body = drawn
        with scenario.session(credentials=CREDENTIALS) as session:
            url = session.broker.api_url + path
            options = _options(headers, body if method in {"POST", "PUT", "PATCH"} else b"")
            outcome = session.call(method, url, **options)
            # Headers and body are optional for a client. The rest of the call is judged without
            # them.
            if _cannot_take(outcome, options):
                options = {}
                outcome = session.call(method, url)
            _must_be_preserved(session, outcome, method, url, options)
            return Situation.MET

    first = [
        ("POST", "/vehicle?region=uk", {"X-Trace": "a, b;c"}, b'{"a": 1}'),
        # A repeated name, both encodings of a space and a plus, and an empty value; and a header
        # that libraries set by themselves.
        ("GET", "/vehicle/1?a=1&a=2&b=x%20y%2Bz&c=", {"Accept": "text/csv"}, b""),
        ("DELETE", "/vehicle/1", {"X-Request-Id": "r-1"}, b""),
        # An encoded slash is data (RFC 3986, 2.2): decoding it would name another resource.
        ("GET", "/vehicle/ab%2Fcd%20e", {}, b""),
    ]
    scenario.for_all(_requests(), run_case, first=first)
    # A POST with a body: a client may have read the body to its end at the first attempt.
    scenario.for_each(
        [first[0]], lambda case, _: _case_of_repeated_call(scenario, case), operations=(REQUEST,)
    )


@pytest.mark.contract_clause(clauses.signing.BODY_READ_ONCE)
def test_body_read_once(scenario: Scenario) -> None:
    """Check that a call repeated after a 401 has its whole body, where that is an iterator."""
    scenario.run.needs(REQUEST)
    if not scenario.run.clients.in_python:
        raise NotApplicable("a driver gives the client its body as a string")

    def run_case(body: bytes, operation: str) -> Situation:
        with scenario.session(credentials=CREDENTIALS) as session:
            session.use_well(operation)
            revoke(session)
            url = session.broker.api_url + "/vehicle"
            outcome = session.call("POST", url, data=body, is_stream=True)
            if not outcome.api_calls:
                raise NotTested("the client sent no call whose body is an iterator")
            now = outcome.api_calls[-1].request.body
            # A client may raise when the call is to be repeated, or return the 401.
            is_told = outcome.error is not None or outcome.status == UNAUTHORIZED
            if now != body and not is_told:
                session.breach(
                    f"the call was repeated, and its body, an iterator, arrived as {now!r}",
                    f"{body!r}, as it was, or an error",
                    outcome.api_calls,
                )
            return Situation.MET

    scenario.for_each([b'{"a": 1}'], run_case, operations=(REQUEST,))


def _case_of_repeated_call(
    scenario: Scenario, case: tuple[str, str, dict[str, str], bytes]
) -> Situation:
    """Check that a call repeated with another token is otherwise the same call."""
    method, path, headers, body = case
    with scenario.session(credentials=CREDENTIALS) as session:
        # A token that the client believes valid, or it has no reason to repeat the call.
        session.use_well(REQUEST)
        revoke(session)
        options, url = _options(headers, body), session.broker.api_url + path
        outcome = session.call(method, url, **options)
        if _cannot_take(outcome, options):
            options = {}
            outcome = session.call(method, url)
        _must_be_preserved(session, outcome, method, url, options)
        return Situation.MET


def _requests() -> st.SearchStrategy[tuple[str, str, dict[str, str], bytes]]:
    """Bodies are arbitrary bytes; whether a method has one is decided by the case."""
    word = text_of(string.ascii_letters + string.digits + "-_", min_size=1, max_size=8)
    query = st.lists(st.tuples(word, word), max_size=3).map(urllib.parse.urlencode)
    path = st.builds("/vehicle/{}?{}".format, word, query).map(lambda text: text.rstrip("?"))
    # Header names without underscores: where headers become variables, a hyphen turns into one.
    name = text_of(string.ascii_letters + string.digits + "-", min_size=1, max_size=8)
    headers = st.dictionaries(name.map("X-".__add__), word, max_size=3)
    methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"])
    return st.tuples(methods, path, headers, st.binary(max_size=64))


def _options(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Return the keyword arguments of a call, as `requests` has them.

    A body gets a content type, or libraries would choose different ones.
    """
    options: dict[str, Any] = {"headers": headers}
    if body:
        headers = {"Content-Type": "application/octet-stream", **headers}
        options = {"headers": headers, "data": body}
    return options


def _cannot_take(outcome: Outcome, options: dict[str, Any]) -> bool:
    """Return whether the client's request() rejects these parameters, which are optional."""
    return (
        bool(options)
        and outcome.error is not None
        and "TypeError" in outcome.error.bases
        and not outcome.api_calls
        and any(f"unexpected keyword argument '{name}'" in str(outcome.error) for name in options)
    )


def _must_be_preserved(
    session: ClientSession, outcome: Outcome, method: str, url: str, options: dict[str, Any]
) -> None:
    """Raise the breach of the clause for the first difference.

    Compared are the call that the case made and the last one that the API received.
    """
    if not outcome.api_calls:
        raise without_call(session, outcome)
    # A token in the URL belongs to the signature, as one in a header field does.
    request = judged_call(outcome.api_calls[-1].request, session.broker.profile)
    for what, was, now in _differences(request, method, url, options):
        session.breach(f"{what} arrived as {now!r}", f"{was!r}, as it was", outcome.api_calls)


def _differences(
    request: Request, method: str, url: str, options: dict[str, Any]
) -> list[tuple[str, object, object]]:
    parts = urllib.parse.urlsplit(url)
    compared: list[tuple[str, object, object]] = [
        ("the method", method, request.method),
        ("the path", parts.path, request.path),
        ("the query", _pairs(parts.query), _pairs(request.query)),
        ("the body", options.get("data", b""), request.body),
    ]
    compared += [
        (f"the header {name}", (value,), request.headers.get_all(name))
        for name, value in options.get("headers", {}).items()
    ]
    return [row for row in compared if row[1] != row[2]]


def _pairs(query: str) -> list[tuple[str, str]]:
    # As pairs, because "+" and "%20" are the same in a query of a form. In the order of the names,
    # because only the order of the values of a name has a meaning: libraries keep lists of them.
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    pairs.sort(key=operator.itemgetter(0))
    return [pair for pair in pairs if pair[0] != "access_token"]  # signing.header-only judges that


@pytest.mark.contract_clause(clauses.signing.CALLERS_ARGUMENTS)
def test_callers_arguments(scenario: Scenario) -> None:
    """Check that the client leaves the caller's dicts of headers and parameters as they were.

    With a call that is answered, and with one that is refused first: a client may put its second
    token elsewhere than its first. Only a client in Python gets objects of the caller.
    """
    scenario.run.needs(REQUEST)
    if not scenario.run.clients.in_python:
        raise NotApplicable("the driver passes copies of the arguments")

    def run_case(refusals: int, _operation: str) -> Situation:
        with scenario.session(credentials=CREDENTIALS) as session:
            session.use_well(REQUEST)
            if refusals:
                revoke(session)
            url = session.broker.api_url + "/vehicle/1"
            outcome = _call_with_dicts(session, url)
            if not outcome.api_calls:
                raise without_call(session, outcome)
            if outcome.changed:
                session.breach(
                    f"the client wrote into the caller's {' and '.join(outcome.changed)}",
                    "a copy of them for the call",
                    outcome.api_calls,
                )
            return Situation.MET

    scenario.for_each([0, 1], run_case, operations=(REQUEST,))


def _call_with_dicts(session: ClientSession, url: str) -> Outcome:
    """Make a call with headers and parameters, or with those that the client takes."""
    options: dict[str, Any] = {"headers": {"X-Trace": "a"}, "params": {"region": "uk"}}
    outcome = session.call("GET", url, **options)
    if _cannot_take(outcome, options):
        del options["params"]
        outcome = session.call("GET", url, **options)
    if _cannot_take(outcome, options):
        raise NotApplicable("the client's request() takes neither headers nor parameters")
    return outcome
