"""Chapter ``errors``: how the client reacts to rejections, failures and missing responses."""

from __future__ import annotations

import contextlib
import email.utils
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from mockbroker.broker.clock import real_seconds
from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import ErrorForm
from mockbroker.report.steps import (
    Awaited,
    FaultsCleared,
    IdleConnectionsClosed,
    TimeoutConfigured,
)
from mockbroker.report.wording import wait_text
from mockbroker_contract.drivers.driver import GET_TOKEN, REQUEST
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.endings import ClientHung
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import fault_step
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.harness.timeline import token_request_gaps

_CREDENTIALS = Credentials("errors-client", "errors-s3cret")
_HONOURS = clauses.refresh.HONOURS_EXPIRES_IN
# More than any use can send.
_UNLIMITED = 1000
# Retries are allowed up to the limit of the clause.
_MAX_ATTEMPTS = 5
# Seconds. The clause waits for it in real time, and a local broker answers within milliseconds.
_SHORT_TIMEOUT = 0.2
# Longer than any client waits; the broker ends the answer when the case is over.
_STALLED_SECONDS = 3600.0
_IMMEDIATE_SECONDS = 0.5

_CODES = (
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
)
"""The error codes of RFC 6749, 5.2."""


def _refusal(status: int, code: str) -> Fault:
    """Return an error response of RFC 6749, 5.2, with the challenge that a 401 must have."""
    # RFC 6749, 5.2: a 401 must have the header if the client used the Authorization header.
    headers = {"WWW-Authenticate": 'Basic realm="auth-broker"'} if status == 401 else {}  # noqa: PLR2004
    body = {"error": code, "error_description": "made up by the scenario"}
    return Fault.status(status, body=body, headers=headers)


def _html(status: int) -> Fault:
    """Return an error response whose body is a web page."""
    # What a proxy or a load balancer answers in place of the broker.
    page = "<html><body><h1>Something is wrong</h1></body></html>"
    return Fault.status(status, body=page, headers={"Content-Type": "text/html"})


def _failing(scenario: Scenario, fault: Fault, **options: Any) -> ClientSession:
    """Return a session in which every token request gets that fault."""
    deadline = scenario.run.settings.patient_deadline
    session = scenario.session(credentials=_CREDENTIALS, deadline=deadline, **options)
    _fail(session, fault)
    return session


def _fail(session: ClientSession, fault: Fault) -> None:
    """Have every token request from now on fail like this, and record it as a step."""
    session.broker.script(fault.times(_UNLIMITED))
    session.record(fault_step(fault))


def _must_raise(session: ClientSession, outcome: Outcome, what: str) -> None:
    """Judge a use without a token; NotTested if the client sent no token request at all."""
    if not session.trace.token_requests:
        raise NotTested("the client sent no token request")
    _must_report_error(session, outcome, what)


def _must_report_error(session: ClientSession, outcome: Outcome, what: str) -> None:
    """Raise the breach of the clause unless the use raised.

    A call of the API is a breach as well, because there was no token to sign it with.
    """
    # Before the error: a client that calls the API without a token and then raises has still sent
    # it.
    if outcome.calls_after_challenge:
        session.breach(
            f"{what}, and the client still called the API", "an error", outcome.exchanges
        )
    if outcome.error is None:
        result = outcome.in_words if outcome.operation == GET_TOKEN else "answered the caller"
        ending = f"went on with {result}" if outcome.token is not None else result
        session.breach(f"{what}, and the client {ending}", "an error", outcome.exchanges)


@pytest.mark.contract_clause(clauses.errors.INVALID_CLIENT)
def test_invalid_client(scenario: Scenario) -> None:
    """Check that the client reports a 401 of the token endpoint to its caller.

    With the error of RFC 6749, 5.2, and with a page in its place. A control without a fault
    follows: a client that raises at every use would pass otherwise.
    """
    refusal = _refusal(401, "invalid_client")
    _refuse(scenario, [refusal, _html(401)], at_expiry=refusal)


