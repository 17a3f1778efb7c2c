"""One contract run: the client under test, the servers, time, and what was found on the way."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import hypothesis
from hypothesis import strategies as st

from contract_tests.client import ClientConfig, ClientFactory
from contract_tests.driver import Answer, PythonClient
from contract_tests.replay import Replays, remembering, samples_of
from contract_tests.verdicts import ContractBreached, Finding, NotApplicable, NotTested, Verdict
from contract_tests.virtual_time import StoryTime, VirtualTime
from mockbroker.broker import Broker
from mockbroker.server import Server
from mockbroker.spec.catalogue import clause
from mockbroker.spec.clause import Level
from mockbroker.spec.credentials import Credentials
from mockbroker.spec.profile import AUTOGRAB, Profile

__all__ = ["ContractRun", "Rehearsal", "RunSettings"]

Drawn = TypeVar("Drawn")
_LEVELS = list(Level)

# Found only by the clause's own scenario: the same traffic can also have another cause.
_OWN_SCENARIO_ONLY = frozenset({"cache.reuse", "signing.bearer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a user may choose.

    ``seed`` draws other examples than those that are drawn every time. ``deadline`` is how many
    seconds of real time one operation of the client may take before it is cut off;
    ``client_timeout`` is the timeout, in seconds, that clients are told to use. ``replays`` has
    plain examples, by clause id, that are played before any other.
    """

    profile: Profile = AUTOGRAB
    examples: int = 25
    seed: int | None = None
    fail_on: Level = Level.MUST
    target: str = ""
    deadline: float = 10.0
    client_timeout: float = 5.0
    replays: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What an ordinary use of the client showed, before any clause was judged.

    ``blocked`` says why the client cannot be judged, or is empty; ``hung`` is True if that is
    because it did not come back. ``clock_seen`` is False if the client keeps time by a clock that
    a scenario cannot move.
    """

    blocked: str = ""
    hung: bool = False
    clock_seen: bool = True


@dataclass
class ContractRun:
    """Everything that the scenarios of one run share; `rehearsed_run` makes one."""

    factory: ClientFactory
    settings: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        self.virtual_time = VirtualTime()
        self.time: StoryTime = self.virtual_time
        self._server = Server()
        self._elsewhere = Server()
        self._prefixes = itertools.count(1)
        self._findings: dict[str, Finding] = {}
        self._facts: dict[str, Any] = {}
        self.capabilities: tuple[str, ...] = ()
        """Which operations the client offers; known once the rehearsal has begun."""
        self.rehearsal = Rehearsal()
        self.replays = Replays(self.settings.replays)
        self._mounted: dict[Broker, tuple[Server, str]] = {}
        self._server.start()
        self._elsewhere.start()

    def close(self) -> None:
        """Stop the servers."""
        self._server.stop()
        self._elsewhere.stop()

    # -- what the client is like ---------------------------------------------------------------

    def learn(self, **facts: Any) -> None:
        """Keep measured facts about the client for the report."""
        self._facts.update(facts)

    def measured(self) -> dict[str, Any]:
        """The measured facts, as the report shows them."""
        return dict(self._facts)

    def needs(self, operation: str) -> None:
        """Raise NotApplicable if the client lacks that operation."""
        if operation not in self.capabilities:
            raise NotApplicable(f"the client offers no {operation}")

    def needs_working_client(self) -> None:
        """Raise NotTested if the client does not even manage the ordinary."""
        if self.rehearsal.blocked:
            raise NotTested(f"blocked by response.documented: {self.rehearsal.blocked}")

    def needs_returning_client(self) -> None:
        """Raise NotTested if the client does not even come back from the ordinary."""
        if self.rehearsal.hung:
            self.needs_working_client()

    # -- time ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def frozen_time(self) -> Iterator[None]:
        """Stop time while the context lasts, if the client lives by a clock that can be moved."""
        if not self.rehearsal.clock_seen:
            yield
            return
        with self.virtual_time.frozen():
            yield

    # -- brokers and clients -------------------------------------------------------------------

    def new_broker(
        self,
        credentials: Credentials,
        expires_in: float = 3599,
        scope: str = "",
        *,
        other_origin: bool = False,
    ) -> Broker:
        """A lenient broker of its own URL, whose clock is the story's."""
        server = self._elsewhere if other_origin else self._server
        broker = Broker(
            profile=self.settings.profile,
            credentials=credentials,
            expires_in=expires_in,
            strict=False,
            clock=self.time,
        )
        broker.scope = scope
        prefix = f"/x{next(self._prefixes)}"
        server.mount(broker, prefix)
        self._mounted[broker] = (server, prefix)
        return broker

    def retire(self, broker: Broker) -> None:
        """Take a broker off its URL; a client that still asks there gets a 404."""
        server, prefix = self._mounted.pop(broker)
        server.unmount(prefix)

    def make_client(self, config: ClientConfig) -> tuple[PythonClient, Answer]:
        """A client made by the factory, and what came of making it."""
        client = PythonClient(self.factory, config, self.settings.deadline)
        return client, client.open()

    # -- playing -------------------------------------------------------------------------------

    def for_all(
        self,
        strategy: st.SearchStrategy[Drawn],
        play: Callable[[Drawn], None],
        *,
        first: Sequence[Drawn] = (),
        examples: int | None = None,
        clause_id: str = "",
    ) -> None:
        """Play a scenario for the ``first`` examples and for those that Hypothesis draws.

        Before them all comes the example that is kept of a known failure of ``clause_id``.
        Raises what the play raised for its simplest failing example; NotTested if every example
        was blocked.
        """
        play = remembering(play)
        blocked: list[str] = []
        reached: list[bool] = []

        def attempt(drawn: Drawn) -> None:
            try:
                play(drawn)
            except NotTested as obstacle:
                blocked.append(str(obstacle))
            else:
                reached.append(True)

        def samples() -> list[Drawn]:
            return [*first, *samples_of(strategy)]

        self.replays.play(clause_id, attempt, samples, self.capabilities)
        for drawn in first:
            attempt(drawn)
        budget = self.settings.examples if examples is None else examples
        test = hypothesis.given(strategy)(attempt)
        if self.settings.seed is not None:
            test = hypothesis.seed(self.settings.seed)(test)
        hypothesis.settings(
            max_examples=max(1, min(budget, self.settings.examples)),
            derandomize=self.settings.seed is None,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(hypothesis.HealthCheck),
        )(test)()
        if not reached:
            raise NotTested(blocked[0] if blocked else "no example reached the clause")

    # -- findings ------------------------------------------------------------------------------

    def note(self, breached: ContractBreached) -> None:
        """Keep a breach of a clause other than the one being played."""
        clause_id = breached.breaches[0].clause_id
        if clause_id not in _OWN_SCENARIO_ONLY and clause_id not in self._findings:
            self._findings[clause_id] = breached.finding(self.verdict_on_breach(clause_id))

    def verdict_on_breach(self, clause_id: str) -> Verdict:
        """``failed``, or ``advice`` for a level below the one that fails a run."""
        binding = _LEVELS.index(clause(clause_id).level) <= self._fail_rank
        return Verdict.FAILED if binding else Verdict.ADVICE

    @property
    def _fail_rank(self) -> int:
        return _LEVELS.index(self.settings.fail_on)

    def take_findings(self) -> list[Finding]:
        """The breaches of other clauses found since the last call."""
        found = list(self._findings.values())
        self._findings.clear()
        return found
