"""Preflight: an ordinary use of the client, before any clause is judged.

It shows what the client offers, whether it works at all, and whether it follows the clock that test
cases move.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker.model.masking import mask
from mockbroker.report.wording import place_text
from mockbroker_contract.drivers.driver import GET_TOKEN, REQUEST, DriverSource, Raised
from mockbroker_contract.drivers.failures import (
    ClientCrashed,
    DriverFailed,
    NotTested,
    ScenarioEnded,
)
from mockbroker_contract.drivers.target import TargetError
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.endings import ClientHung, TooManyRequests
from mockbroker_contract.harness.hangs import Hangs
from mockbroker_contract.harness.run import ContractRun, PreflightResult
from mockbroker_contract.harness.settings import RunSettings
from mockbroker_contract.harness.surroundings import (
    SurroundingsError,
    needs_free_way,
    needs_sockets,
)
from mockbroker_contract.timing.run_time import RunTime

__all__ = ["checked_run"]

_CREDENTIALS = Credentials("preflight", "preflight-s3cret")
_LONG_LIFETIME = 3600
_SHORT_LIFETIME = 1
_AFTER_EXPIRY_SECONDS = 1.5
"""Seconds after which even a client that rounds down to whole seconds has seen an expiry."""
_BRIEF_SECONDS = 5.0
"""Deadline in seconds for uses that only show which clock the client has."""


@contextlib.contextmanager
def checked_run(clients: DriverSource, settings: RunSettings) -> Iterator[ContractRun]:
    """Provide a contract run whose preflight has shown what the client offers.

    Raises TargetError if no client can be made, or the object cannot be used as a client.
    """
    needs_sockets()
    with contextlib.closing(ContractRun(clients, settings)) as run:
        run.preflight = _preflight_by_either_scheme(run)
        run.hangs = Hangs()  # hangs in the preflight count for no clause
        # Virtual time is the rule; the report names only another kind, which limits the tests.
        if run.time.kind != "virtual":
            run.findings.learn(clock=run.time.kind)
        yield run


def _preflight_by_either_scheme(run: ContractRun) -> PreflightResult:
    """Return the result by plain HTTP; by TLS if that is asked for or the client insists on it."""
    # A certificate of the client is a part of TLS.
    if run.settings.tls or run.settings.profile.certificate_method:
        run.brokers.use_tls()
        return _preflight_in_free_surroundings(run)
    try:
        result = _preflight_in_free_surroundings(run)
    except SurroundingsError:
        raise
    except TargetError as error:
        over_tls = _preflight_over_tls(run, str(error))
        if over_tls is None:
            raise
        return over_tls
    return _preflight_over_tls(run, result.blocked) or result


def _preflight_in_free_surroundings(run: ContractRun) -> PreflightResult:
    """Return the result. Raises SurroundingsError if the client is not its cause."""
    result = _preflight(run)
    if result.missed_by:
        needs_free_way(run, lambda: _reaches(run, result.missed_by))
    return result


def _preflight_over_tls(run: ContractRun, obstacle: str) -> PreflightResult | None:
    """Return the result by TLS; None unless the obstacle names it and it is overcome so.

    RFC 6749, 3.2, demands TLS of a token endpoint, and some clients accept nothing else.
    """
    if "https" not in obstacle.casefold():
        return None
    run.brokers.use_tls()
    try:
        result = _preflight(run)
    except TargetError:
        result = None
    if result is None or result.blocked:
        run.brokers.use_http()
        return None
    # The report says it, because the client was judged in another way than others.
    run.findings.learn(scheme="https")
    return result


def _preflight(run: ContractRun) -> PreflightResult:
    *movable, real = run.possible_times()
    run.time = (*movable, real)[0]
    with run.time.frozen():
        run.capabilities = _capabilities(run)
        obstacle = _what_blocks(run)
    if obstacle is not None:
        return obstacle if not _works_in_real_time(real, run) else PreflightResult(clock_seen=False)
    keeps: bool | None = False
    for run.time in movable:
        with run.time.frozen():
            keeps = _repeated_after_hang(partial(_keeps_token, run))
            # A client that keeps no token fetches one at each use. A new token would not show that
            # it saw the clock move.
            follows = keeps and _repeated_after_hang(partial(_refreshes_after, run, _LONG_LIFETIME))
            if follows or follows is None:  # a hang or crash shows nothing about the client's clock
                return PreflightResult()
    run.time = real
    with run.time.frozen():
        if keeps:
            follows = _repeated_after_hang(partial(_refreshes_after, run, _SHORT_LIFETIME))
        else:
            follows = _repeated_after_hang(partial(_keeps_token, run))
    if follows or not movable:
        return PreflightResult(clock_seen=False)
    # No clock made a difference, for instance because the client ignores lifetimes. Virtual time
    # then saves the waiting.
    run.time = movable[0]
    return PreflightResult()


def _works_in_real_time(real: RunTime, run: ContractRun) -> bool:
    """Return whether the client works with real time; set it as the run's time then.

    Some clients fail when their time is moved: they wait for it to pass, or move it themselves.
    """
    moved, run.time = run.time, real
    if moved.kind == "virtual":
        with run.time.frozen():
            if _what_blocks(run) is None:
                return True
    run.time = moved
    return False


def _repeated_after_hang(ask: Callable[[], bool | None]) -> bool | None:
    """Return the answer; ask a client that hung or crashed again, in a new process."""
    answer = ask()
    return ask() if answer is None else answer


def _keeps_token(run: ContractRun) -> bool | None:
    """Return whether a token is used twice in a row; None if the client hung or crashed.

    A client may keep no token because the clock's time makes no sense to it.
    """
    try:
        with _session(run, deadline=_BRIEF_SECONDS) as session:
            session.use()
            # The use before is left out: a client may store its token only at its second use.
            return session.use().token == session.use().token
    except (ClientHung, ClientCrashed):
        return None
    except (NotTested, DriverFailed):
        return False


def _what_blocks(run: ContractRun) -> PreflightResult | None:
    for operation in run.capabilities:
        obstacle, is_delayed = _what_blocks_use(run, operation)
        if obstacle is not None and is_delayed:  # the machine may have been too busy
            obstacle, _ = _what_blocks_use(run, operation)
        if obstacle is not None:
            return obstacle
    return None


def _what_blocks_use(run: ContractRun, operation: str) -> tuple[PreflightResult | None, bool]:
    """Return the obstacle to a use, or None; and whether the use was delayed."""
    with _session(run) as session:
        try:
            session.use_well(operation)
        except TooManyRequests as flood:
            bounded = clauses.errors.BOUNDED
            return PreflightResult(flood.reason, blocked_by=bounded, hung=True), False
        except NotTested as obstacle:
            missed_by = "" if _has_reached(session, operation) else operation
            result = PreflightResult(f"{operation}: {obstacle}", missed_by=missed_by)
            return result, session.is_delayed
        except DriverFailed as failed:
            return PreflightResult(failed.reason), False
        except (ClientHung, ClientCrashed) as end:
            missed_by = "" if _has_reached(session, operation) else operation
            return PreflightResult(end.reason, hung=True, missed_by=missed_by), False
    return None, False


def _reaches(run: ContractRun, operation: str) -> bool:
    """Return whether a new client's request reaches the broker in that operation."""
    with _session(run) as session, contextlib.suppress(ScenarioEnded, TargetError):
        session.use(operation)
    return _has_reached(session, operation)