def _refuse(scenario: Scenario, faults: Sequence[Fault], *, at_expiry: Fault) -> None:
    """Reject requests of a new client and of one with an expired token; both must raise.

    The second kind is tried with a clock that moves only. ``at_expiry`` is its fault.
    """

    def run_case(case: tuple[Fault, bool], operation: str) -> Situation:
        fault, has_token = case
        with scenario.session(
            credentials=_CREDENTIALS,
            deadline=scenario.run.settings.patient_deadline,
            elsewhere=[_HONOURS],
        ) as session:
            if has_token:
                session.use_well(operation)
                session.advance(session.broker.expires_in + 1)
            _fail(session, fault)
            # A client that requests a token when it is made has that attempt here, and not in the
            # use.
            session.make()
            outcome = session.use(operation)
            # A client that still uses its expired token sends no request that the broker could
            # reject.
            if has_token and not outcome.token_requests:
                raise NotTested("the client requested no new token", blocked_by=_HONOURS)
            if outcome.is_after_expiry:
                # The control: an expired token without a refusal is a breach of another clause.
                scenario.needs_expiry_control(operation, session.broker.expires_in, after=1)
            _must_raise(session, outcome, f"the token endpoint answered with {fault.describe()}")
            return Situation.MET

    cases = [(fault, False) for fault in faults]
    scenario.for_each(
        [*cases, (at_expiry, True)] if scenario.run.time.is_virtual else cases, run_case
    )
    scenario.needs_control()


@pytest.mark.contract_clause(clauses.errors.BAD_REQUEST)
def test_bad_request(scenario: Scenario) -> None:
    """Check that the client reports a 400, with any error code and with a malformed body.

    Every error code of RFC 6749, 5.2, then a web page, then an empty body: reading the body must
    not be needed to notice the status.
    """
    refusals = [_refusal(400, code) for code in _CODES]
    # Error codes, and two bodies that are not JSON: a client that parses every body may raise the
    # wrong error, but it must raise.
    faults = [*refusals, _html(400), Fault.status(400, body=b"")]
    _refuse(scenario, faults, at_expiry=refusals[0])


@pytest.mark.contract_clause(clauses.errors.PROFILE)
def test_profile(scenario: Scenario) -> None:
    """Check that the client reports the errors that only this provider sends.

    Each form is sent to a new client, as the answer to every token request.
    """

    def run_case(form: ErrorForm, operation: str) -> Situation:
        fault = Fault.status(form.status, body=form.example(), headers=form.fields())
        with _failing(scenario, fault) as session:
            session.make()
            outcome = session.use(operation)
            _must_raise(session, outcome, f"the token endpoint answered with {fault.describe()}")
            return Situation.MET

    scenario.for_each(scenario.run.settings.profile.token_errors, run_case)
    scenario.needs_control()


@pytest.mark.contract_clause(clauses.errors.QUOTA)
def test_quota(scenario: Scenario) -> None:
    """Check that the client does not repeat a request that the provider's quota refuses.

    The answer is the provider's own, to a new client. A client may wait and ask again: as long as
    the answer says, or for a second where it says nothing, and five times at most.
    """
    profile = scenario.run.settings.profile
    wait = max(quota.period_seconds for quota in profile.quotas)
    form = profile.error_form("quota")
    if form is None:
        body = {"error": "too_many_requests", "error_description": "made up by the scenario"}
        fault = Fault.status(_TOO_MANY, body=body, retry_after=math.ceil(wait))
    else:
        fault = Fault.status(form.status, body=form.example(), headers=form.fields())

    def run_case(waits: float, operation: str) -> Situation:
        with _failing(scenario, fault) as session:
            session.make()
            with contextlib.suppress(ClientHung), token_request_gaps(session) as gaps:
                session.use(operation)
            requests = session.trace.token_requests
            if not requests:
                raise NotTested("the client sent no token request")
            # A second less, as above.
            if (gaps and min(gaps) < waits - 1) or len(requests) > _MAX_ATTEMPTS:
                session.breach(
                    f"the quota was used up, and one use led to {len(requests)} token requests",
                    f"one, or others {waits:g} s apart, {_MAX_ATTEMPTS} at most",
                    requests,
                )
            return Situation.MET

    scenario.for_each([wait if form is None else _SHORTEST_PAUSE + 1], run_case)
    scenario.needs_control()


_TOO_MANY = 429
# Seconds. Clients that double their pauses begin with a second or a half.
_SHORTEST_PAUSE = 0.4


@pytest.mark.contract_clause(clauses.errors.NO_HAMMERING)
def test_no_hammering(scenario: Scenario) -> None:
    """Check that the client does not send another request after a final error response.

    Passive: the number of requests in the use decides.
    """

    def run_case(fault: Fault, operation: str) -> Situation:
        with _failing(scenario, fault) as session:
            # A client that repeats until its deadline is judged by what it sent.
            with contextlib.suppress(ClientHung):
                session.make()
                session.use(operation)
            if not session.trace.token_requests:
                raise NotTested("the client sent no token request")
            return Situation.MET

    # Final answers: the same request would be rejected again.
    faults = [_refusal(400, "invalid_scope"), _refusal(401, "invalid_client"), _html(403)]
    scenario.for_each(faults, run_case)
    scenario.needs_control()


