"""Results of all items of a run, gathered into one report."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from mockbroker.broker.clock import real_seconds
from mockbroker.cli.options import CLIENT, EXEC, FAIL_ON, ONLY, PROFILE, Values
from mockbroker.report.finding import Finding
from mockbroker.report.kit_error import KitError
from mockbroker.report.known_failures import KnownFailures
from mockbroker.report.report import ClientDescription, Report, RunFacts, build_report
from pytest_mockbroker.item_results import ClientFacts, ItemResult

__all__ = ["GatheredResults"]


class GatheredResults:
    """Results of all items so far, in the process that reports the run."""

    def __init__(self, known: KnownFailures) -> None:
        self._known = known
        self._created = datetime.now(tz=timezone.utc).isoformat(timespec="seconds")
        # Not the difference of two dates: the clock of the machine may be changed meanwhile.
        self._began = real_seconds()
        self._own: list[Finding] = []
        self._noted: list[Finding] = []
        # A set, because each result of a pytest-xdist worker has all clauses of that worker.
        self._selected: set[str] = set()
        # Dictionaries as ordered sets: several workers may report the same error.
        self._errors: dict[KitError, None] = {}
        self._driver_failures: dict[str, None] = {}
        self._client = ClientFacts()
        self.is_interrupted = False
        self.unreached = ""
        """Why the run did not reach every selected clause; empty if it did."""

    @property
    def is_empty(self) -> bool:
        """Whether no clause was selected or judged, and no error occurred."""
        return not (self._selected or self._own or self._errors)

    def select(self, clause_ids: Iterable[str]) -> None:
        """Record clauses that are to be judged."""
        self._selected |= set(clause_ids)

    @property
    def selected(self) -> tuple[str, ...]:
        """The clauses that are to be judged, sorted."""
        return tuple(sorted(self._selected))

    def add(self, result: ItemResult) -> None:
        """Add the result of an item."""
        if result.error is not None:
            self.add_error(result.error)
        if result.findings:
            own, *noted = result.findings
            self._own.append(own)
            self.note(noted)
        self.select(result.selected)
        if result.client is not None:
            self._learn(result.client)

    def note(self, findings: Iterable[Finding]) -> None:
        """Add findings on clauses that no item judged, or that another item judges."""
        self._noted += findings

    def add_error(self, error: KitError) -> None:
        """Add an error of the kit; the same error counts once."""
        self._errors[error] = None

    def _learn(self, client: ClientFacts) -> None:
        """Merge facts on the client with those that other items brought."""
        # Workers of pytest-xdist judge different clauses, so each measures other facts.
        self._client = msgspec.structs.replace(
            client,
            measured={**self._client.measured, **client.measured},
            replays={**self._client.replays, **client.replays},
            # One worker may have used up its time while the others have not.
            is_out_of_time=self._client.is_out_of_time or client.is_out_of_time,
            limits=tuple(dict.fromkeys((*self._client.limits, *client.limits))),
        )
        # Each item brings all failures of its process so far.
        self._driver_failures |= dict.fromkeys(client.driver_failures)

    def report(
        self, values: Values, *, check_arguments: tuple[str, ...], is_by_pytest: bool
    ) -> Report:
        """Return the report on the results so far.

        ``values`` are those of the options. ``check_arguments`` repeat the run by the command. A
        report of a run ``is_by_pytest`` names pytest's options.
        """
        client, command = self._client, values[EXEC]
        target = values[CLIENT] or command or client.name
        return build_report(
            (*self._own, *self._noted),
            profile=values[PROFILE],
            client=ClientDescription(
                target=target,
                # A driver program names its client; a Python client has the name of its module.
                name=client.name if command else _name_in(target),
                version=client.version,
                capabilities=client.capabilities,
            ),
            measured=client.measured,
            fail_on=values[FAIL_ON],
            selected=self._selected,
            unreached=self.unreached,
            interrupted=self.is_interrupted,
            errors=self._errors,
            known=self._known,
            replays=client.replays,
            driver_failures=self._driver_failures,
            out_of_time=client.is_out_of_time,
            limits=client.limits,
            options="--contract-" if is_by_pytest else "--",
            run=RunFacts(
                created=self._created,
                duration_seconds=real_seconds() - self._began,
                examples=client.examples,
                seed=client.seed,
                only=str(values[ONLY]),
                check_arguments=check_arguments,
            ),
        )


def _name_in(target: str) -> str:
    module, _, factory = target.rpartition(":")
    # Without a colon, the last part has the whole target.
    return Path(module or factory).stem
