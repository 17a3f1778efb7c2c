"""One contract run: the client under test, the servers, time, and what was found on the way."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import hypothesis
from hypothesis import strategies as st

from mockbroker.contract import clauses
from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.clause import Clause, Level
from mockbroker.fake_broker import Broker
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import AUTOGRAB, Profile
from mockbroker.report.finding import Finding, Verdict
from mockbroker.server.certificates import ThrowAwayAuthority
from mockbroker.server.listener import Server
from mockbroker_contract.drivers.driver import DriverSource
from mockbroker_contract.drivers.failures import (
    NotApplicable,
    NotTested,
    ResourcesExhausted,
    ScenarioEnded,
)
from mockbroker_contract.drivers.sandbox import Sandbox
from mockbroker_contract.harness.budget import Budget
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.harness.hangs import Hangs
from mockbroker_contract.harness.replay import Replays, fitting, remembering, samples_of
from mockbroker_contract.harness.shrinking import ShrinkLimit
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.timing.story_time import RealTime, StoryTime, VirtualTime

__all__ = [
    "CENTURY_SECONDS",
    "OWN_SCENARIO_ONLY",
    "ContractRun",
    "Rehearsal",
    "RunSettings",
]

Drawn = TypeVar("Drawn")
CENTURY_SECONDS = 3.2e9
"""A token that lives for longer cannot be made to expire: calendars end too soon."""

_LEVELS = list(Level)

OWN_SCENARIO_ONLY = frozenset({clauses.cache.REUSE.id, clauses.signing.BEARER.id})
"""Clauses whose breach counts in their own scenario only: the same traffic can also have another
cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a user may choose.

    ``seed`` draws other examples than those that are drawn every time. ``deadline`` is how many
    seconds of real time one operation of the client may take before it is cut off;
    ``client_timeout`` is the timeout, in seconds, that clients are told to use; ``patience`` is
    how many seconds of real time a client may wait for a broker that never answers. ``shrinks``
    is how many more times a story is played to make it simpler once it has failed. ``copies``
    are paths of files and folders that the client reads; it sees copies of them. ``replays``
    has plain examples, by clause id, that are played before any other. ``budget`` is how many
    seconds of real time the whole run may take; 0 is no limit. If ``shows_output``, what the
    client writes is printed on standard error.
    """

    profile: Profile = AUTOGRAB
    examples: int = 300
    seed: int | None = None
    fail_on: Level = Level.MUST
    target: str = ""
    deadline: float = 10.0
    client_timeout: float = 5.0
    patience: float = 31.0
    shrinks: int = 100
    copies: tuple[str, ...] = ()
    shows_output: bool = False
    budget: float = 0.0
    replays: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def patient_deadline(self) -> float:
        """Seconds of real time that one operation may take where the broker fails or is slow."""
        return 2 * self.patience


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What an ordinary use of the client showed, before any clause was judged.

    ``blocked`` says why the client cannot be judged, or is empty; ``hung`` is True if that is
    because it did not come back, or ended the program. ``clock_seen`` is False if the client
    keeps time by a clock that a scenario cannot move.
    """

    blocked: str = ""
    hung: bool = False
    clock_seen: bool = True


