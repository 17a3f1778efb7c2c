"""Chapter ``cache``: one token for many calls, and a separate cache for each client."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import strategies as st
from msgspec import structs

from mockbroker.broker.answers import TokenAnswer
from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.contract.diagnosis import Diagnosis, Mistake
from mockbroker.fake_broker import Broker
from mockbroker.model.credentials import Credentials
from mockbroker.report.steps import (
    AnswerChanged,
    AnswersDelayed,
    ClientUsed,
    OtherClientAdded,
    ScopeConfigured,
    TimeZoneSet,
)
from mockbroker_contract.clauses.cache_cases import (
    AT_ONCE,
    CREDENTIALS,
    SLOW_FIRST,
    keeps_tokens,
)
from mockbroker_contract.drivers.failures import NotTested, ScenarioEnded
from mockbroker_contract.harness.arrangements import beside_one_in_flight
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.harness.explaining import diagnosing
from mockbroker_contract.harness.lifetimes import diagnosed_by_lifetimes
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.harness.strategies import LONG_LIFETIMES, plain_credentials

# More than two, because a client may store a token at its second use only.
_USES = 4


@pytest.mark.contract_clause(clauses.cache.REUSE)
def test_reuse(scenario: Scenario) -> None:
    """Check that successive calls share one token while it is valid.

    More forms follow the explored ones: the second token of a client; a lifetime as a string, as
    older Azure endpoints send it; a scope that is not the requested one; and a time zone behind
    UTC, where a client that mixes local time and UTC fails.
    """
    scenario.run.needs_working_client()

    def run_case(drawn: tuple[Credentials, int, int, str]) -> Situation:
        credentials, lifetime, uses, operation = drawn
        with scenario.session(credentials=credentials, expires_in=lifetime) as session:
            return _one_token(session, uses, operation)

    first = [
        (CREDENTIALS, lifetime, _USES, operation)
        for lifetime in LONG_LIFETIMES
        for operation in scenario.run.capabilities
    ]
    drawn = st.tuples(
        plain_credentials(),
        # At least an hour, which is longer than every sound leeway.
        st.sampled_from(LONG_LIFETIMES) | st.integers(3600, 2592000),
        st.integers(2, 6),
        scenario.operations(),
    )
    with diagnosing(partial(diagnosed_by_lifetimes, scenario.run)):
        scenario.for_all(drawn, run_case, first=first)
    if scenario.run.time.is_virtual:
        with diagnosing(partial(diagnosed_by_lifetimes, scenario.run)):
            scenario.for_each([3599], lambda life, op: _reuse_of_second(scenario, life, op))
    # Providers such as older Azure endpoints send the lifetime as a string. A client that computes
    # with the string may drop the token too soon.
    scenario.for_each(["3600", "2592000"], lambda text, op: _reuse_with_text(scenario, text, op))
    scenario.for_each(_OTHER_SCOPES, lambda scopes, op: _reuse_with_scope(scenario, scopes, op))
    scenario.for_each([None], lambda _, op: _reuse_beside_another(scenario, op))
    if scenario.run.clients.can_be_used_at_once(scenario.run.capabilities[0]):
        scenario.for_each(
            [None],
            lambda _, op: _reuse_after_uses_at_once(scenario, op),
            operations=scenario.run.capabilities[:1],
        )
    zoned = scenario.run.zoned_time
    if zoned is not None:
        # A day before, so that only the difference to UTC counts. A client that mixes local time
        # and UTC may take a new token for expired.
        with (
            zoned.before_the_clocks_go_back(86400),
            diagnosing(lambda _: Diagnosis(mistake=Mistake.LOCAL_TIME)),
        ):
            scenario.for_each([3599], lambda life, op: _reuse_in_zone(scenario, life, op))


def _reuse_of_second(scenario: Scenario, lifetime: int, operation: str) -> Situation:
    """Judge the reuse of the token that replaced an expired one."""
    with scenario.session(credentials=CREDENTIALS, expires_in=lifetime) as session:
        session.use_well(operation)
        session.advance(lifetime + 1)
        # A client may use its old token once more while it requests the next one.
        session.use_well(operation)
        return _one_token(session, _USES, operation)


def _reuse_in_zone(scenario: Scenario, lifetime: int, operation: str) -> Situation:
    """Judge the reuse of one token while local time is Chicago's."""
    with scenario.session(credentials=CREDENTIALS, expires_in=lifetime) as session:
        session.record(TimeZoneSet(zone="Chicago"))
        return _one_token(session, _USES, operation)


