"""Chapter ``signing``: calls of the protected API."""

from __future__ import annotations

import string
import urllib.parse
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import strategies as st

from mockbroker.broker.answers import TokenAnswer
from mockbroker.broker.faults import Fault, Manner
from mockbroker.contract import clauses
from mockbroker.model.credentials import AccessToken, Credentials
from mockbroker.model.messages import Request
from mockbroker.report.steps import TokensRevoked
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.drivers.failures import NotApplicable, NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import fault_step, reached_step
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.harness.strategies import text_of, unreserved_tokens

# Characters of Base64 in the secret, so that an encoded form is found as well.
_CREDENTIALS = Credentials("signing-client", "signing-s3cret/+=")
_MAX_ATTEMPTS = 2
_UNAUTHORIZED = 401
# RFC 6750, 3: the answer to a call without a token, which has no error code.
_CHALLENGE = Fault.status(_UNAUTHORIZED, headers={"WWW-Authenticate": 'Bearer realm="api"'})
# More than any use can send.
_UNLIMITED = 200
_SECONDS_BEFORE_REVOCATION = 5
_SHORTER = 600
_REVOCATIONS = 2


def _without_call(session: ClientSession, outcome: Outcome) -> NotTested:
    """Return the reason why a use without a call of the API proves nothing."""
    error = f": it raised {session.masked(outcome.error)}" if outcome.error is not None else ""
    return NotTested(f"the client made no call to the API{error}")


def _called(session: ClientSession, **kwargs: Any) -> Outcome:
    """Use the client for a signed call. Raises NotTested if none reached the API."""
    outcome = session.use(REQUEST, **kwargs)
    if not outcome.api_calls:
        raise _without_call(session, outcome)
    return outcome


def _settled(session: ClientSession) -> Outcome:
    """Use the client well, until its uses are alike.

    A second time only after an unsigned call: it shows whether every call begins with one.
    """
    outcome = session.use_well(REQUEST)
    return session.use_well(REQUEST) if outcome.challenges else outcome


def _fail_call(session: ClientSession, settled: Outcome, fault: Fault) -> None:
    """Script a fault for the next call with a token, and record it.

    ``settled`` is a good use: the client begins the next one with as many unsigned calls, which get
    their usual 401.
    """
    session.broker.api_script(*[_CHALLENGE] * len(settled.challenges), fault)
    session.record(fault_step(fault, "api", times=1))


def _judge_signed_calls(scenario: Scenario) -> None:
    """Make signed calls with a first and a second token, and judge them.

    Two calls to different paths, an hour apart, so that the second one has another token.
    """
    scenario.run.needs(REQUEST)
    steps = scenario.run.time.is_virtual

    def run_case(value: str) -> Situation:
        with scenario.session(credentials=_CREDENTIALS) as session:
            # Capitalized, because a client that copies the type from the answer breaks another
            # clause.
            session.broker.token_answer = TokenAnswer(members={"token_type": "Bearer"})
            session.broker.token_values = iter(
                # More values than calls, because a client that keeps no token or repeats a request
                # needs several.
                [value, *(f"{n}.{value}" for n in range(9))]
            ).__next__
            _called(session)
            # The broken call is the proof, and another one would only make the report longer.
            if session.has_broken_request:
                return Situation.MET
            # A second token, because a session may keep the header of the first one.
            session.advance(3600 if steps else 0)
            _called(session, path="/vehicle/2?region=au")
            return Situation.MET

    scenario.for_all(
        unreserved_tokens(), run_case, first=["dG9rZW4tMQ", "eyJhbGciOiJub25lIn0.e30."]
    )