@dataclass
class ContractRun:
    """Everything that the scenarios of one run share; `rehearsed_run` makes one."""

    clients: DriverSource
    settings: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        self.budget = Budget(self.settings.budget)
        self.time: StoryTime = RealTime()
        self._server = Server()
        self._elsewhere = Server()
        self._tls_servers: dict[tuple[str, ...], Server] = {}
        self._prefixes = itertools.count(1)
        self.use_numbers = itertools.count(1)
        """A number for each use of any client, so that clients before one broker are told apart."""
        self._findings: dict[str, Finding] = {}
        self.noted_examples: dict[str, Any] = {}
        """What led to breaches that other scenarios than the clause's own found, where known."""
        self.broken_clauses: set[str] = set()
        """The clauses of which this process has seen a breach so far."""
        self.explored: set[object] = set()
        """What scenarios of several clauses explore, and one has, without a breach of its own."""
        self.played: dict[object, Any] = {}
        """What came of plays that one clause had played and another one judges as well."""
        self.held_up = False
        """Whether a use failed after the client's timeout: the machine may be to blame."""
        self.hangs = Hangs()
        self.reached: set[Clause] = set()
        """The clauses on client authentication whose precondition was met so far."""
        self.authentication_chapters: set[str] = set()
        """The chapters of the client authentication methods that the client has used."""
        self._facts: dict[str, Any] = {}
        self.capabilities: tuple[str, ...] = ()
        """Which operations the client offers; known once the rehearsal has begun."""
        self.rehearsal = Rehearsal()
        self.replays = Replays(self.settings.replays)
        self._mounted: dict[Broker, tuple[Server, str]] = {}
        self.sandbox = Sandbox(self.settings.copies)
        self._open_stages = 0
        self._lock = threading.Lock()
        self._issued: set[str] = set()
        self._last_expiry = 0.0
        self._shortages = 0
        try:
            # Before any thread is started: a host may have to be forked.
            self.clients.live_in(self.sandbox, shows_output=self.settings.shows_output)
            self._server.start()
            self._elsewhere.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the servers, and remove what the client left."""
        self.clients.close()
        for server in (self._server, self._elsewhere, *self._tls_servers.values()):
            server.stop()
        self.sandbox.close()

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

    def needs_many_at_once(self) -> None:
        """Raise NotApplicable if no operation of the client can begin many times at once."""
        if not any(map(self.clients.can_be_used_at_once, self.capabilities)):
            raise NotApplicable("the driver offers no burst")

    def needs_working_client(self) -> None:
        """Raise NotTested if the client does not even manage the ordinary."""
        if self.rehearsal.blocked:
            raise NotTested(self.rehearsal.blocked, blocked_by=clauses.response.DOCUMENTED)

    def needs_returning_client(self) -> None:
        """Raise NotTested if the client does not even come back from the ordinary."""
        if self.rehearsal.hung:
            self.needs_working_client()

    # -- time ----------------------------------------------------------------------------------

    def possible_times(self) -> Sequence[StoryTime]:
        """The kinds of time that the clients may live by, the best first; the last is real."""
        return self.clients.times()

    def frozen_time(self) -> AbstractContextManager[object]:
        """Around everything that lives by the run's time: it stops, if it can be stopped."""
        return self.time.frozen()

    @property
    def zoned_time(self) -> VirtualTime | None:
        """The run's time, if local time can be put back and forth with it."""
        return self.time if isinstance(self.time, VirtualTime) else None

    # -- brokers and clients -------------------------------------------------------------------

    def new_broker(
        self,
        credentials: Credentials,
        expires_in: float = 3599,
        scope: str = "",
        *,
        server: Server | None = None,
        prefix: str = "",
    ) -> Broker:
        """A lenient broker of its own URL, whose clock is the story's.

        ``server`` and ``prefix`` say where it is, if that matters.
        """
        server = server or self._server
        broker = Broker(
            profile=self.settings.profile,
            credentials=credentials,
            expires_in=expires_in,
            strict=False,
            clock=self.time,
        )
        broker.scope = scope
        prefix = prefix or f"/x{next(self._prefixes)}"
        server.mount(broker, prefix)
        self._mounted[broker] = (server, prefix)
        return broker

    @contextlib.contextmanager
    def tls_broker(self, credentials: Credentials, *names: str) -> Iterator[Broker]:
        """A broker that speaks TLS, with a certificate for these names by a throw-away CA."""
        server = self._tls_servers.get(names)
        if server is None:
            server = self._tls_servers[names] = Server(tls=self._authority.certificate_for(*names))
            server.start()
        broker = self.new_broker(credentials, server=server)
        try:
            yield broker
        finally:
            self.retire(broker)

    @cached_property
    def _authority(self) -> ThrowAwayAuthority:
        return ThrowAwayAuthority(self.sandbox.outside)

    @contextlib.contextmanager
    def stranger(self, credentials: Credentials) -> Iterator[Broker]:
        """A broker of another origin."""
        broker = self.new_broker(credentials, server=self._elsewhere)
        try:
            yield broker
        finally:
            self.retire(broker)

    def neighbour(self, broker: Broker) -> Broker:
        """A broker like another one, at the same path of another origin."""
        _, prefix = self._mounted[broker]
        return self.new_broker(broker.credentials, server=self._elsewhere, prefix=prefix)

    def retire(self, broker: Broker) -> None:
        """Take a broker off its URL; a client that still asks there gets a 404."""
        server, prefix = self._mounted.pop(broker)
        server.unmount(prefix)
        for exchange in broker.token_requests:
            if exchange.token is not None:
                if exchange.token.expires_in < CENTURY_SECONDS:
                    self._last_expiry = max(self._last_expiry, exchange.token.expires_at)
                if broker.token_values is None:
                    self._issued.add(exchange.token.value)
        self._let_tokens_expire()

    def is_of_another_broker(self, token: str) -> bool:
        """Whether that is a token of another broker of this run than the one that was asked."""
        return token in self._issued or any(
            broker.token_values is None and token in broker.token_issued_values
            for broker in tuple(self._mounted)
        )

    def enter_stage(self) -> None:
        """Give the client its folders, if the one before it has removed them."""
        with self._lock:
            if not self._open_stages:
                self.sandbox.restore()
            self._open_stages += 1

    def leave_stage(self) -> None:
        """Let time pass until nothing issued so far is valid any more.

        What a client keeps beyond its own life, by mistake, then spoils no other story.
        """
        with self._lock:
            self._open_stages -= 1
        self._let_tokens_expire()

    def _let_tokens_expire(self) -> None:
        if not self._open_stages:
            self.time.advance_to(self._last_expiry)

    @property
    def client_folders(self) -> tuple[Path, ...]:
        """Where the client's files are: its working directory, HOME, and temporary ones."""
        return self.sandbox.folders

    # -- playing -------------------------------------------------------------------------------

    def play_each(self, cases: Iterable[Drawn], play: Callable[[Drawn], Situation]) -> None:
        """Play a scenario for each of a few cases; NotTested if none met its situation."""
        attempts = _Attempts(self, play)
        for case in cases:
            attempts(case)
        attempts.need_one_that_met()

    def play_side_by_side(self, cases: Sequence[Drawn], play: Callable[[Drawn], Situation]) -> None:
        """The same at once, in threads: for plays that only wait. Raises for the first case."""
        attempts = _Attempts(self, play)
        with ThreadPoolExecutor(len(cases)) as pool:
            played = [pool.submit(attempts, case) for case in cases]
        for each in played:
            each.result()
        attempts.need_one_that_met()

    def for_all(
        self,
        strategy: st.SearchStrategy[Drawn],
        play: Callable[[Drawn], Situation],
        *,
        first: Sequence[Drawn] = (),
        clause_id: str = "",
    ) -> None:
        """Play a scenario for the ``first`` examples and for those that Hypothesis draws.

        Before them all comes the example that is kept of a known failure of ``clause_id``.
        Raises what the play raised for its simplest failing example; NotTested if no example met
        the situation that the clause is about.
        """
        attempts = _Attempts(self, remembering(play))

        def play_again(plain: object) -> None:
            samples = [*first, *samples_of(strategy)]
            attempts(fitting(plain, samples, self.capabilities))

        self.replays.play(clause_id, play_again)
        for drawn in first:
            attempts(drawn)
        limit = self.shrink_limit()
        test = hypothesis.given(strategy)(limit.limited(attempts.__call__))
        if self.settings.seed is not None:
            test = hypothesis.seed(self.settings.seed)(test)
        with limit.in_force():
            self.exploration()(test)()
        attempts.need_one_that_met()

    def exploration(self) -> hypothesis.settings:
        """How Hypothesis explores: as many examples as the user asks for."""
        return hypothesis.settings(
            max_examples=self.settings.examples,
            derandomize=self.settings.seed is None,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(hypothesis.HealthCheck),
        )

    def shrink_limit(self) -> ShrinkLimit:
        """For one exploration."""
        return ShrinkLimit(self.settings.shrinks, self.budget)

    def needs_resources(self) -> None:
        """Raise ResourcesExhausted if a server could not take a connection since the last call."""
        servers = (self._server, self._elsewhere, *self._tls_servers.values())
        shortages = sum(server.shortages for server in servers)
        met, self._shortages = shortages - self._shortages, shortages
        if met:
            raise ResourcesExhausted(
                f"the broker could not take {met} connections of the client: this process has no "
                "more file descriptors or memory"
            )

    # -- findings ------------------------------------------------------------------------------

    def note(self, breached: ContractBreached) -> None:
        """Keep a breach of a clause other than the one being played."""
        clause_id = breached.clause_id
        has_own_scenario = clause_id in OWN_SCENARIO_ONLY and not self.rehearsal.blocked
        if not has_own_scenario and clause_id not in self._findings:
            if breached.drawn is not None:
                self.noted_examples[clause_id] = breached.drawn
            self._findings[clause_id] = breached.finding(self.verdict_on_breach(clause_id))

    def verdict_on_breach(self, clause_id: str) -> Verdict:
        """``failed``, or ``advice`` for a level below the one that fails a run."""
        binding = _LEVELS.index(clause_named(clause_id).level) <= self._fail_rank
        return Verdict.FAILED if binding else Verdict.ADVICE

    @property
    def _fail_rank(self) -> int:
        return _LEVELS.index(self.settings.fail_on)

    def take_findings(self) -> list[Finding]:
        """The breaches of other clauses found since the last call."""
        found = list(self._findings.values())
        self._findings.clear()
        return found


