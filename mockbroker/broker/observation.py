"""An observation: verdicts on all exchanges that a journal recorded, even those that it forgot.

Breaches that a single message shows are recorded when it arrives. Breaches that show in several
messages are judged in windows as long as the journal. Each window begins in the middle of the one
before. A breach across the end of a window therefore lies within the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mockbroker.broker.conformance import Tally
from mockbroker.broker.journal import Journal
from mockbroker.contract.judging import (
    PASSIVE_CLAUSES,
    TRACE_CLAUSES,
    breaches_alone,
    judge_together,
    met_preconditions,
    unmet_preconditions,
)
from mockbroker.contract.shown_kept import shown_kept
from mockbroker.model.breach import Breach
from mockbroker.model.credentials import Credentials
from mockbroker.model.exchange import Endpoint, Exchange, Trace
from mockbroker.model.exchange_record import ExchangeRecord, records_of
from mockbroker.model.exchange_text import curl
from mockbroker.model.masking import Mask
from mockbroker.model.profile import Profile

__all__ = ["Evidence", "Observation", "Observed", "observe"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence that a clause is broken; each string has secrets and tokens masked.

    ``what`` describes the first breach in one line, and ``exchanges`` show it. ``count`` is the
    number of breaches. ``curl`` is the token request as a command, empty without one.
    """

    what: str
    exchanges: tuple[ExchangeRecord, ...]
    curl: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Observed:
    """The verdicts on an observed app, for each clause that traffic alone can show.

    ``breaches`` has the evidence for broken clauses. ``never_reached`` has the reason for clauses
    that could not be judged, and ``inapplicable`` the reason for those that the profile excludes.
    The app keeps every other clause. ``kept`` are clauses that traffic alone cannot show to be
    broken, but that this traffic shows to be kept.
    """

    tally: Tally
    breaches: Mapping[str, Evidence]
    never_reached: Mapping[str, str]
    inapplicable: Mapping[str, str]
    kept: frozenset[str] = frozenset()


def observe(trace: Trace, profile: Profile, mask: Mask) -> Observed:
    """Return the verdicts on a trace; exchanges before its first one count as not judged."""
    judged = _Judged(profile)
    for exchange in trace.exchanges:
        judged = judged.after(exchange, breaches_alone(exchange), mask)
    return judged.after_window(trace.exchanges, mask, is_last=True).observed