# What clients repeat for: an outage, a limit, a refusal, and a token that is of no use.
_REASONS_TO_REPEAT: dict[str, tuple[str, Fault]] = {
    "the token endpoint answers 503": ("token", Fault.status(503)),
    "the token endpoint answers 429": ("token", Fault.status(429)),
    "the token endpoint answers 401": ("token", Fault.status(401)),
    "the token endpoint resets the connection": ("token", Fault.reset()),
    "no token is issued": ("token", Fault.members(omit=["access_token"])),
    "the API answers 401": ("api", Fault.status(401)),
    "the API answers 429": ("api", Fault.status(429)),
    "the API answers 503": ("api", Fault.status(503)),
}


@pytest.mark.contract_clause(clauses.errors.BOUNDED)
def test_bounded(scenario: Scenario) -> None:
    """Check that one use leads to a bounded number of requests, whatever is answered.

    The harness stops a use with too many in any test case, and notes the breach for this clause.
    The test cases here bring about what clients repeat requests for.
    """

    def run_case(what: str, operation: str) -> Situation:
        endpoint, fault = _REASONS_TO_REPEAT[what]
        with scenario.session(
            credentials=_CREDENTIALS, deadline=scenario.run.settings.patient_deadline
        ) as session:
            script = session.broker.script if endpoint == "token" else session.broker.api_script
            script(fault.times(_UNLIMITED))
            session.record(fault_step(fault, endpoint))
            session.make()
            session.use(operation)
            return Situation.met_if(any(e.fault for e in session.trace.exchanges))

    if scenario.run.preflight.blocked_by is clauses.errors.BOUNDED:
        # A client that repeats its request even with the documented answer cannot be judged for
        # anything else.
        for operation in scenario.run.capabilities:
            with scenario.session(credentials=_CREDENTIALS) as session:
                session.use(operation)
    calls = [REQUEST] if REQUEST in scenario.run.capabilities else []
    for endpoint, operations in (("token", scenario.run.capabilities), ("api", calls)):
        cases = [what for what, (where, _) in _REASONS_TO_REPEAT.items() if where == endpoint]
        if operations:
            scenario.for_each(cases, run_case, operations=operations)
    scenario.needs_control()


@pytest.mark.contract_clause(clauses.errors.SERVER_ERROR)
def test_server_error(scenario: Scenario) -> None:
    """Check that the client limits its retries and then reports the server error.

    At most five attempts in one use, with any 5xx. How many there were with 503 is reported as a
    measured fact.
    """
    attempts: dict[int, int] = {}

    def run_case(status: int, operation: str) -> Situation:
        what = f"the token endpoint answered {status}"
        with _failing(scenario, Fault.status(status)) as session:
            session.make()
            outcome = session.use(operation)
            _must_raise(session, outcome, what)
            made = len(outcome.token_requests)
            attempts[status] = max(attempts.get(status, 0), made)
            if made > _MAX_ATTEMPTS:
                session.breach(
                    f"one use led to {made} token requests while the broker was down",
                    f"at most {_MAX_ATTEMPTS}, then an error",
                    # As many as show that the limit was exceeded.
                    outcome.token_requests[: _MAX_ATTEMPTS + 1],
                )
            return Situation.MET

    try:
        # 503 first: a breach ends the cases, and the attempts at 503 are reported in any case.
        scenario.for_each([503, 500, 502, 504], run_case)
        scenario.needs_control()
    finally:
        if attempts:
            scenario.run.findings.learn(attempts_on_503=attempts.get(503, 0))