@pytest.mark.contract_clause(clauses.signing.BEARER)
def test_bearer(scenario: Scenario) -> None:
    """Check the one Authorization header: Bearer, a space, and the token as issued.

    RFC 6750, 2.1. Judged in its own cases only: elsewhere a token may be changed for another
    reason.
    """
    scenario.share(_judge_signed_calls)


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
        with scenario.session(credentials=_CREDENTIALS) as session:
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
        with scenario.session(credentials=_CREDENTIALS) as session:
            session.use_well(operation)
            _revoke(session)
            url = session.broker.api_url + "/vehicle"
            outcome = session.call("POST", url, data=body, is_stream=True)
            if not outcome.api_calls:
                raise NotTested("the client sent no call whose body is an iterator")
            now = outcome.api_calls[-1].request.body
            # A client may raise when the call is to be repeated, or return the 401.
            is_told = outcome.error is not None or outcome.status == _UNAUTHORIZED
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
    with scenario.session(credentials=_CREDENTIALS) as session:
        # A token that the client believes valid, or there is no reason to repeat the call.
        session.use_well(REQUEST)
        _revoke(session)
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
        raise _without_call(session, outcome)
    request = outcome.api_calls[-1].request
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
    # As pairs, because "+" and "%20" are the same in a query of a form.
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
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
        with scenario.session(credentials=_CREDENTIALS) as session:
            session.use_well(REQUEST)
            if refusals:
                _revoke(session)
            url = session.broker.api_url + "/vehicle/1"
            outcome = _call_with_dicts(session, url)
            if not outcome.api_calls:
                raise _without_call(session, outcome)
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


@pytest.mark.contract_clause(clauses.signing.REVOKED)
def test_revoked(scenario: Scenario) -> None:
    """Check that the client replaces a revoked token and repeats the call once.

    The test revokes twice, because a client may use up a flag at the first time. The second new
    token has a shorter lifetime than the one before. A client that keeps no token never presents a
    revoked one, and passes.
    """
    scenario.run.needs(REQUEST)

    def run_case(_uses: int, _operation: str) -> Situation:
        with scenario.session(credentials=_CREDENTIALS) as session:
            lost = session.use_well(REQUEST).token
            for _ in range(_REVOCATIONS):
                lost = _token_after_revocation(session, lost)
            # A client may compute the expiry from the first lifetime that it has seen.
            if session.can_pass(_SHORTER):
                session.issue_with(_SHORTER)
                _revoke(session)
                session.use(REQUEST)
                session.advance(_SHORTER + 1)
                session.use(REQUEST)
            return Situation.MET

    scenario.for_each([1], run_case, operations=(REQUEST,))


def _revoke(session: ClientSession) -> None:
    """Revoke the tokens some seconds after the last one, so that a new one differs in expiry."""
    session.advance(
        _SECONDS_BEFORE_REVOCATION if session.can_pass(_SECONDS_BEFORE_REVOCATION) else 0
    )
    session.broker.revoke_tokens()
    session.record(TokensRevoked())


def _token_after_revocation(session: ClientSession, lost: AccessToken | None) -> AccessToken | None:
    """Revoke all tokens, make a call, and return its token.

    Raises the breach of the clause if the client gave up the call.
    """
    _revoke(session)
    outcome = _called(session)
    if outcome.token == lost or outcome.status == _UNAUTHORIZED:
        session.breach(
            "the API answered 401 invalid_token and the client gave up the call",
            "a new token and one more try",
            outcome.api_calls,
        )
    if outcome.error is not None:
        session.breach(f"the client raised {session.masked(outcome.error)}", "one more try")
    return outcome.token


@pytest.mark.contract_clause(clauses.signing.NO_RETRY_STORM)
def test_no_retry_storm(scenario: Scenario) -> None:
    """Check that the client stops and reports the error when every call is rejected.

    Before the first use, and after a good one: a client may treat its first token differently. At
    most two calls and two token requests are allowed.
    """
    scenario.run.needs(REQUEST)

    def run_case(uses_before: int, _operation: str) -> Situation:
        with scenario.session(credentials=_CREDENTIALS) as session:
            for _ in range(uses_before):
                session.use_well(REQUEST)
            # RFC 6750, 3.1: invalid_token is the code at which a client may request a new one.
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            fault = Fault.status(401, headers=challenge)
            session.broker.api_script(fault.times(_UNLIMITED))
            session.record(fault_step(fault, "api"))
            # Every call is rejected, whatever token it has: only the client itself can end the
            # loop.
            _must_stop(session, _called(session))
            return Situation.MET

    for uses_before in (0, 1):  # each case must meet the precondition
        scenario.for_each([uses_before], run_case, operations=(REQUEST,))


