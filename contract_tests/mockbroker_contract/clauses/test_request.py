"""Chapter ``request``: the form of a token request.

These clauses are passive: judged from the requests alone. One exploration serves all of them.
"""

from __future__ import annotations

import pytest

from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker.report.steps import Note, ScopeConfigured
from mockbroker_contract.drivers.failures import NotApplicable, NotTested
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation

_CREDENTIALS = Credentials("request-client", "request-s3cret")


@pytest.mark.contract_clause(clauses.request.METHOD)
def test_method(scenario: Scenario) -> None:
    """Check that every token request is a POST."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.URL)
def test_url(scenario: Scenario) -> None:
    """Check that every token request goes to the configured token URL, whatever its form is.

    The profile's own URL first, with the other clauses on token requests. Then URLs that a client
    may change when it joins, strips, decodes or rebuilds them. The control is the profile's URL.
    """
    scenario.share(Scenario.judge_token_requests)

    def run_case(url: tuple[str, str], operation: str) -> Situation:
        path, query = url
        with (
            scenario.run.brokers.with_token_url(_CREDENTIALS, path, query) as broker,
            scenario.session(credentials=_CREDENTIALS, broker=broker) as session,
        ):
            end = path + (f"?{query}" if query else "")
            session.record(Note(text=f"the token URL ends with {end}"))
            outcome = session.use(operation)
            # A request to a changed URL is judged when the session ends.
            if outcome.token is None and not session.has_broken_request:
                _needs_plain_url(scenario, operation)
                what = f"with a token URL that ends with {end}, the client {_ended(outcome)}"
                session.breach(what, "a token request to that URL", outcome.exchanges)
            return Situation.MET

    scenario.for_each(_TOKEN_URLS, run_case)


# A slash at the end; a query with percent-encoding and upper case in the path; percent-encoded
# reserved characters, which differ from plain ones (RFC 3986, 2.2), and path parameters (3.3).
_TOKEN_URLS = (
    ("/o/token/", ""),
    ("/OAuth2/token", "api-version=1.0&tenant=a%20b%2Fc"),
    ("/realms/a%2Fb%20c/token;v=1", ""),
)


def _needs_plain_url(scenario: Scenario, operation: str) -> None:
    """Raise NotTested unless the client works with the profile's token URL: the control."""
    with scenario.session(credentials=_CREDENTIALS) as control:
        control.use_well(operation)


def _ended(outcome: Outcome) -> str:
    """Return in words how a use without a token ended."""
    return outcome.in_words if outcome.error is None else f"raised {outcome.error.name}"


@pytest.mark.contract_clause(clauses.request.CONTENT_TYPE)
def test_content_type(scenario: Scenario) -> None:
    """Check that every token request declares a form content type once."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.GRANT_TYPE)
def test_grant_type(scenario: Scenario) -> None:
    """Check that every token request has the client credentials grant type once."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.SCOPE)
def test_scope(scenario: Scenario) -> None:
    """Check that a configured scope arrives as one parameter with all its values.

    The broker judges the value. A client that sends no scope, not even a plain one, has no setting
    for it.
    """

    def run_case(scope: str, operation: str) -> Situation:
        with scenario.session(credentials=_CREDENTIALS, scope=scope) as session:
            session.record(ScopeConfigured(scope=scope))
            outcome = session.use(operation)
            # A wrong scope is judged when the session ends.
            if not session.sends_scope:
                _needs_scope_setting(scenario, operation)
                what = "the token request had no scope"
                if outcome.error is not None:
                    what = f"the client raised {session.masked(outcome.error)}"
                session.breach(what, f"scope={scope}")
            return Situation.MET

    scenario.for_each(_SCOPES, run_case)


_PLAIN_SCOPE = "read"
# Two values; and values with characters that a form must encode, as providers have them.
_SCOPES = ("read write", "https://api.example/.default vehicles:read a+b", _PLAIN_SCOPE)


def _needs_scope_setting(scenario: Scenario, operation: str) -> None:
    """Raise NotApplicable unless the client sends the plainest scope: the control.

    Raises NotTested if the broker cannot read the body, which may have a scope.
    """
    with scenario.session(credentials=_CREDENTIALS, scope=_PLAIN_SCOPE) as control:
        outcome = control.use_well(operation)
        if control.sends_scope:
            return
        broken = {breach.clause_id for each in outcome.token_requests for breach in each.breaches}
        if {clauses.request.CONTENT_TYPE.id, clauses.request.GRANT_TYPE.id} <= broken:
            raise NotTested(
                "no parameter can be read in a body of this type",
                blocked_by=clauses.request.CONTENT_TYPE,
            )
        raise NotApplicable("the client sends no scope")


@pytest.mark.contract_clause(clauses.request.PARAMETERS)
def test_parameters(scenario: Scenario) -> None:
    """Check that every token request has the parameters that the profile requires.

    Passive. The client finds them in its configuration, but may know them by itself as well.
    """
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.NO_EXTRA_PARAMETERS)
def test_no_extra_parameters(scenario: Scenario) -> None:
    """Check that a token request has no parameter that was not configured."""
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.request.ACCEPT)
def test_accept(scenario: Scenario) -> None:
    """Check that the Accept header of a token request allows JSON."""
    scenario.share(Scenario.judge_token_requests)