@pytest.mark.contract_clause(clauses.errors.RETRY_AFTER)
def test_retry_after(scenario: Scenario) -> None:
    """Check that a client that retries within one call observes ``Retry-After``.

    Seconds and a date, with 503 and 429. A pause counts by the run's clock or by real time,
    whichever is longer. A client that does not retry at all passes.
    """

    def run_case(case: tuple[int, int, bool], operation: str) -> Situation:
        status, seconds, as_date = case
        with scenario.session(
            credentials=_CREDENTIALS, deadline=scenario.run.settings.patient_deadline
        ) as session:
            value = _http_date(session.now() + seconds) if as_date else seconds
            fault = Fault.status(status, retry_after=value)
            # Twice, because a client that fetches a token when it is made gets the fault once
            # before the use.
            session.broker.script(fault.times(2))
            session.record(fault_step(fault, times=2))
            session.make()
            with contextlib.suppress(ClientHung), token_request_gaps(session) as gaps:
                session.use(operation)
            if not session.trace.token_requests:
                raise NotTested("the client sent no token request")
            # A second less is allowed, because an HTTP date has full seconds only (RFC 9110,
            # 5.6.7).
            # Only the first pause: after two responses with the fault, the broker works again.
            if gaps and gaps[0] < seconds - 1:
                soon = f"after {gaps[0]:.1f} s" if gaps[0] >= _IMMEDIATE_SECONDS else "at once"
                session.breach(
                    f"the client sent another token request {soon}",
                    f"at least {seconds} s, as Retry-After says, or an error to the caller",
                    session.trace.token_requests,
                )
            return Situation.MET

    scenario.for_each([(503, 4, False), (429, 4, False), (503, 5, True)], run_case)
    scenario.needs_control()


def _http_date(moment: float) -> str:
    return email.utils.formatdate(moment, usegmt=True)


@pytest.mark.contract_clause(clauses.errors.TRANSPORT)
def test_transport(scenario: Scenario) -> None:
    """Check that the client reports refused connections and incomplete responses.

    A reset, a cut response and a closed port. All three reach the client as errors of its HTTP
    library, which it must not turn into an answer.
    """
    # A reset comes without an answer; a cut answer has a status and half of its body. HTTP
    # libraries raise different errors for them.
    faults = {"was reset": Fault.reset(), "was cut short": Fault.cut_short()}

    def run_case(what: Any, operation: str) -> Situation:
        with _failing(scenario, faults[what]) as session:
            _must_raise(session, session.use(operation), f"the connection {what}")
            return Situation.MET

    scenario.for_each(faults, run_case)
    scenario.for_each(
        [_SHORT_TIMEOUT], lambda _, operation: _case_of_refused_connection(scenario, operation)
    )
    scenario.needs_control()


def _case_of_refused_connection(scenario: Scenario, operation: str) -> Situation:
    with (
        # Another origin than the API, so that the API would take a call.
        scenario.run.brokers.at_another_origin(_CREDENTIALS) as absent,
        scenario.session(
            credentials=_CREDENTIALS,
            deadline=scenario.run.settings.patient_deadline,
            config={"token_url": absent.token_url},
        ) as session,
    ):
        absent.script(Fault.refuse())
        session.record(fault_step(Fault.refuse()))
        _must_report_error(session, session.use(operation), "the connection was refused")
        # a closed port records no exchange; needs_control() shows that the client works otherwise
        return Situation.MET


@pytest.mark.contract_clause(clauses.errors.IDLE_CONNECTION)
def test_idle_connection(scenario: Scenario) -> None:
    """Check that the client refreshes although the server has closed its idle connections.

    A client that keeps none open passes. The control of a failure is the same refresh without it.
    """

    def run_case(lifetime: int, operation: str) -> Situation:
        with _due_for_refresh(scenario, lifetime, operation, is_closed=True) as session:
            outcome = session.use(operation)
            if outcome.error is not None:
                with _due_for_refresh(scenario, lifetime, operation) as control:
                    control.use_well(operation)
                session.breach(
                    f"the server had closed the connection, and {_outcome_text(session, outcome)}",
                    "the request on a new connection",
                    outcome.exchanges,
                )
            if not outcome.token_requests:
                raise NotTested("the client requested no new token", blocked_by=_HONOURS)
            return Situation.MET

    # In turn, also in real time: the idle connections of a server are those of all its brokers.
    scenario.for_each([3599 if scenario.run.time.is_virtual else 1], run_case)


@contextlib.contextmanager
def _due_for_refresh(
    scenario: Scenario, lifetime: int, operation: str, *, is_closed: bool = False
) -> Iterator[ClientSession]:
    """Provide a session whose client has used a token that has expired since.

    ``is_closed`` closes the client's idle connections meanwhile.
    """
    with scenario.session(
        credentials=_CREDENTIALS, expires_in=lifetime, elsewhere=[_HONOURS]
    ) as session:
        session.use_well(operation)
        if is_closed:
            # Before time passes: an event loop sees the end of the connection then. Otherwise it
            # would be chance whether it sees that or the next use first.
            session.broker.close_idle_connections()
            session.record(IdleConnectionsClosed())
        # So late that a client that rounds to whole seconds has seen the expiry.
        session.advance(lifetime + (1 if scenario.run.time.is_virtual else 0.5))
        yield session