def _reuse_with_text(scenario: Scenario, lifetime: str, operation: str) -> Situation:
    """Judge the reuse of one token whose lifetime came as a string.

    A client that rejects strings passes: `response.expires-in-forms` judges that.
    """
    with scenario.session(credentials=CREDENTIALS, expires_in=int(lifetime)) as session:
        session.broker.token_answer = TokenAnswer(members={"expires_in": lifetime})
        session.record(AnswerChanged(members={"expires_in": lifetime}))
        if session.use(operation).error is not None and session.trace.token_requests:
            return Situation.MET  # a client may refuse strings: response.expires-in-forms
        return _one_token(session, _USES, operation)


# The requested scope and the one of the answer, which has more values, in another order.
_OTHER_SCOPES = (("", "read"), ("read write", "write admin read"))


def _reuse_with_scope(scenario: Scenario, scopes: tuple[str, str], operation: str) -> Situation:
    """Judge the reuse of one token whose scope is not the requested one.

    RFC 6749, 5.1: the answer names the scope if it is another one. A client that keeps its tokens
    by that scope finds none for the requested one. A client that rejects the token is not judged.
    """
    requested, granted = scopes
    with scenario.session(credentials=CREDENTIALS, scope=requested) as session:
        if requested:
            session.record(ScopeConfigured(scope=requested))
        session.broker.token_answer = TokenAnswer(members={"scope": granted})
        session.record(AnswerChanged(members={"scope": granted}))
        if session.use(operation).error is not None and session.trace.token_requests:
            return Situation.MET
        hint = "the token is kept by the scope of the answer, and looked up by the requested one"
        return _one_token(session, _USES, operation, hint=hint)


def _reuse_beside_another(scenario: Scenario, operation: str) -> Situation:
    """Judge the reuse of a token while another client of the same program fetches its own.

    A cache with one place for all clients replaces the token of each by that of the next.
    """
    other = Credentials("cache-other", "other-s3cret")
    with scenario.session(credentials=CREDENTIALS, expires_in=_A_DAY, name="first") as first:
        kept = _used(first, first.use_well(operation))
        if first.use_well(operation).token != kept.token:
            return Situation.MET  # the case without another client judges that
        first.broker.register(other.client_id, other.client_secret)
        first.record(OtherClientAdded(difference="client_id"))
        with scenario.session(
            credentials=other, broker=first.broker, recorder=first.recorder, name="second"
        ) as second:
            for _ in range(2):
                if second.use_well(operation).token == kept.token:
                    return Situation.MET  # cache.isolation judges that
                if _used(first, first.use(operation)).token != kept.token:
                    first.breach(
                        "after a use of another client, the client requested another token",
                        "the token that was still valid",
                        hint="all clients keep their tokens in one place",
                    )
        return Situation.MET


def _reuse_after_uses_at_once(scenario: Scenario, operation: str) -> Situation:
    """Judge the reuse of one token after uses at once, each of which may have fetched one.

    A cache may hold all of these tokens, and then find none.
    """
    with scenario.session(
        credentials=CREDENTIALS, deadline=scenario.run.settings.patient_deadline
    ) as session:
        session.broker.script(*(Fault.delay(seconds) for seconds in SLOW_FIRST))
        session.record(AnswersDelayed(delays_seconds=SLOW_FIRST))
        if not all(outcome.is_good for outcome in session.use_at_once(operation, AT_ONCE)):
            return Situation.MET  # cache.thread-safe judges that
        session.broker.clear_scripts()
        return _one_token(session, _USES, operation)


def _one_token(session: ClientSession, uses: int, operation: str, *, hint: str = "") -> Situation:
    """Use the client several times at one moment; all uses must have the same token."""
    before = len(session.trace.token_requests)
    outcomes = [_used(session, session.use(operation)) for _ in range(uses)]
    tokens = {outcome.token for outcome in outcomes}
    requests = session.trace.token_requests[before:]
    if len(tokens) > 1:
        session.breach(
            f"{uses} calls at one moment used {len(tokens)} tokens, and requested {len(requests)}",
            "one token for all of them: each was valid for long enough",
            requests,
            hint=hint,
        )
    return Situation.met_if(session.trace.token_requests)


def _used(session: ClientSession, outcome: Outcome) -> Outcome:
    """Return the outcome if a token was used.

    An exception breaches the clause; a use without a token is not judged.
    """
    if outcome.error is not None:
        session.breach(
            f"with expires_in={session.broker.expires_in:.15g} the client raised "
            f"{session.masked(outcome.error)}",
            "one token for all calls",
        )
    if outcome.token is None:
        raise NotTested("a call was made without a token of the broker")
    return outcome