class Observation:
    """An observer of the exchanges that a journal records from now on; thread-safe.

    It judges in the threads that serve requests. The cost of an exchange is constant on average,
    because a window is judged after half a journal. A breach that a single message shows does not
    count if it ``is_excused``.
    """

    def __init__(
        self,
        journal: Journal,
        profile: Profile,
        is_excused: Callable[[Exchange, Breach], bool] = lambda _exchange, _breach: False,
    ) -> None:
        self._journal = journal
        self._is_excused = is_excused
        # Half a window, by number and by memory: the journal drops exchanges by either limit, and
        # none must be dropped before it was in a window.
        # At least 1, for a journal that holds a single exchange.
        self._step = max(1, journal.size // 2)
        self._step_bytes = journal.size_bytes // 2
        self._unjudged_bytes = 0
        self._judged = _Judged(profile)
        self._lock = threading.Lock()
        self._clearings = journal.clearings
        # The control API may reset the broker. What was seen before still counts.
        journal.subscribe(self._see, survives_reset=True, is_prompt=True)

    def _see(self, exchange: Exchange) -> None:
        """Judge one exchange; the journal calls it in the thread of the request."""
        # The journal calls subscribers outside its own lock, so exchanges of several threads may
        # arrive here at once and out of order.
        with self._lock:
            self._note_clearing()
            found = [b for b in breaches_alone(exchange) if not self._is_excused(exchange, b)]
            self._judged = self._judged.after(exchange, found, self._journal.mask)
            self._unjudged_bytes += exchange.size_bytes
            count = exchange.number - self._judged.last_number
            if count >= self._step or self._unjudged_bytes >= self._step_bytes:
                window = self._window()
                # What comes after a challenge decides on it, so it waits for the next window.
                if window and window[-1].is_challenge:
                    window = window[:-1]
                self._judged = self._judged.after_window(window, self._journal.mask)
                self._unjudged_bytes = 0

    def so_far(self) -> Observed:
        """Return the verdicts up to this moment."""
        with self._lock:
            self._note_clearing()
            # The result is not stored: a request that seems wasteful now may prove justified by
            # the exchanges that follow.
            judged = self._judged.after_window(self._window(), self._journal.mask, is_last=True)
        return judged.observed

    def _note_clearing(self) -> None:
        """Number from 1 again if the journal does; needs the lock."""
        clearings = self._journal.clearings
        if clearings != self._clearings:
            self._clearings = clearings
            self._judged = self._judged.after_clearing()

    def _window(self) -> tuple[Exchange, ...]:
        """Return what the journal holds now; its limits are those of a window."""
        return self._journal.snapshot()


@dataclass(frozen=True, slots=True)
class _Judged:
    """The state of an observation, replaced as a whole with each exchange.

    ``last_number`` is the number of the last exchange that was in a window, ``seen_number`` that of
    the last one seen. ``unjudged`` counts the exchanges that the journal dropped before they were
    in a window. ``firsts`` has the request by
    which each client got its first token, which the journal may have dropped long ago. ``handled``
    has the clauses that can only be shown to be kept, and whether their situations were handled.
    """

    profile: Profile
    tally: Tally = field(default_factory=Tally)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    reached: frozenset[str] = frozenset()
    firsts: Mapping[Credentials, Exchange] = field(default_factory=dict)
    last_number: int = 0
    seen_number: int = 0
    unjudged: int = 0
    handled: Mapping[str, bool] = field(default_factory=dict)

    @property
    def observed(self) -> Observed:
        """The verdicts so far.

        A clause with evidence counts as reached, even if its precondition was never seen to be met.
        """
        unknown = unmet_preconditions(self.reached | self.evidence.keys(), self.profile)
        if self.unjudged:
            reason = f"{self.unjudged} exchanges were dropped before they were judged together"
            # A clause on several messages may be broken in the gap, so it is not known to be kept.
            unknown |= {c.id: reason for c in TRACE_CLAUSES if c.id not in self.evidence}
        reasons = {clause.id: clause.applies_to(self.profile) for clause in PASSIVE_CLAUSES}
        inapplicable = {name: reason for name, reason in reasons.items() if reason}
        kept = frozenset(name for name, is_handled in self.handled.items() if is_handled)
        return Observed(self.tally, self.evidence, unknown, inapplicable, kept)

    def after(self, exchange: Exchange, found: Iterable[Breach], masked: Mask) -> _Judged:
        """Return the state with the breaches that were ``found`` in one message."""
        evidence = self._evidence_with(found, (exchange,), masked, since=0)
        seen = max(self.seen_number, exchange.number)
        tally = self.tally.plus(exchange)
        return replace(self, tally=tally, evidence=evidence, seen_number=seen)

    def after_clearing(self) -> _Judged:
        """Return the state for a journal that was cleared, and numbers from 1 again."""
        lost = max(0, self.seen_number - self.last_number)
        return replace(self, unjudged=self.unjudged + lost, last_number=0, seen_number=0)

    def after_window(
        self, window: tuple[Exchange, ...], masked: Mask, *, is_last: bool = False
    ) -> _Judged:
        """Return the state with the breaches that the latest messages show together.

        After the last window nothing follows that could show a situation to be handled.
        """
        if not window:
            return self
        # Preconditions need the first token; breaches are looked for in the window only, because
        # the trace with the firsts has a gap in which anything may have happened.
        trace = _trace((*self.firsts.values(), *window))
        found, since = judge_together(Trace(window), self.profile), self.last_number
        # A later key replaces an earlier one, so that the first request of each client remains.
        latest_first = reversed(trace.token_requests)
        # The next window begins in the middle of this one, and shows more of what follows.
        until = window[-1 if is_last else len(window) // 2].number
        now = shown_kept(Trace(window), until)
        handled = {name: self.handled.get(name, True) and each for name, each in now.items()}
        return replace(
            self,
            evidence=self._evidence_with(found, window, masked, since),
            reached=self.reached | {c.id for c in met_preconditions(trace, self.profile)},
            firsts={e.token.credentials: e for e in latest_first if e.token is not None},
            last_number=window[-1].number,
            unjudged=self.unjudged + max(0, window[0].number - 1 - self.last_number),
            handled={**self.handled, **handled},
        )

    def _evidence_with(
        self,
        breaches: Iterable[Breach],
        shown: Sequence[Exchange],
        masked: Mask,
        since: int,
    ) -> Mapping[str, Evidence]:
        """Return the evidence with that of the breaches.

        A breach whose last exchange has the number ``since`` or less was in the window before.
        """
        evidence = dict(self.evidence)
        for breach in breaches:
            known = evidence.get(breach.clause_id)
            if known is None:
                evidence[breach.clause_id] = _evidence(breach, shown, masked)
            elif max(breach.exchanges) > since:
                evidence[breach.clause_id] = replace(known, count=known.count + 1)
        return evidence


def _trace(exchanges: Iterable[Exchange]) -> Trace:
    """Return a trace of the exchanges by their numbers, each exchange once."""
    # The first request of a client may lie within the window as well.
    by_number = {exchange.number: exchange for exchange in exchanges}
    return Trace(tuple(by_number[number] for number in sorted(by_number)))


def _evidence(breach: Breach, exchanges: Sequence[Exchange], masked: Mask) -> Evidence:
    """Return the evidence for the first breach of a clause.

    ``exchanges`` are those from which the breach was judged. The record keeps the ones that show
    it, and the token responses that issued their tokens.
    """
    shown = [e for e in exchanges if e.number in breach.exchanges]
    tokens = {e.token for e in shown if e.token is not None}
    # A call with an expired token makes sense only with the response that issued the token.
    related = [e for e in exchanges if e in shown or _issued(e) in tokens]
    asked = [e for e in shown if e.endpoint is Endpoint.TOKEN]
    return Evidence(
        what=masked(breach.in_words),
        exchanges=records_of(related, masked),
        curl=curl(asked[0].request, masked) if asked else "",
    )


def _issued(exchange: Exchange) -> object:
    """Return the token that an exchange issued; None for a call, which only presents one."""
    return exchange.token if exchange.endpoint is Endpoint.TOKEN else None
