"""Chapter ``signing``: where the token may go, and where it may not."""

from __future__ import annotations

import urllib.parse
from collections.abc import Collection, Iterable

import pytest

from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.fake_broker import Broker
from mockbroker.model.exchange import Exchange
from mockbroker.model.messages import Request
from mockbroker_contract.clauses.signing_cases import (
    CREDENTIALS,
    called,
    caller_sees,
    fail_call,
    settled_use,
)
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.endings import TooManyRequests
from mockbroker_contract.harness.recorder import reached_step
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation


@pytest.mark.contract_clause(clauses.signing.CROSS_ORIGIN)
def test_cross_origin(scenario: Scenario) -> None:
    """Check that the client sends no token to another origin after a redirect.

    Judged by what the other origin received. RFC 9110, 15.4, has Authorization among the header
    fields to remove when a client follows a redirect.
    """
    scenario.run.needs(REQUEST)

    def run_case(status: int, _operation: str) -> Situation:
        with (
            scenario.run.brokers.at_another_origin(CREDENTIALS) as other_broker,
            scenario.session(credentials=CREDENTIALS) as session,
        ):
            settled = settled_use(session)
            # Another port of this machine is another origin (RFC 6454, 4).
            location = other_broker.api_url + "/vehicle/1"
            fail_call(session, settled, Fault.redirect(location, status))
            flood: TooManyRequests | None = None
            calls: tuple[Exchange, ...] = ()
            try:
                calls = called(session).api_calls
            except TooManyRequests as stopped:
                flood, calls = stopped, stopped.exchanges[:1]
            _must_take_no_token(
                session,
                other_broker,
                "the client sent the token to another origin",
                "the call without it, or none",
                calls,
                flood=flood,
            )
            return Situation.MET

    scenario.for_each([301, 302, 303, 307, 308], run_case, operations=(REQUEST,))


def _must_take_no_token(
    session: ClientSession,
    other_broker: Broker,
    what: str,
    expected: str,
    calls: Iterable[Exchange] = (),
    *,
    flood: TooManyRequests | None,
) -> None:
    """Raise the breach if the other origin has received a token; otherwise raise the flood.

    The other origin refuses the token, and a client may repeat the call without end: what was
    received before the client was stopped is a breach all the same.
    """
    tokens = session.broker.token_issued_values
    taken = [e.request for e in other_broker.journal if _carries(e.request, tokens)]
    if taken:
        if flood:
            session.note_flood(flood)
        session.record(reached_step(other_broker, taken[0], "token"))
        session.breach(what, expected, calls)
    if flood:
        raise flood


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
        with scenario.session(credentials=CREDENTIALS) as session:
            settled = settled_use(session)
            url = session.broker.api_url + "/vehicle/2"
            location = urllib.parse.urlsplit(url).path if is_relative else url
            fail_call(session, settled, Fault.redirect(location, status))
            outcome = called(session)
            path = urllib.parse.urlsplit(url).path
            followed = [call for call in outcome.api_calls if call.request.path == path]
            if followed and followed[-1].token is None:
                session.breach(
                    "the client followed a redirect within the origin without the token",
                    "the call with the token, or the answer with the redirect to the caller",
                    outcome.api_calls,
                )
            if not followed and outcome.error is None and not caller_sees(outcome, status):
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
            scenario.run.brokers.at_another_origin(CREDENTIALS) as other_broker,
            scenario.session(credentials=CREDENTIALS) as session,
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
            flood = None
            try:
                session.call("GET", url)
            except TooManyRequests as stopped:
                flood = stopped
            _must_take_no_token(
                session,
                other_broker,
                "the client signed a call to another origin than that of the API",
                "an error, or the call without the token",
                flood=flood,
            )
            session.use_well(REQUEST)
            return Situation.MET

    forms = ("another port", "begins like the API")
    scenario.for_each(forms, run_case, operations=(REQUEST,))
