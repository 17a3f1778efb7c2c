"""An ordinary use of the client, before any clause is judged.

It shows what the client offers, whether it works at all, and whether it lives by the clock that
scenarios move.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from contract_tests.driver import DriverSource, Raised
from contract_tests.one_processor import one_processor
from contract_tests.run import ContractRun, Rehearsal, RunSettings
from contract_tests.stage import Stage
from contract_tests.target import TargetError
from contract_tests.verdicts import ClientCrashed, ClientHung, DriverFailed, NotTested
from mockbroker.spec.credentials import Credentials
from mockbroker.spec.masking import mask

__all__ = ["rehearsed_run"]

_CREDENTIALS = Credentials("rehearsal", "rehearsal-s3cret")
_LONG_LIFETIME = 3600
_SHORT_LIFETIME = 1
_SURELY_LATE = 1.5
"""Seconds after which also who counts in whole seconds, and rounds down, has seen an expiry."""
_NO_VERDICT = (NotTested, ClientHung, ClientCrashed, DriverFailed)


@contextlib.contextmanager
def rehearsed_run(clients: DriverSource, settings: RunSettings) -> Iterator[ContractRun]:
    """A contract run whose client was used as anyone would, so that it is known what it offers.

    Raises TargetError if no client can be made, or what is made cannot be used.
    """
    with one_processor(), contextlib.closing(ContractRun(clients, settings)) as run:
        run.rehearsal = _rehearse(run)
        if run.time.kind != "virtual":
            run.learn(clock=run.time.kind)
        yield run


def _rehearse(run: ContractRun) -> Rehearsal:
    *movable, real = run.possible_times()
    run.time = (*movable, real)[0]
    with run.time.frozen():
        run.capabilities = _capabilities(run)
        obstacle = _what_blocks(run)
        if obstacle is not None:
            return obstacle
    keeps = False
    for run.time in movable:
        with run.time.frozen():
            keeps = _keeps_token(run)
            if keeps and _refreshes_after(run, _LONG_LIFETIME):
                return Rehearsal()
    run.time = real
    with run.time.frozen():
        follows = _refreshes_after(run, _SHORT_LIFETIME) if keeps else _keeps_token(run)
    if follows or not movable:
        return Rehearsal(clock_seen=False)
    run.time = movable[0]
    return Rehearsal()


def _keeps_token(run: ContractRun) -> bool:
    """Whether a token is used twice at once; by a clock that means nothing to it, it may not be."""
    with contextlib.suppress(*_NO_VERDICT), _stage(run) as stage:
        stage.use()
        return stage.use().token == stage.use().token
    return False


def _what_blocks(run: ContractRun) -> Rehearsal | None:
    for operation in run.capabilities:
        obstacle = _what_blocks_use(run, operation)
        if obstacle is not None and run.held_up:  # the machine may have been too busy
            obstacle = _what_blocks_use(run, operation)
        if obstacle is not None:
            return obstacle
    return None


def _what_blocks_use(run: ContractRun, operation: str) -> Rehearsal | None:
    with _stage(run) as stage:
        try:
            stage.use_well(operation)
        except NotTested as obstacle:
            reason = str(obstacle).removeprefix("blocked: ")
            return Rehearsal(f"{operation}: {reason}")
        except DriverFailed as failed:
            return Rehearsal(_first_line(failed))
        except (ClientHung, ClientCrashed) as end:
            return Rehearsal(_first_line(end), hung=True)
    return None


def _capabilities(run: ContractRun) -> tuple[str, ...]:
    with _stage(run) as stage:
        client = run.clients.driver(stage.config, run.settings.deadline)
        try:
            answer = client.open()
        except (ClientCrashed, DriverFailed) as end:
            told = mask(str(end), stage.broker.registered, ())
            raise TargetError(f"no client could be made: {told}\n{run.clients.remedy}") from None
        client.close()
    maker = run.clients.maker
    if answer.hung:
        raise TargetError(f"{maker} did not come back; it must make a client without waiting")
    if answer.error is not None:
        raise TargetError(
            f"{maker} raised {stage.masked(answer.error)}; it is called with a ClientConfig and "
            f"must make the client{_where_files_are(answer.error)}"
        )
    return tuple(answer.value)


def _where_files_are(error: Raised) -> str:
    """A hint, if the error is about a file that the client did not find."""
    if not {"FileNotFoundError", "PermissionError"} & set(error.bases):
        return ""
    return (
        ". A client that is checked lives in an empty folder of its own: name what it reads with "
        "--copy PATH, and it finds a copy there"
    )


def _first_line(end: Exception) -> str:
    return str(end).partition("\n")[0]


def _stage(run: ContractRun, expires_in: float = _LONG_LIFETIME) -> Stage:
    return Stage(
        run,
        "response.documented",
        credentials=_CREDENTIALS,
        expires_in=expires_in,
        elsewhere=["refresh.honours-expires-in"],
    )


def _refreshes_after(run: ContractRun, lifetime: float) -> bool:
    """Whether the client has a new token once that lifetime, in seconds, has passed."""
    with contextlib.suppress(*_NO_VERDICT), _stage(run, lifetime) as stage:
        first = stage.use_well()
        stage.advance(lifetime + _SURELY_LATE)
        return stage.use().token != first.token
    return False