def _has_reached(session: ClientSession, operation: str) -> bool:
    trace = session.trace
    return bool(trace.api_calls if operation == REQUEST else trace.token_requests)


def _capabilities(run: ContractRun) -> tuple[str, ...]:
    with _session(run) as session:
        client = run.clients.driver(session.config, run.settings.deadline)
        try:
            answer = client.open()
        except (ClientCrashed, DriverFailed) as end:
            needs_free_way(run, lambda: _reaches(run, GET_TOKEN))
            problem = mask(f"{end}\n{end.details}".strip(), session.broker.registered, ())
            raise TargetError(f"no client could be made: {problem}\n{run.clients.remedy}") from None
        # Made only to learn its operations; each test case makes a client of its own.
        client.close()
    maker = run.clients.maker
    if answer.error is not None and not session.trace.exchanges:
        needs_free_way(run, lambda: _reaches(run, GET_TOKEN))
    if answer.hung:
        raise TargetError(f"{maker} did not come back; it must make a client without waiting")
    if answer.error is not None:
        place = f" at {place_text(answer.error.place)}" if answer.error.place else ""
        session.recorder.note_traceback(answer.error)
        traceback = f"\n{session.recorder.traceback}" if run.settings.shows_tracebacks else ""
        raise TargetError(
            f"{maker} raised {session.masked(answer.error)}{place}; it is "
            "called with a ClientConfig and must make the client"
            f"{_where_files_are(answer.error)}{traceback}"
        )
    return tuple(answer.value)


def _where_files_are(error: Raised) -> str:
    """Return a hint, if the error is about a file that the client did not find."""
    if not {"FileNotFoundError", "PermissionError"} & set(error.bases):
        return ""
    return (
        ". A client that is checked lives in an empty folder of its own: name what it reads with "
        "--copy PATH, and it finds a copy there"
    )


def _session(
    run: ContractRun, expires_in: float = _LONG_LIFETIME, *, deadline: float | None = None
) -> ClientSession:
    return ClientSession(
        run,
        clauses.response.DOCUMENTED,
        credentials=_CREDENTIALS,
        expires_in=expires_in,
        # An expired token breaks no clause while it is unknown which clock the client reads.
        elsewhere=[clauses.refresh.HONOURS_EXPIRES_IN],
        deadline=deadline,
    )


def _refreshes_after(run: ContractRun, lifetime: float) -> bool | None:
    """Return whether the client replaces its token after that lifetime, in seconds.

    Returns None if the client hung or crashed.
    """
    try:
        with _session(run, lifetime, deadline=_BRIEF_SECONDS) as session:
            first = session.use_well()
            session.advance(lifetime + _AFTER_EXPIRY_SECONDS)
            return session.use().token != first.token
    except (ClientHung, ClientCrashed):
        return None
    except (NotTested, DriverFailed):
        return False
