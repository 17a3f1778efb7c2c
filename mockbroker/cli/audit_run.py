"""What `mockbroker audit` does: it serves an unchanged app, and judges its traffic.

Traffic can show breaches, but never their absence. The conclusion therefore never says that the app
conforms.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import click

from mockbroker.broker.clock import real_seconds
from mockbroker.broker.conformance import is_binding
from mockbroker.broker.observation import Evidence, Observation, Observed
from mockbroker.broker.scenario_plan import Occurrence
from mockbroker.cli.options import FAIL_ON, OUTPUTS, VERBOSE, Values
from mockbroker.cli.printing import print_report
from mockbroker.cli.serve import announce, listening, serve_and_log
from mockbroker.cli.serve_options import ServeSettings
from mockbroker.cli.stop_signals import StopSignals
from mockbroker.cli.streams import echo, ignore_closed_output
from mockbroker.contract import clauses
from mockbroker.contract.catalogue import CATALOGUE, clause_named
from mockbroker.contract.clause import Level
from mockbroker.contract.shown_kept import SHOWN_CLAUSES
from mockbroker.model.profile import Profile
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.formats import OutputError, problem_with_outputs, write_outputs
from mockbroker.report.report import Report, build_report
from mockbroker.report.run_facts import ClientDescription, Provenance, RunFacts
from mockbroker.report.steps import BreachRepeated

if TYPE_CHECKING:
    from mockbroker.fake_broker import Broker
    from mockbroker.server.listener import Server

__all__ = ["report_on", "run_audit"]

NOT_PASSIVE = "not observable from traffic alone; `mockbroker check` runs scenarios for it"
_SHOWN_BY_COMMAND = {
    clauses.basic.ONLY,
    clauses.post.ONLY,
    *(clause for clause in CATALOGUE if clause.chapter == "request"),
}
"""The clauses whose breach a curl command shows; it has variables for the credentials."""
_REPORT_NOT_WRITTEN_STATUS = 3
"""The exit status if a report could not be written, as pytest's for an internal error."""

# Asks for a report. It returns at once and may be called in a signal handler.
_Ask = Callable[[], None]


def run_audit(
    settings: ServeSettings,
    values: Values,
    variables: Sequence[str],
    command: Sequence[str],
    signals: StopSignals,
) -> int:
    """Serve until a signal arrives or the app ends, print the report; return the exit status.

    Raises click.UsageError, before anything is served, for options that do not fit together.
    """
    files = {values.spelled(OUTPUTS[name]): file for name, file in values.files().items()}
    problem = problem_with_outputs(files, {"the journal": str(settings.journal or "")})
    if problem:
        raise click.UsageError(problem)
    if variables and not command:
        raise click.UsageError("--env needs a COMMAND; write one after --")
    from mockbroker.cli.published_files import published  # noqa: PLC0415 - Flask only if served
    from mockbroker.cli.scenario_run import (  # noqa: PLC0415 - Flask only if served
        running_scenario,
        scenario_of,
    )

    scenario = scenario_of(settings, for_audit=True)
    created = datetime.now(tz=timezone.utc).isoformat(timespec="seconds")
    began = real_seconds()
    with (
        listening(settings) as (broker, server),
        running_scenario(scenario, broker) as scenario_run,
    ):
        # Before the app starts, so that it misses no exchange.
        observation = (
            Observation(broker.journal, broker.profile)
            if scenario_run is None
            else Observation(broker.journal, broker.profile, scenario_run.is_excused)
        )

        def report() -> Report:
            observed = observation.so_far()
            provenance = Provenance(
                created=created,
                duration_seconds=real_seconds() - began,
                profile_sources=broker.profile.source_names,
            )
            return report_on(
                observed,
                broker.profile,
                values[FAIL_ON],
                command,
                provenance,
                scenario=() if scenario_run is None else scenario_run.occurrences,
            )

        # Enter belongs to the COMMAND if there is one: both would read from the same terminal.
        with (
            _printed_on_request(report, by_enter=not command, verbose=values[VERBOSE]),
            published(settings, broker),
        ):
            failure = _serve(command, variables, broker, server, signals)
    # Made after the app has ended, so that its last requests count.
    return _finished(report(), values, failure)


def _finished(final: Report, values: Values, failure: int) -> int:
    """Print and write the report; return the exit status. ``failure`` is that of the app."""
    with ignore_closed_output():
        print_report(final, verbose=values[VERBOSE])
    try:
        write_outputs(final, values.files())
    except OutputError as error:
        click.echo(f"mockbroker: {error}", err=True)
        return failure or _REPORT_NOT_WRITTEN_STATUS
    # The app's own failure comes first: a test suite that failed may have sent little traffic, and
    # "no violation seen" would hide that.
    return failure or final.exit_status


def _serve(
    command: Sequence[str],
    variables: Sequence[str],
    broker: Broker,
    server: Server,
    signals: StopSignals,
) -> int:
    """Serve until a signal arrives or the app ends; return the app's exit status.

    The status is as a shell reports it. It is 0 without an app, and if a signal ended the audit.
    """
    from mockbroker.cli.observed_app import (  # noqa: PLC0415 - Flask only if served
        AppError,
        app_environment,
        end_app,
        failure_of,
        running_app,
    )

    announce(broker, server.control_token)
    if not command:
        serve_and_log((broker,), server, signals)
        return 0
    try:
        with running_app(command, app_environment(broker, variables), server.interrupt) as app:
            serve_and_log((broker,), server, signals)
            # The app of an interrupted audit ends by our signal, which is not a failure of its own.
            failure = 0 if signals.received else failure_of(app)
            end_app(app, command[0], by_ctrl_c=signals.received == signal.SIGINT)
    except AppError as error:
        raise click.UsageError(str(error)) from error
    return failure


