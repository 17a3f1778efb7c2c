"""Chapter ``response``: answers that a client must not take for a token."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from mockbroker.broker.answers import TokenAnswer
from mockbroker.contract import clauses
from mockbroker.report.steps import AnswerChanged
from mockbroker_contract.clauses.response_cases import Members, answer_session
from mockbroker_contract.drivers.driver import GET_TOKEN
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation


def _must_raise(scenario: Scenario, answer: TokenAnswer, operation: str, what: str) -> Situation:
    """Judge a use whose token response is unusable.

    It must raise, and must not call the API. Returns MET, or raises the breach.
    """
    changed = AnswerChanged(members=dict(answer.members), omitted=answer.omit)
    if not answer.members and not answer.omit:
        changed = AnswerChanged(body=what)
    with answer_session(scenario, answer, changed) as session:
        outcome = session.use(operation)
        if not session.trace.token_requests:
            raise NotTested("the client sent no token request")
        # Before the error: a client may sign a call and raise afterwards.
        if outcome.calls_after_challenge:
            call = "a signed call" if outcome.presented is not None else "an unsigned call"
            happened = f"the token response {what}, and the client sent {call}"
            session.breach(happened, "an error", outcome.calls_after_challenge)
        if outcome.error is None:
            is_returned = operation == GET_TOKEN and outcome.token is not None
            did = "returned its token" if is_returned else outcome.in_words
            happened = f"the token response {what}, and the client {did}"
            session.breach(happened, "an error")
        return Situation.MET


@pytest.mark.contract_clause(clauses.response.TOKEN_TYPE_UNKNOWN)
def test_token_type_unknown(scenario: Scenario) -> None:
    """Check that the client does not use a token of an unknown type.

    RFC 6749, 7.1: the client must not use an access token if it does not understand the token type.
    """

    def run_case(token_type: object, operation: str) -> Situation:
        answer = TokenAnswer(members={"token_type": token_type})
        return _must_raise(scenario, answer, operation, f"says token_type={json.dumps(token_type)}")

    # The example of RFC 6749, 7.1; DPoP (RFC 9449); the type of token exchange (RFC 8693, 2.2.1);
    # and one that a comparison of prefixes accepts.
    own = scenario.run.settings.profile.token_type.lower()
    types = [t for t in ("mac", "DPoP", "N_A", "bearertoken") if t.lower() != own]
    scenario.for_each(types, run_case)
    scenario.needs_control()


def _body(content: bytes) -> Callable[[Members], bytes]:
    return lambda _members: content


_WITHOUT_TOKEN: dict[str, TokenAnswer] = {
    "is not JSON": TokenAnswer(render=_body(b"<html>Welcome</html>"), content_type="text/html"),
    "is half of its JSON": TokenAnswer(render=lambda members: json.dumps(members).encode()[:25]),
    "is empty": TokenAnswer(render=_body(b"")),
    "is a JSON array": TokenAnswer(render=lambda members: json.dumps([dict(members)]).encode()),
    "is a JSON string": TokenAnswer(render=_body(b'"access_token"')),
    "is null": TokenAnswer(render=_body(b"null")),
    "is an empty object": TokenAnswer(render=_body(b"{}")),
    "has no access_token": TokenAnswer(omit=("access_token",)),
    "has an empty access_token": TokenAnswer(members={"access_token": ""}),
    "has access_token null": TokenAnswer(members={"access_token": None}),
}
_NOT_STRINGS: dict[str, TokenAnswer] = {
    "has a number for access_token": TokenAnswer(members={"access_token": 12345}),
    "has a list for access_token": TokenAnswer(members={"access_token": ["abc"]}),
    "has an object for access_token": TokenAnswer(members={"access_token": {"value": "abc"}}),
    "has true for access_token": TokenAnswer(members={"access_token": True}),
}


@pytest.mark.contract_clause(clauses.response.NO_TOKEN)
def test_no_token(scenario: Scenario) -> None:
    """Check that a 200 without a token is an error, and that no call is signed with it.

    From a body that is not JSON to an empty ``access_token``. The control has a valid response.
    """
    _must_raise_on_each(scenario, _WITHOUT_TOKEN)


@pytest.mark.contract_clause(clauses.response.TOKEN_NOT_STRING)
def test_token_not_string(scenario: Scenario) -> None:
    """Check that an ``access_token`` of another type than string is an error.

    The control has a valid response.
    """
    _must_raise_on_each(scenario, _NOT_STRINGS)


def _must_raise_on_each(scenario: Scenario, answers: Mapping[str, TokenAnswer]) -> None:
    """Judge uses whose token responses have no usable token."""

    def run_case(what: str, operation: str) -> Situation:
        return _must_raise(scenario, answers[what], operation, what)

    scenario.for_each(answers, run_case)
    # The control: a client that always raises would pass.
    scenario.needs_control()