class _Attempts(Generic[Drawn]):
    """Plays a scenario again and again, and remembers whether it ever met its situation."""

    def __init__(self, run: ContractRun, play: Callable[[Drawn], Situation]) -> None:
        self._run = run
        self._play = play
        self._obstacle: NotTested | None = None
        self._is_met = False

    def __call__(self, drawn: Drawn) -> None:
        self._run.budget.require()
        try:
            situation = self._play_with_resources(drawn)
        except NotTested as obstacle:
            if obstacle.is_costly:
                raise
            self._obstacle = self._obstacle or obstacle
        else:
            self._is_met |= situation is Situation.MET

    def _play_with_resources(self, drawn: Drawn) -> Situation:
        """Play; how it ended counts only if this process had all that it needed."""
        try:
            return self._play_fairly(drawn)
        except ScenarioEnded:
            self._run.needs_resources()
            raise

    def _play_fairly(self, drawn: Drawn) -> Situation:
        """Play once more what a busy machine may have spoilt; what then recurs is the client's."""
        self._run.held_up = False
        try:
            return self._play(drawn)
        except ContractBreached as breached:
            if not self._run.held_up:
                raise
            self._run.broken_clauses.discard(breached.clause_id)
            return self._play(drawn)

    def need_one_that_met(self) -> None:
        if not self._is_met:
            raise self._obstacle or NotTested("no test case met the situation of the clause")