def _must_stop(session: ClientSession, outcome: Outcome) -> None:
    """Raise the breach of the clause if the client repeated too often.

    A client that hides the error from its caller breaches it as well.
    """
    calls, fetched = len(outcome.api_calls), len(outcome.token_requests)
    if calls > _MAX_ATTEMPTS or fetched > _MAX_ATTEMPTS:
        session.breach(
            f"one call led to {calls} calls and {fetched} token requests",
            f"at most {_MAX_ATTEMPTS} of each",
            outcome.exchanges[:6],
        )
    # A client that gives up silently leaves its caller with an answer that looks good.
    if outcome.error is None and not _caller_sees(outcome, _UNAUTHORIZED):
        result = "nothing" if outcome.status is None else f"status {outcome.status}"
        session.breach(
            f"the caller got {result}",
            "the 401, or an exception",
            outcome.api_calls,
        )


def _caller_sees(outcome: Outcome, status: int) -> bool:
    """Return whether the caller can see that status, also in an object of the client's own type."""
    if outcome.status is None:
        return outcome.returned is not None and not outcome.returned.is_none
    return outcome.status == status


_SHORT_TIMEOUT = 0.2
# Real seconds. A client without a timeout sees the connection close after it.
_STALLED_SECONDS = 1.5
_FAILED_CALLS: dict[str, tuple[str, Fault]] = {
    "a POST was answered 503": ("POST", Fault.status(503)),
    "a POST was answered 500": ("POST", Fault.status(500)),
    "a PATCH was answered 502": ("PATCH", Fault.status(502)),
    "the connection of a POST was reset": ("POST", Fault.reset()),
    "a POST was not answered": ("POST", Fault.stall(_STALLED_SECONDS)),
}


@pytest.mark.contract_clause(clauses.signing.NO_REPLAY)
def test_no_replay(scenario: Scenario) -> None:
    """Check that the client sends a POST or PATCH once when it is not known whether it was done.

    Every further answer is good, so that a second call would succeed.
    """
    scenario.run.needs(REQUEST)

    def run_case(what: str, _operation: str) -> Situation:
        method, fault = _FAILED_CALLS[what]
        # Only where the client is to run into it: on a busy machine other answers take longer.
        config = {"timeout": _SHORT_TIMEOUT} if fault.manner is Manner.STALL else {}
        with scenario.session(credentials=_CREDENTIALS, config=config) as session:
            _fail_call(session, _settled(session), fault)
            outcome = session.call(method, session.broker.api_url + "/vehicle")
            calls = outcome.calls_after_challenge
            if not calls:
                raise _without_call(session, outcome)
            if len(calls) > 1:
                session.breach(
                    f"{what}, and the client sent it again",
                    "the answer or an error to the caller, who knows whether to repeat it",
                    calls,
                )
            return Situation.MET

    scenario.for_each(_FAILED_CALLS, run_case, operations=(REQUEST,))


@pytest.mark.contract_clause(clauses.signing.FORBIDDEN)
def test_forbidden(scenario: Scenario) -> None:
    """Check that the client requests no new token after an error that one cannot fix.

    403, 429, 500 and 503, each once. The next call must not request a token either, as a client may
    discard it for later.
    """
    scenario.run.needs(REQUEST)

    def run_case(status: int, _operation: str) -> Situation:
        with scenario.session(credentials=_CREDENTIALS) as session:
            first = _settled(session)
            _fail_call(session, first, Fault.status(status))
            outcome = _called(session)
            # No token was kept, so that a new one is not fetched because of the error.
            refused = outcome.calls_after_challenge
            if not refused or refused[0].token != first.token:
                return Situation.MET  # a client that keeps no token requests one for every call
            for later, when in ((outcome, ""), (_called(session), " for the next call")):
                if later.token_requests:
                    session.breach(
                        f"the API answered {status} and the client fetched a new token{when}",
                        "no token request: the token was not what was refused",
                        (*outcome.exchanges, *later.exchanges) if when else outcome.exchanges,
                    )
            return Situation.MET

    # RFC 6750, 3.1: an invalid token is answered with 401, so none of these says that the token is
    # invalid.
    scenario.for_each([403, 429, 500, 503], run_case, operations=(REQUEST,))


