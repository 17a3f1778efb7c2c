"""Chapter ``cache``: restarts, files, forked children and several processes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import pytest

from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker.report.steps import (
    AnswersDelayed,
    FileDamage,
    FileDamaged,
    HomeMadeUnwritable,
    SecretRotated,
)
from mockbroker_contract.clauses.cache_cases import (
    AT_ONCE,
    CREDENTIALS,
    HONOURS,
    SLOW_FIRST,
    must_have_token,
)
from mockbroker_contract.drivers.failures import NotApplicable, NotTested
from mockbroker_contract.drivers.removal import remove
from mockbroker_contract.harness.arrangements import killed_in_flight
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation

# -- a client that is made again ---------------------------------------------------------------

_RESTARTS: dict[str, tuple[float, ...]] = {
    # The client is used again at once, and after the expiry: a token whose lifetime is counted from
    # the restart has a part of it left then.
    "earlier than expiry": (0.5, 0.6),
    "later than expiry": (1.1,),
}
"""Pauses in lifetimes of the token; the client is made again after the first one."""
_OTHER_SECRET = "another-s3cret"


@pytest.mark.contract_clause(clauses.cache.RESTART)
def test_restart(scenario: Scenario) -> None:
    """Check that a client that is made again never presents an expired token or one of others.

    It is made again in the same process. If it leaves files, it is made again in a new process as
    well, where a monotonic clock starts at another value. The control is the same client without a
    restart.
    """
    cases = [
        *(partial(_case_of_restart, scenario, pauses) for pauses in _RESTARTS.values()),
        partial(_case_of_other_secret, scenario),
    ]
    scenario.for_each_in_time(cases, lambda case, operation: case(operation))
    operation = scenario.run.capabilities[0]
    if not _leaves_files(scenario, operation):
        return
    # With one operation: a process takes longer than all the cases above.
    cases = [
        partial(_case_of_restart, scenario, (0.5, 0.6), in_new_process=True),
        partial(_case_of_restart, scenario, (1.1,), in_new_process=True),
        partial(_case_of_other_secret, scenario, in_new_process=True),
    ]
    scenario.for_each(cases, lambda case, op: case(op), operations=[operation])


def _leaves_files(scenario: Scenario, operation: str) -> bool:
    """Return whether a client writes files while it is used or closed."""
    sandbox = scenario.run.sandbox
    before = sandbox.files()
    with scenario.session(credentials=CREDENTIALS) as session:
        session.use_well(operation)
    return sandbox.files() != before


def _case_of_restart(
    scenario: Scenario, pauses: Sequence[float], operation: str, *, in_new_process: bool = False
) -> Situation:
    """Make a client again after the first pause, and use it after each."""
    lifetime = 3599.0 if scenario.run.time.is_virtual else 2.0
    with scenario.session(
        credentials=CREDENTIALS, expires_in=lifetime, elsewhere=[HONOURS]
    ) as session:
        session.use_well(operation)
        session.advance(pauses[0] * lifetime)
        session.restart(in_new_process=in_new_process)
        outcomes = [session.use(operation)]
        for pause in pauses[1:]:
            session.advance(pause * lifetime)
            outcomes.append(session.use(operation))
        for outcome in outcomes:
            if outcome.is_after_expiry:
                scenario.needs_expiry_control(operation, lifetime, after=0.1 * lifetime)
                session.breach(
                    f"made again, the client {outcome.in_words}", "a new token", outcome.exchanges
                )
        return Situation.met_if(all(outcome.is_good for outcome in outcomes))


def _case_of_other_secret(
    scenario: Scenario, operation: str, *, in_new_process: bool = False
) -> Situation:
    """Rotate the secret, and make the client again with the new one."""
    with scenario.session(credentials=CREDENTIALS) as session:
        first = session.use_well(operation)
        session.broker.register(CREDENTIALS.client_id, _OTHER_SECRET)
        session.record(SecretRotated(client=CREDENTIALS.client_id))
        session.restart(in_new_process=in_new_process, secret=_OTHER_SECRET)
        second = session.use(operation)
        if first.token is not None and _presented(second, first.token.value):
            _needs_isolated_secrets(scenario, operation)
            session.breach(
                "made again with another secret, the client presented a token that was issued to "
                "the old one",
                "a token of its own",
                second.exchanges,
            )
        return Situation.met_if(second.is_good)


def _presented(outcome: Outcome, token: str) -> bool:
    """Return whether a call of the use carried the token, or get_token returned it."""
    # All calls, and not the last one only: a client may repeat a call with another token after a
    # 401.
    texts = {value for call in outcome.api_calls for _, value in call.request.headers}
    return any(token in (text or "") for text in {*texts, outcome.presented})


def _needs_isolated_secrets(scenario: Scenario, operation: str) -> None:
    """Raise NotTested if two live clients with different secrets share a token.

    The control: the restart is not the cause then.
    """
    one, other = Credentials("control", "control-s3cret"), Credentials("control", _OTHER_SECRET)
    with scenario.session(credentials=one) as first:
        token = first.use_well(operation).token
        first.broker.register(other.client_id, other.client_secret)
        with scenario.session(credentials=other, broker=first.broker) as second:
            if token is not None and _presented(second.use(operation), token.value):
                raise NotTested(
                    "the client presents another client's token without a restart as well",
                    blocked_by=clauses.cache.ISOLATION,
                )


# -- files -------------------------------------------------------------------------------------


@pytest.mark.contract_clause(clauses.cache.FILES)
def test_files(scenario: Scenario) -> None:
    """Check that a client without usable files of its own gets a token all the same.

    First HOME cannot be written, for any client. If the client leaves files, they are damaged while
    it lives, and before it is made again. The control is the same client with its files. Last, its
    process is killed while it waits for a token, and leaves whatever it has locked.
    """
    scenario.for_each([None], lambda _, operation: _case_without_home(scenario, operation))
    operation = scenario.run.capabilities[0]
    if _leaves_files(scenario, operation):
        scenario.for_each(FileDamage, partial(_case_of_damage, scenario))
        if scenario.run.clients.arranges_uses:
            # With one operation, because a process takes longer than all the cases above.
            scenario.for_each(
                [None], lambda _, op: _case_of_kill(scenario, op), operations=[operation]
            )


def _case_without_home(scenario: Scenario, operation: str) -> Situation:
    """Use a client while a file stands in the place of HOME."""
    with (
        scenario.session(credentials=CREDENTIALS) as session,
        scenario.run.sandbox.file_for_home(),
    ):
        session.record(HomeMadeUnwritable())
        must_have_token(session, session.use(operation))
        return Situation.MET


def _case_of_damage(scenario: Scenario, damage: FileDamage, operation: str) -> Situation:
    """Damage the files of a client, have it refresh, damage them again, and make it again."""
    sandbox, lifetime = scenario.run.sandbox, 3599 if scenario.run.time.is_virtual else 1
    before = sandbox.files()
    written: set[Path] = set()
    try:
        with scenario.session(
            credentials=CREDENTIALS, expires_in=lifetime, elsewhere=[HONOURS]
        ) as session:
            session.use_well(operation)
            session.restart()  # some clients write when they are closed
            session.use_well(operation)
            written = {path for path, mark in sandbox.files().items() if before.get(path) != mark}
            # The living client refreshes and writes again. The next one finds what is left of a
            # token that is valid.
            _damage_all(session, written, damage)
            session.advance(lifetime + 1 if scenario.run.time.is_virtual else 1.5)
            must_have_token(session, session.use(operation))
            _damage_all(session, written, damage)
            session.restart()
            must_have_token(session, session.use(operation))
            return Situation.met_if(written)
    finally:
        # A later client may use the same names.
        for path in written:
            remove(path)


_LONGEST_LOCK_SECONDS = 3600.0
"""After that time a lock file is old, by the measure of any client that looks at its age."""


def _case_of_kill(scenario: Scenario, operation: str) -> Situation:
    """Kill the process of a client while it waits for its token, and make the client again.

    A client may wait for the end of a lock file that was left, and find it old some time later.
    """
    before = scenario.run.sandbox.files()
    try:
        with scenario.session(credentials=CREDENTIALS, elsewhere=[HONOURS]) as session:
            killed_in_flight(session, operation)
            outcome = session.use(operation)
            if not outcome.is_good and scenario.run.time.is_virtual:
                session.advance(_LONGEST_LOCK_SECONDS)
                outcome = session.use(operation)
            must_have_token(session, outcome)
            return Situation.MET
    finally:
        for path in scenario.run.sandbox.files().keys() - before.keys():
            remove(path)


_CONTENTS: dict[FileDamage, Callable[[bytes], bytes]] = {
    FileDamage.EMPTY: lambda _: b"",
    FileDamage.HALF_WRITTEN: lambda content: content[: len(content) // 2],
    FileDamage.FOREIGN_BYTES: lambda _: b"\x00\xff\x80 not a token\n",
    FileDamage.FOREIGN_JSON: lambda _: b'[{"version": 1}]\n',
}


def _damage_all(session: ClientSession, paths: Iterable[Path], damage: FileDamage) -> None:
    for path in sorted(paths):
        _damage(path, damage)
        session.record(FileDamaged(name=path.name, damage=damage))


def _damage(path: Path, damage: FileDamage) -> None:
    """Damage a file, unless the client has removed or replaced it after the first damage."""
    with contextlib.suppress(OSError):
        if damage is FileDamage.REPLACED_BY_FOLDER:
            # Permissions do not stop the user root, but a folder in the place of a file does.
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(_CONTENTS[damage](path.read_bytes()))


@pytest.mark.contract_clause(clauses.cache.FORK)
def test_fork(scenario: Scenario) -> None:
    """Check that a client works in a forked child, and in its parent afterwards.

    The parent has not used the client yet, or its token is valid, or has expired. The control is
    the same without a fork.
    """
    scenario.run.needs_working_client()
    with scenario.session(credentials=CREDENTIALS) as session:
        session.use_well()
        if session.event_loop:
            raise NotApplicable("the client is asynchronous: no event loop survives a fork")

    def run_case(lifetimes: float | None, operation: str) -> Situation:
        lifetime = 3599 if scenario.run.time.is_virtual else 1
        with scenario.session(
            credentials=CREDENTIALS, expires_in=lifetime, elsewhere=[HONOURS]
        ) as session:
            if lifetimes is not None:
                session.use_well(operation)
                session.advance(lifetimes * lifetime)
            else:
                session.make()
            for outcome in (session.use_forked(operation), session.use(operation)):
                if outcome.is_after_expiry or (outcome.error and not outcome.token_requests):
                    scenario.needs_expiry_control(operation, lifetime, after=1)
                must_have_token(session, outcome)
            return Situation.MET

    # Two lifetimes, so that no leeway or rounding can make the token count as valid.
    scenario.for_each_in_time([None, 0, 2], run_case)


@pytest.mark.contract_clause(clauses.cache.PROCESSES)
def test_processes(scenario: Scenario) -> None:
    """Check that clients in many processes with the same files all get a token.

    All processes start at once. The number of their token requests is reported.
    """
    counts: list[int] = []

    def run_case(age: float, operation: str) -> Situation:
        lifetime = 3599 if scenario.run.time.is_virtual else 1
        with scenario.session(
            credentials=CREDENTIALS,
            expires_in=lifetime,
            elsewhere=[HONOURS, clauses.cache.REUSE],
            deadline=scenario.run.settings.patient_deadline,
        ) as session:
            # The client of this process may request a token when it is made.
            session.make()
            if age:
                # One client before them leaves its file, whose token has expired.
                session.use_well(operation)
                session.advance(age * lifetime)
            # Slow answers make the processes meet: each requests its token while others do.
            session.broker.script(*(Fault.delay(seconds) for seconds in SLOW_FIRST))
            session.record(AnswersDelayed(delays_seconds=SLOW_FIRST))
            outcomes = session.use_in_processes(operation, AT_ONCE)
            counts.append(len(outcomes[0].token_requests))
            for outcome in outcomes:
                if outcome.is_after_expiry:
                    raise NotTested(
                        "a process presented an expired token",
                        blocked_by=scenario.cause_among(HONOURS, clauses.cache.RESTART),
                    )
                must_have_token(session, outcome)
            return Situation.met_if(outcomes[0].token_requests)

    try:
        scenario.for_each([0, 2], run_case, operations=scenario.run.capabilities[:1])
    finally:
        if counts:
            scenario.run.findings.learn(process_token_requests=max(counts))