# The report


def report_on(
    observed: Observed,
    profile: Profile,
    fail_on: Level,
    command: Sequence[str] = (),
    provenance: Provenance = Provenance(),  # noqa: B008 - a frozen value
    *,
    scenario: tuple[Occurrence, ...] = (),
) -> Report:
    """Return the report on an observed app; a clause passes only if its situation was seen.

    ``command`` is the app's command line, empty for traffic that was only observed. A breach at a
    level below ``fail_on`` is advice. ``scenario`` has the planned events that may have brought
    about a situation.
    """
    unseen = {c.id: NOT_PASSIVE for c in CATALOGUE if not c.is_passive} | {**observed.never_reached}
    # A scenario may have shown some of them, and can show them next time.
    for shown in SHOWN_CLAUSES:
        unseen[shown.clause.id] = f"never shown: {shown.lack}"
        if shown.clause.id in observed.kept:
            del unseen[shown.clause.id]
    # Both have a reason of their own, so neither is a pass.
    unknown = unseen.keys() | observed.inapplicable.keys()
    seen = [clause.id for clause in CATALOGUE if clause.id not in unknown]
    # Silence counts as a pass only for clauses whose situation was seen.
    findings = [_finding(name, observed.breaches.get(name), fail_on) for name in seen]
    findings += [
        Finding(name, Verdict.NOT_APPLICABLE, reason)
        for name, reason in observed.inapplicable.items()
    ]
    return build_report(
        findings,
        RunFacts(
            profile=profile.name,
            terms=profile,
            client=ClientDescription(
                target=shlex.join(command) or "observed traffic",
                name=Path(command[0]).name if command else "observed",
            ),
            measured=asdict(observed.tally),
            fail_on=fail_on,
            unseen=unseen,
            scenario=scenario,
            provenance=provenance,
        ),
    )


def _finding(clause_id: str, evidence: Evidence | None, fail_on: Level) -> Finding:
    """Return the finding on a clause whose situation was seen.

    None as ``evidence`` means that no breach of the clause was seen.
    """
    if evidence is None:
        return Finding(clause_id, Verdict.PASSED)
    return Finding(
        clause_id,
        Verdict.FAILED if is_binding(clause_id, fail_on) else Verdict.ADVICE,
        evidence.what,
        (BreachRepeated(count=evidence.count),) if evidence.count > 1 else (),
        evidence.exchanges,
        command=evidence.curl if clause_named(clause_id) in _SHOWN_BY_COMMAND else "",
    )


# The verdict so far


@contextlib.contextmanager
def _printed_on_request(
    report: Callable[[], Report], *, by_enter: bool, verbose: bool
) -> Iterator[None]:
    """Print the report at each request by Enter or SIGUSR1, in a thread, while the block runs.

    A signal handler must not print: the code that it interrupts may be printing.
    """
    # SimpleQueue.put is reentrant, so a signal handler may call it.
    requests: SimpleQueue[Callable[[], Report] | None] = SimpleQueue()
    ask = partial(requests.put, report)

    def print_requested_reports() -> None:
        """Print one report for each request, until the queue holds None."""
        while (make := requests.get()) is not None:
            with contextlib.suppress(OSError):  # the reader of the output is gone
                print_report(make(), verbose=verbose)

    # Not a daemon: a verdict that was asked for is printed before the command ends.
    printer = threading.Thread(target=print_requested_reports, name="mockbroker-verdicts")
    printer.start()
    ways = [*_ask_by_signal(ask), *(_ask_by_enter(ask) if by_enter else ())]
    if ways:  # pragma: no branch - only Windows has no signal for it
        echo(f"auditing; for the verdict so far {' or '.join(ways)}")
    try:
        yield
    finally:
        # The printer ends after the reports that were requested before.
        requests.put(None)
        printer.join()


def _ask_by_signal(ask: _Ask) -> Iterator[str]:
    """Ask for a report at each SIGUSR1; yield how to send it. Windows has no such signal."""
    if hasattr(signal, "SIGUSR1"):
        # The handler only fills the queue; a thread makes and prints the report.
        signal.signal(signal.SIGUSR1, lambda _number, _frame: ask())
        yield f"send SIGUSR1 (kill -USR1 {os.getpid()})"


def _ask_by_enter(ask: _Ask) -> Iterator[str]:
    """Ask for a report at each line from the terminal; yield how to ask. Needs a terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        return
    if hasattr(signal, "SIGTTIN"):  # otherwise reading would stop a program in the background
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    # A daemon: the read may block forever, and nothing can interrupt it.
    lines = threading.Thread(target=_watch_terminal, args=(sys.stdin.fileno(), ask), daemon=True)
    lines.start()
    yield "press Enter"


def _watch_terminal(terminal: int, ask: _Ask) -> None:
    """Ask for a report at each line that the terminal sends.

    Reads the descriptor, not ``sys.stdin``: at exit Python would wait for a thread that reads a
    file object.
    """
    with contextlib.suppress(OSError):
        # One request for each read: a terminal hands over at most a line. An empty read is the end
        # of the input (Ctrl-D).
        while os.read(terminal, 1024):
            ask()
