"""Results of all items of a run, gathered into one report."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from mockbroker.broker.clock import real_seconds
from mockbroker.cli.options import CLIENT, EXEC, FAIL_ON, ONLY, Values
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.report.finding import Finding
from mockbroker.report.kit_error import KitError
from mockbroker.report.known_failures import KnownFailures
from mockbroker.report.report import Report, build_report
from mockbroker.report.run_facts import ClientDescription, Provenance, RunFacts
from pytest_mockbroker.item_results import ClientFacts, ItemResult
from pytest_mockbroker.settings import profile_and_sources

__all__ = ["GatheredResults"]


class GatheredResults:
    """Results of all items so far, in the process that reports the run.

    Items that workers judge arrive in any order; the report has them in that of the catalogue.
    """

    def __init__(self, known: KnownFailures) -> None:
        self._known = known
        self._created = datetime.now(tz=timezone.utc).isoformat(timespec="seconds")
        # Not the difference of two dates: the clock of the machine may be changed meanwhile.
        self._began = real_seconds()
        self._by_clause: dict[str, ItemResult] = {}
        self._seconds: dict[str, float] = {}
        self._noted: list[Finding] = []
        # A set, because each result of a worker has all clauses of that worker.
        self._selected: set[str] = set()
        # A dictionary as an ordered set: several workers may report the same error.
        self._errors: dict[KitError, None] = {}
        self.is_interrupted = False
        self.unreached = ""
        """Why the run did not reach every selected clause; empty if it did."""

    @property
    def is_empty(self) -> bool:
        """Whether no clause was selected or judged, and no error occurred."""
        return not (self._selected or self._by_clause or self._errors)

    def select(self, clause_ids: Iterable[str]) -> None:
        """Record clauses that are to be judged."""
        self._selected |= set(clause_ids)

    @property
    def selected(self) -> tuple[str, ...]:
        """The clauses that are to be judged, sorted."""
        return tuple(sorted(self._selected))

    def add(self, result: ItemResult, *, seconds: float = 0.0) -> None:
        """Add the result of an item, which took so many seconds of real time."""
        if result.error is not None:
            self.add_error(result.error)
        if result.findings:
            self._by_clause[result.findings[0].clause_id] = result
            self._seconds[result.findings[0].clause_id] = seconds
        self.select(result.selected)

    def note(self, findings: Iterable[Finding]) -> None:
        """Add findings of an item that came to no end."""
        self._noted += findings

    def add_error(self, error: KitError) -> None:
        """Add an error of the kit; the same error counts once."""
        self._errors[error] = None

    @property
    def _results(self) -> list[ItemResult]:
        """The results of the items, in the order of the catalogue."""
        return [self._by_clause[c.id] for c in CATALOGUE if c.id in self._by_clause]

    @property
    def _findings(self) -> list[Finding]:
        """All findings, those of the items' own clauses first.

        Of two breaches of a clause the first counts, and the clause's own is the simpler one.
        """
        own = [result.findings[0] for result in self._results]
        noted = [finding for result in self._results for finding in result.findings[1:]]
        return [*own, *noted, *self._noted]

    @property
    def examples(self) -> dict[str, Any]:
        """The examples that led to a finding, by clause id."""
        found: dict[str, Any] = {}
        for result in self._results:
            found = result.examples | found
        # A clause's own item has the simplest one.
        return found | {
            clause_id: result.examples[clause_id]
            for clause_id, result in self._by_clause.items()
            if clause_id in result.examples
        }

    @property
    def _client(self) -> ClientFacts:
        """What all items together found out about the client."""
        merged = ClientFacts()
        for client in (result.client for result in self._results if result.client is not None):
            # Workers judge different clauses, so each measures other facts.
            merged = msgspec.structs.replace(
                client,
                # Sorted, because each worker measures in an order of its own.
                measured=dict(sorted({**merged.measured, **client.measured}.items())),
                replays={**merged.replays, **client.replays},
                # One worker may have used up its time while the others have not.
                is_out_of_time=merged.is_out_of_time or client.is_out_of_time,
                limits=_united(merged.limits, client.limits),
                # Each item brings all failures of its process so far.
                driver_failures=_united(merged.driver_failures, client.driver_failures),
            )
        return merged

    def report(
        self, values: Values, *, check_arguments: tuple[str, ...], is_by_pytest: bool
    ) -> Report:
        """Return the report on the results so far.

        ``values`` are those of the options. ``check_arguments`` repeat the run by the command. A
        report of a run ``is_by_pytest`` names pytest's options.
        """
        client, command = self._client, values[EXEC]
        profile, sources = profile_and_sources(values)
        target = values[CLIENT] or command or client.name
        return build_report(
            self._findings,
            RunFacts(
                profile=profile.name,
                terms=profile,
                client=ClientDescription(
                    target=target,
                    # A driver program names its client; a Python client has its module's name.
                    name=client.name if command else _name_in(target),
                    version=client.version,
                    capabilities=client.capabilities,
                    file=_file_of(values[CLIENT], command),
                ),
                measured=client.measured,
                fail_on=values[FAIL_ON],
                selected=self._selected,
                unreached=self.unreached,
                interrupted=self.is_interrupted,
                errors=tuple(self._errors),
                known=self._known,
                replays=client.replays,
                driver_failures=client.driver_failures,
                out_of_time=client.is_out_of_time,
                limits=client.limits,
                options="--contract-" if is_by_pytest else "--",
                provenance=Provenance(
                    created=self._created,
                    duration_seconds=real_seconds() - self._began,
                    profile_sources=sources,
                    examples=client.examples,
                    seed=client.seed,
                    only=str(values[ONLY]),
                    check_arguments=check_arguments,
                    clause_seconds=self._seconds,
                ),
            ),
        )


def _file_of(client: str, command: str) -> str:
    """Return the file of the client's factory or driver below the working directory, or "".

    The path has slashes on every system.
    """
    # A module is not imported here: the check imports none of the user's code.
    module = client.partition(":")[0].replace(".", "/")
    path = f"{client.rpartition('.py')[0]}.py"
    for name in (*shlex.split(command), path, f"{module}.py", f"{module}/__init__.py"):
        file = Path(name).resolve()
        if file.is_file() and file.is_relative_to(Path.cwd()):
            return file.relative_to(Path.cwd()).as_posix()
    return ""


def _name_in(target: str) -> str:
    module, _, factory = target.rpartition(":")
    # Without a colon, the last part has the whole target.
    return Path(module or factory).stem


def _united(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """Return the strings of both, each once, in the order of their first occurrence."""
    return tuple(dict.fromkeys((*some, *others)))