@pytest.mark.contract_clause(clauses.cache.HUGE_LIFETIME)
def test_huge_lifetime(scenario: Scenario) -> None:
    """Check that successive calls share one token whose lifetime is longer than any calendar.

    A client that keeps no token at all need not fail either. A client whose tokens its neighbours
    find is not given such a token.
    """
    scenario.run.needs_working_client()
    # Asked before, because a token that outlives the run would be found by every later client.
    if _shares_with_others(scenario):
        raise NotTested("other clients would find that token", blocked_by=clauses.cache.ISOLATION)

    def run_case(lifetime: int, operation: str) -> Situation:
        # Credentials of their own: a client that shares tokens by its id never drops this one.
        credentials = Credentials(f"huge-lifetime-{operation}", "cache-s3cret")
        with scenario.session(credentials=credentials, expires_in=lifetime) as session:
            if keeps_tokens(scenario, operation):
                return _one_token(session, _USES, operation)
            return Situation.met_if(_used(session, session.use(operation)).is_good)

    scenario.for_each([10**12], run_case)


def _shares_with_others(scenario: Scenario) -> bool:
    """Return whether a client presents a token that another broker issued to another client.

    Asked before the test cases: a client with a cache that all clients share would find the token
    of an earlier case.
    """
    with scenario.session(credentials=CREDENTIALS) as one:
        one.use_well()
        with scenario.session(credentials=Credentials("cache-other", "other-s3cret")) as other:
            try:
                other.use_well()
            # Raised for a token of another broker, after that breach was noted.
            except NotTested:
                return True
    return False


@pytest.mark.contract_clause(clauses.cache.ISOLATION)
def test_isolation(scenario: Scenario) -> None:
    """Check that clients side by side in one process never present one another's tokens.

    Each case has two live clients that differ in one setting: id, its case, a part of it, secret,
    scope, no scope, broker or host. The second one must present a token of its own. A client that
    presents none is not judged. Then the second one begins while the first waits for its token.
    """

    def run_case(drawn: tuple[str, Credentials, Credentials, str]) -> Situation:
        difference, one, other, operation = drawn
        if difference == "part of client_id":
            one = Credentials(other.client_id + _MORE_OF_ID, one.client_secret)
        with (
            scenario.session(
                credentials=one, scope=_scope(difference, "read"), name="first"
            ) as first,
            _neighbour(scenario, first, difference, other) as second,
        ):
            return _judge_isolation(first, second, operation, difference)

    pairs = (Credentials("client-a", "s3cret-of-a"), Credentials("client-b", "s3cret-of-b"))
    first = [(d, *pairs, op) for d in _DIFFERENCES for op in scenario.run.capabilities]
    drawn = st.tuples(
        st.sampled_from(_DIFFERENCES),
        plain_credentials(),
        plain_credentials(),
        scenario.operations(),
        # The case is about one difference, so the drawn pairs must differ in both parts.
    ).filter(
        lambda e: e[1].client_id != e[2].client_id and e[1].client_secret != e[2].client_secret
    )
    with diagnosing(partial(_missing_in_key, run_case, first[0][1:3])):
        scenario.for_all(drawn, run_case, first=first)
    if scenario.run.clients.arranges_uses:
        scenario.for_each([pairs], partial(_isolation_in_flight, scenario))


def _missing_in_key(
    run_case: Callable[[tuple[str, Credentials, Credentials, str]], Situation],
    pairs: tuple[Credentials, Credentials],
    operation: str,
) -> Diagnosis | None:
    """Return which setting the key of the client's cache lacks; None if it has no key at all."""

    def is_missing(difference: str) -> bool:
        try:
            run_case((difference, *pairs, operation))
        except ScenarioEnded as ended:
            return isinstance(ended, ContractBreached)
        return False

    missing = list(filter(is_missing, _DIFFERENCES))
    if {"client_id", "secret", "broker"} <= set(missing):
        return Diagnosis(mistake=Mistake.NO_KEY)
    missing = [name for name in missing if _WIDER.get(name) not in missing]
    if not missing:
        return None
    return Diagnosis(mistake=Mistake.KEY_WITHOUT, setting=" and the ".join(map(_in_key, missing)))


# A key without the first of a pair lacks the second as well.
_WIDER = {
    "case of client_id": "client_id",
    "part of client_id": "client_id",
    "no scope": "scope",
    "host": "broker",
}


def _in_key(difference: str) -> str:
    """Return what a key of a cache has that is different for two clients with that difference."""
    in_key = {
        "part of client_id": "whole client_id",
        "no scope": "scope if it is empty",
        "broker": "token URL",
        "host": "host of the token URL",
    }
    return in_key.get(difference, difference)