@pytest.mark.contract_clause(clauses.errors.TIMEOUT)
def test_timeout(scenario: Scenario) -> None:
    """Check that the client times out when the broker accepts a request and never answers.

    The client is configured with a timeout of 0.2 s and stopped after the limit of the run, or as
    soon as its process shows that it waits longer. The time that it took is reported, and not
    judged: a client may use a longer timeout than the configured one.
    """
    patience = scenario.run.settings.stall_limit(in_python=scenario.run.clients.in_python)

    def run_case(timeout: float, operation: str) -> Situation:
        with scenario.session(
            credentials=_CREDENTIALS, deadline=patience, config={"timeout": timeout}
        ) as session:
            _fail(session, Fault.stall(_STALLED_SECONDS))
            session.look_at_waits()
            session.record(TimeoutConfigured(seconds=timeout))
            try:
                session.make()
                # From the use on: a client that fetches a token when it is made has waited once
                # already.
                began = real_seconds()
                session.use(operation)
            except ClientHung as hung:
                session.breach(
                    _wait_text(hung, patience),
                    f"an error in time: it was configured with a timeout of {timeout:g} s",
                    session.trace.token_requests,
                )
            if not session.trace.token_requests:
                raise NotTested("the client sent no token request")
            scenario.run.findings.learn(timeout_seconds=round(real_seconds() - began, 1))
            return Situation.MET

    # One operation is enough, because the test waits for it in real time.
    scenario.for_each([_SHORT_TIMEOUT], run_case, operations=scenario.run.capabilities[:1])
    scenario.needs_control()


def _wait_text(hung: ClientHung, patience: float) -> str:
    """Return what the client waits for if it was seen, or how long it was waited for."""
    if hung.outcome is None or hung.outcome.waits_for is Awaited.UNKNOWN:
        return f"the client still waited for an answer after {patience:g} s"
    return f"the client {wait_text(hung.outcome)}"


# One of each kind, because clients handle them in different code.
_FAILURES: dict[str, Fault] = {
    "401": _refusal(401, "invalid_client"),
    "400": _refusal(400, "invalid_request"),
    "503": Fault.status(503),
    "a reset": Fault.reset(),
    "half of the JSON": Fault.invalid_json(),
}


@pytest.mark.contract_clause(clauses.errors.NOT_CACHED)
def test_not_cached(scenario: Scenario) -> None:
    """Check that the client succeeds at its first use after the broker works again.

    No time passes between the failure and the recovery. A client that reported no error in the
    failure is not judged.
    """

    def run_case(what: Any, operation: str) -> Situation:
        with _failing(scenario, _FAILURES[what]) as session:
            session.make()
            if session.use(operation).error is None:
                raise NotTested(f"the client reported no error after {what}")
            # No time passes between failure and recovery, so only a remembered failure can be the
            # cause.
            session.broker.clear_scripts()
            session.record(FaultsCleared())
            outcome = session.use(operation)
            if not outcome.is_good:
                session.breach(
                    f"after {what} and recovery, {_outcome_text(session, outcome)}",
                    "a token: the failure was over",
                    outcome.exchanges,
                )
            return Situation.MET

    scenario.for_each(_FAILURES, run_case)


def _outcome_text(session: ClientSession, outcome: Outcome) -> str:
    if outcome.error is not None:
        return f"the client raised {session.masked(outcome.error)}"
    return f"the client {outcome.in_words}"


@pytest.mark.contract_clause(clauses.errors.CAUSE)
def test_cause(scenario: Scenario) -> None:
    """Check that the client's exception names the error code of the token response.

    Each text of the exception and of its causes counts: message, attributes and notes.
    """

    def run_case(refusal: tuple[int, str], operation: str) -> Situation:
        status, code = refusal
        with _failing(scenario, _refusal(status, code)) as session:
            session.make()
            error = session.use(operation).error
            if error is None:
                raise NotTested(
                    "the client raised nothing",
                    blocked_by=scenario.cause_among(
                        clauses.errors.INVALID_CLIENT, clauses.errors.BAD_REQUEST
                    ),
                )
            if not any(code in text for text in error.texts):
                session.breach(
                    f"the broker said {code}, the client raised {session.masked(error)}",
                    f"an error that names {code}",
                    session.trace.token_requests,
                )
            return Situation.met_if(session.trace.token_requests)

    scenario.for_each([(401, "invalid_client"), (400, "unauthorized_client")], run_case)