@pytest.mark.contract_clause(clauses.signing.CROSS_ORIGIN)
def test_cross_origin(scenario: Scenario) -> None:
    """Check that the client sends no token to another origin after a redirect.

    Judged by what the other origin received. RFC 9110, 15.4, has Authorization among the header
    fields to remove when a client follows a redirect.
    """
    scenario.run.needs(REQUEST)

    def run_case(status: int, _operation: str) -> Situation:
        with (
            scenario.run.brokers.at_another_origin(_CREDENTIALS) as other_broker,
            scenario.session(credentials=_CREDENTIALS) as session,
        ):
            settled = _settled(session)
            # Another port of this machine is another origin (RFC 6454, 4).
            location = other_broker.api_url + "/vehicle/1"
            _fail_call(session, settled, Fault.redirect(location, status))
            outcome = _called(session)
            tokens = session.broker.token_issued_values
            taken = [e.request for e in other_broker.journal if _carries(e.request, tokens)]
            if taken:
                session.record(reached_step(other_broker, taken[0], "token"))
                session.breach(
                    "the client sent the token to another origin",
                    "the call without it, or none",
                    outcome.api_calls,
                )
            return Situation.MET

    scenario.for_each([301, 302, 303, 307, 308], run_case, operations=(REQUEST,))


def _carries(request: Request, tokens: Collection[str]) -> bool:
    seen = " ".join((request.target, *(value for _, value in request.headers)))
    return any(token in seen for token in tokens)


@pytest.mark.contract_clause(clauses.signing.SAME_ORIGIN_REDIRECT)
def test_same_origin_redirect(scenario: Scenario) -> None:
    """Check that a redirect within the origin is followed with the token, or given back.

    By a URL and by a path, which RFC 9110, 10.2.2 allows in Location.
    """
    scenario.run.needs(REQUEST)

    def run_case(drawn: tuple[int, bool], _operation: str) -> Situation:
        status, is_relative = drawn
        with scenario.session(credentials=_CREDENTIALS) as session:
            settled = _settled(session)
            url = session.broker.api_url + "/vehicle/2"
            location = urllib.parse.urlsplit(url).path if is_relative else url
            _fail_call(session, settled, Fault.redirect(location, status))
            outcome = _called(session)
            path = urllib.parse.urlsplit(url).path
            followed = [call for call in outcome.api_calls if call.request.path == path]
            if followed and followed[-1].token is None:
                session.breach(
                    "the client followed a redirect within the origin without the token",
                    "the call with the token, or the answer with the redirect to the caller",
                    outcome.api_calls,
                )
            if not followed and outcome.error is None and not _caller_sees(outcome, status):
                session.breach(
                    "the client neither followed the redirect nor gave it back",
                    f"the call with the token, the status {status}, or an exception",
                    outcome.api_calls,
                )
            return Situation.MET

    scenario.for_each([(307, False), (302, True), (301, False)], run_case, operations=(REQUEST,))


@pytest.mark.contract_clause(clauses.signing.OTHER_HOSTS)
def test_other_hosts(scenario: Scenario) -> None:
    """Check that the client sends no token when it is asked to call another origin.

    Another port of the same host, and a URL that only begins like those of the API: the rest is
    user information. The client may raise, or send the call without a token.
    """
    scenario.run.needs(REQUEST)

    def run_case(form: str, _operation: str) -> Situation:
        with (
            scenario.run.brokers.at_another_origin(_CREDENTIALS) as other_broker,
            scenario.session(credentials=_CREDENTIALS) as session,
        ):
            # Twice before and once after: a client that raises at every second use, or from the
            # second on, raises for another reason.
            session.use_well(REQUEST)
            session.use_well(REQUEST)
            url = other_broker.api_url + "/vehicle/1"
            if form == "begins like the API":
                scheme, _, rest = url.partition("://")
                own = urllib.parse.urlsplit(session.broker.api_url).netloc
                url = f"{scheme}://{own}@{rest}"
            session.call("GET", url)
            tokens = session.broker.token_issued_values
            taken = [e.request for e in other_broker.journal if _carries(e.request, tokens)]
            if taken:
                session.record(reached_step(other_broker, taken[0], "token"))
                session.breach(
                    "the client signed a call to another origin than that of the API",
                    "an error, or the call without the token",
                )
            session.use_well(REQUEST)
            return Situation.MET

    forms = ("another port", "begins like the API")
    scenario.for_each(forms, run_case, operations=(REQUEST,))
