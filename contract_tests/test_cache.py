"""Chapter ``cache``: one token for many calls, and each client its own."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from contract_tests.outcome import Outcome
from contract_tests.scenario import Scenario
from contract_tests.stage import Stage
from contract_tests.strategies import LONG_LIFETIMES, plain_credentials
from contract_tests.verdicts import NotTested
from mockbroker.answers import TokenAnswer
from mockbroker.broker import Broker
from mockbroker.spec.credentials import Credentials

_CREDENTIALS = Credentials("cache-client", "cache-s3cret")
_ENOUGH_USES = 4


@pytest.mark.contract_clause("cache.reuse")
def test_reuse(scenario: Scenario) -> None:
    """Calls made at once, one after the other, share one token."""

    def play(drawn: tuple[Credentials, int, int, str]) -> None:
        credentials, lifetime, uses, operation = drawn
        with scenario.stage(credentials=credentials, expires_in=lifetime) as stage:
            _one_token(stage, uses, operation)

    first = [
        (_CREDENTIALS, lifetime, _ENOUGH_USES, operation)
        for lifetime in LONG_LIFETIMES
        for operation in scenario.run.capabilities
    ]
    drawn = st.tuples(
        plain_credentials(),
        st.sampled_from(LONG_LIFETIMES) | st.integers(3600, 2592000),
        st.integers(2, 6),
        scenario.operations(),
    )
    scenario.for_all(drawn, play, first=first)
    scenario.for_each(["3600", "2592000"], lambda text, op: _reuse_with_text(scenario, text, op))


def _reuse_with_text(scenario: Scenario, lifetime: str, operation: str) -> None:
    with scenario.stage(credentials=_CREDENTIALS, expires_in=int(lifetime)) as stage:
        stage.broker.token_answer = TokenAnswer(members={"expires_in": lifetime})
        stage.tell(f'the answer says expires_in="{lifetime}", a string')
        if stage.use(operation).error is None:  # refusing strings is response.expires-in-forms
            _one_token(stage, _ENOUGH_USES, operation)


def _one_token(stage: Stage, uses: int, operation: str) -> None:
    outcomes = [_used(stage, stage.use(operation)) for _ in range(uses)]
    tokens = {outcome.token for outcome in outcomes}
    if len(tokens) > 1:
        stage.breach(
            f"{uses} calls at one moment used {len(tokens)} tokens, "
            f"fetched by {len(stage.trace.token_requests)} requests",
            "one token for all of them: each was valid for long enough",
            stage.trace.token_requests,
        )


def _used(stage: Stage, outcome: Outcome) -> Outcome:
    if outcome.error is not None:
        stage.breach(
            f"with expires_in={stage.broker.expires_in:g} the client raised "
            f"{stage.masked(outcome.error)}",
            "one token for all calls",
        )
    if outcome.token is None:
        raise NotTested("blocked: a call was made without a token of the broker")
    return outcome


@pytest.mark.contract_clause("cache.isolation")
def test_isolation(scenario: Scenario) -> None:
    """Clients side by side in one process never present one another's tokens."""

    def play(drawn: tuple[str, Credentials, Credentials, str]) -> None:
        difference, one, other, operation = drawn
        with (
            scenario.stage(credentials=one, scope=_scope(difference, "read")) as first,
            _neighbour(scenario, first, difference, other) as second,
        ):
            _keeps_to_itself(first, second, operation, difference)

    pairs = (Credentials("client-a", "s3cret-of-a"), Credentials("client-b", "s3cret-of-b"))
    first = [(d, *pairs, op) for d in _DIFFERENCES for op in scenario.run.capabilities]
    drawn = st.tuples(
        st.sampled_from(_DIFFERENCES),
        plain_credentials(),
        plain_credentials(),
        scenario.operations(),
    ).filter(lambda example: example[1].client_id != example[2].client_id)
    scenario.for_all(drawn, play, first=first)


_DIFFERENCES = ("client_id", "secret", "scope", "broker")


def _scope(difference: str, scope: str) -> str:
    return scope if difference == "scope" else ""


def _neighbour(scenario: Scenario, stage: Stage, difference: str, other: Credentials) -> Stage:
    """A second client that differs from the stage's in exactly one thing."""
    own = stage.credentials
    if difference == "broker":
        return scenario.stage(credentials=own)
    if difference == "secret":
        other = Credentials(own.client_id, other.client_secret)
    if difference == "scope":
        return scenario.stage(credentials=own, scope="write", broker=stage.broker)
    return scenario.stage(credentials=other, broker=stage.broker)


def _keeps_to_itself(first: Stage, second: Stage, operation: str, difference: str) -> None:
    mine = first.use_well(operation)
    _switch_to(first.broker, second, difference)
    second.tell(f"another client, of another {difference}, in the same process")
    its = second.use(operation)
    if its.presented is None:
        raise NotTested("blocked: the second client presented no token")
    borrowed = {e.request.headers.get("Authorization") for e in its.api_calls} | {its.presented}
    if any(mine.token and mine.token.value in (text or "") for text in borrowed):
        if difference == "scope" and not _asks_for_scope(first):
            return
        second.breach(
            f"the second client presented the token of the first, which has another {difference}",
            "a token of its own",
        )


def _switch_to(broker: Broker, second: Stage, difference: str) -> None:
    if difference in {"client_id", "secret"}:
        broker.register(second.credentials.client_id, second.credentials.client_secret)
    if difference == "scope":
        broker.scope = "write"


def _asks_for_scope(stage: Stage) -> bool:
    return any(b"scope=" in e.request.body for e in stage.trace.token_requests)