# What a cache key has left out in real clients, one at a time.
_DIFFERENCES = (
    "client_id",
    "case of client_id",
    "part of client_id",
    "secret",
    "scope",
    "no scope",
    "broker",
    "host",
)
# What the longer id of a pair has in addition: a client that searches its keys for the shorter id
# finds both.
_MORE_OF_ID = "-eu"
# A client may sleep at its first use. That of another one must not expire meanwhile.
_A_DAY = 86_400
_IN_STEPS = {
    "part of client_id": "client_id, which is a part of the first,",
    "no scope": "scope, which is empty,",
}
_IN_BREACHES = {"part of client_id": "client_id", "no scope": "scope"}


def _scope(difference: str, scope: str) -> str:
    return scope if difference in {"scope", "no scope"} else ""


def _neighbour(
    scenario: Scenario, session: ClientSession, difference: str, other: Credentials
) -> ClientSession:
    """Return a second client session that differs from the first in exactly one setting.

    The first session owns the broker, unless the difference is the broker or the host.
    """
    own = session.credentials
    if difference == "broker":
        return scenario.session(credentials=own, name="second")
    if difference == "host":
        return scenario.session(credentials=own, neighbour=session.broker, name="second")
    # The broker compares ids exactly, so a cache that ignores case confuses these two.
    if difference == "case of client_id":
        other = Credentials(own.client_id.swapcase(), own.client_secret)
    if difference == "part of client_id":
        other = Credentials(own.client_id.removesuffix(_MORE_OF_ID), own.client_secret)
    if difference == "secret":
        other = Credentials(own.client_id, other.client_secret)
    if difference in {"scope", "no scope"}:
        scope = "write" if difference == "scope" else ""
        return scenario.session(credentials=own, scope=scope, broker=session.broker, name="second")
    return scenario.session(credentials=other, broker=session.broker, name="second")


def _judge_isolation(
    first: ClientSession, second: ClientSession, operation: str, difference: str
) -> Situation:
    """Use both clients in turn, and look for the token of the first in all that the second sent."""
    first_use = first.use_well(operation)
    _switch_to(first.broker, second, difference)
    for step in first.recorder.steps():
        # The numbers of exchanges are those of one broker, and only the second one's are shown.
        is_other = isinstance(step, ClientUsed) and first.broker is not second.broker
        second.record(structs.replace(step, exchanges=()) if is_other else step)
    second.record(OtherClientAdded(difference=_IN_STEPS.get(difference, difference)))
    second_use = second.use(operation)
    if second_use.presented is None:
        raise NotTested("the second client presented no token")
    # All calls, and not the last one only: a client may repeat a call with its own token after a
    # 401.
    carried = {value for call in second_use.api_calls for _, value in call.request.headers}
    borrowed = {*carried, second_use.presented}
    if any(first_use.token and first_use.token.value in (text or "") for text in borrowed):
        # A client that sends no scope gets the same token for each, and cannot confuse them.
        if _scope(difference, "any") and not first.sends_scope:
            return Situation.UNMET
        other = _IN_BREACHES.get(difference, difference)
        second.breach(
            f"the second client presented the token of the first, which has another {other}",
            "a token of its own",
        )
    return Situation.met_if(second_use.token)


def _switch_to(broker: Broker, second: ClientSession, difference: str) -> None:
    """Change the broker so that it accepts the second client as well."""
    if difference in {"client_id", "case of client_id", "part of client_id", "secret"}:
        broker.register(second.credentials.client_id, second.credentials.client_secret)
    if difference in {"scope", "no scope"}:
        broker.scope = second.config.scope


def _isolation_in_flight(
    scenario: Scenario, pair: tuple[Credentials, Credentials], operation: str
) -> Situation:
    """Judge two clients of which the second begins while the first one waits for its token.

    A client may keep the request that is under way where others find it. One that fetches when it
    is made, or that refuses to fetch meanwhile, shows nothing here.
    """
    one, other = pair
    with scenario.session(credentials=one, expires_in=_A_DAY, name="first") as first:
        first.broker.register(other.client_id, other.client_secret)
        with scenario.session(credentials=other, broker=first.broker, name="second") as second:
            for step in first.recorder.steps():
                second.record(step)
            second_use = beside_one_in_flight(first, second, operation)
            if second_use is None or not second_use.is_good:
                return Situation.MET
            # Both share their exchanges, so a call does not show whose it was.
            tokens = [each.token for each in second_use.token_requests if each.token is not None]
            owners = {token.credentials.client_id for token in tokens}
            if other.client_id not in owners:
                second.breach(
                    "the second client used the token for which the first one was waiting",
                    "a token of its own",
                    second_use.exchanges,
                )
            return Situation.MET
