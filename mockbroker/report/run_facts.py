"""The facts of a run besides its findings: the client, the profile, and how the run went.

`mockbroker.report.report` draws the conclusions from them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mockbroker.broker.scenario_plan import Occurrence
from mockbroker.contract.clause import Level
from mockbroker.model.escaping import printable
from mockbroker.model.profile import AUTOGRAB, Profile
from mockbroker.report.defaults import DEFAULT_EXAMPLES
from mockbroker.report.kit_error import KitError
from mockbroker.report.known_failures import NOTHING_KNOWN, KnownFailures

__all__ = ["ClientDescription", "Provenance", "RunFacts"]


@dataclass(frozen=True, slots=True)
class ClientDescription:
    """The client that was judged, and its capabilities; each string is one printable line.

    Name and version are empty if the client does not introduce itself. ``file`` is the file of its
    factory, relative to the working directory; empty if the client does not come from a file.
    """

    target: str = ""
    name: str = ""
    version: str = ""
    capabilities: tuple[str, ...] = ()
    file: str = ""

    def __post_init__(self) -> None:
        """Make every string printable, once for all formats."""
        # They come from the client or its driver, and every format prints them.
        for name in ("target", "name", "version", "file"):
            # The class is frozen, so a plain assignment would raise.
            object.__setattr__(self, name, printable(getattr(self, name)))
        object.__setattr__(self, "capabilities", tuple(map(printable, self.capabilities)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a report comes from: the options and the time of its run.

    ``created`` is a date and time by RFC 3339. ``profile_sources`` says where the facts of the
    profile stand. ``examples`` is the number of test cases for a clause, None if none were drawn.
    ``seed`` is None if the test cases are the same every time. ``only`` is the selection of
    clauses, as the user wrote it. ``check_arguments`` are the arguments of `mockbroker check` that
    name the client, empty if the command cannot check it. ``clause_seconds`` is the real time that
    each clause took.
    """

    created: str = ""
    duration_seconds: float = 0.0
    profile_sources: tuple[str, ...] = ()
    examples: int | None = None
    seed: int | None = None
    only: str = ""
    check_arguments: tuple[str, ...] = ()
    clause_seconds: Mapping[str, float] = field(default_factory=dict)

    def command_for(self, clause_id: str) -> str:
        """Return the command that repeats the test cases of a clause; empty without one.

        The arguments are quoted for a POSIX shell.
        """
        # Such as a client that only a fixture of a test suite can make.
        if not self.check_arguments:
            return ""
        words = ["mockbroker", "check", *self.check_arguments, "--only", clause_id]
        # A default would only make the command longer.
        if self.examples not in (None, DEFAULT_EXAMPLES):
            words += ["--examples", str(self.examples)]
        # Only a run with --explore has a seed; without one the same cases are drawn each time.
        words += [] if self.seed is None else ["--seed", str(self.seed)]
        return shlex.join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a report says about a run besides the findings.

    ``terms`` is the profile in whose terms the report says things, ``profile`` its name.
    ``selected`` are the clauses to judge. ``unreached`` says why the run did not reach each of
    them; empty if it did. ``unseen`` is None unless the traffic of an app was observed; it says
    why a clause could not be judged. ``interrupted`` is True if a signal ended the run,
    ``out_of_time`` if its budget was used up. ``replays`` has, for each clause whose known example
    was tried, why it was ignored. ``errors`` are those of the kit that belong to no single clause.
    ``driver_failures`` describes failures of the driver. ``limits`` names the guarantees of the
    client's isolation that do not apply in this run. ``scenario`` has the planned events of an
    audit, and the outcome of each. ``options`` is the prefix of option names in messages.
    """

    profile: str
    terms: Profile = AUTOGRAB
    client: ClientDescription = field(default_factory=ClientDescription)
    measured: Mapping[str, Any] = field(default_factory=dict)
    fail_on: Level = Level.MUST
    selected: Iterable[str] = ()
    unreached: str = ""
    unseen: Mapping[str, str] | None = None
    interrupted: bool = False
    known: KnownFailures = NOTHING_KNOWN
    replays: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[KitError, ...] = ()
    driver_failures: tuple[str, ...] = ()
    out_of_time: bool = False
    limits: tuple[str, ...] = ()
    scenario: tuple[Occurrence, ...] = ()
    options: str = "--"
    provenance: Provenance = field(default_factory=Provenance)
