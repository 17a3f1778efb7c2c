"""An observation: what a journal was given so far, judged, though it forgets.

What one message shows is noted as it comes. What shows in the course of several is judged in
windows as long as the journal, each of which begins in the middle of the one before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mockbroker.broker.conformance import Tally, timeline
from mockbroker.broker.journal import Journal
from mockbroker.contract.judges import TRACE_JUDGES, judge_course, never_reached, reached
from mockbroker.model.breach import Breach
from mockbroker.model.credentials import Credentials
from mockbroker.model.exchange import Endpoint, Exchange, Trace
from mockbroker.model.masking import Mask, curl

__all__ = ["Evidence", "Observation", "Observed"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows that a clause is broken; all texts have secrets and tokens masked.

    ``what`` says it in one line and ``exchanges`` show it, a text each, for the first time that
    it was seen; ``count`` says how often it was. ``curl`` is the token request as a command.
    """

    what: str
    exchanges: tuple[str, ...]
    curl: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of an app that was observed, for each clause that traffic alone can show.

    ``breaches`` has the evidence for the clauses that are broken, ``never_reached`` the reason
    why nothing is known, for those of which it is so; every other one is kept.
    """

    tally: Tally
    breaches: Mapping[str, Evidence]
    never_reached: Mapping[str, str]


class Observation:
    """Observes the exchanges of a journal from now on; safe to use from many threads."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._step = max(1, journal.size // 2)
        self._step_bytes = journal.size_bytes // 2
        self._unjudged_bytes = 0
        self._judged = _Judged()
        self._lock = threading.Lock()
        journal.subscribe(self._see)

    def _see(self, exchange: Exchange) -> None:
        with self._lock:
            self._judged = self._judged.after(exchange, self._journal.mask)
            self._unjudged_bytes += exchange.size_bytes
            count = exchange.number - self._judged.last_number
            if count >= self._step or self._unjudged_bytes >= self._step_bytes:
                self._judged = self._judged.after_window(self._window(), self._journal.mask)
                self._unjudged_bytes = 0

    def so_far(self) -> Observed:
        """What is known at this moment."""
        with self._lock:
            # Not kept: what looks wasteful at this moment need not when more is seen.
            judged = self._judged.after_window(self._window(), self._journal.mask)
        return judged.observed

    def _window(self) -> tuple[Exchange, ...]:
        return self._journal.snapshot()


@dataclass(frozen=True, slots=True)
class _Judged:
    """What was judged until now.

    ``last_number`` is that of the last exchange that was judged together with others, ``unjudged``
    how many the journal had forgotten by then; ``firsts`` has the request by which each client
    got its first token, so that it is known when that is long forgotten.
    """

    tally: Tally = field(default_factory=Tally)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    reached: frozenset[str] = frozenset()
    firsts: Mapping[Credentials, Exchange] = field(default_factory=dict)
    last_number: int = 0
    unjudged: int = 0

    @property
    def observed(self) -> Observed:
        """What is known by now."""
        unknown = never_reached(self.reached | self.evidence.keys())
        if self.unjudged:
            reason = f"{self.unjudged} exchanges came too fast to be judged together"
            unknown |= dict.fromkeys(TRACE_JUDGES.keys() - self.evidence.keys(), reason)
        return Observed(self.tally, self.evidence, unknown)

    def after(self, exchange: Exchange, masked: Mask) -> _Judged:
        """With what one message shows."""
        evidence = self._evidence_with(exchange.breaches, (exchange,), masked, since=0)
        return replace(self, tally=self.tally.plus(exchange), evidence=evidence)

    def after_window(self, window: tuple[Exchange, ...], masked: Mask) -> _Judged:
        """With what the latest messages show together."""
        if not window:
            return self
        trace = _trace((*self.firsts.values(), *window))
        found, since = judge_course(Trace(window)), self.last_number
        latest_first = reversed(trace.token_requests)
        return replace(
            self,
            evidence=self._evidence_with(found, window, masked, since),
            reached=self.reached | reached(trace),
            firsts={e.token.credentials: e for e in latest_first if e.token is not None},
            last_number=window[-1].number,
            unjudged=self.unjudged + max(0, window[0].number - 1 - self.last_number),
        )

    def _evidence_with(
        self,
        breaches: Iterable[Breach],
        shown: Sequence[Exchange],
        masked: Mask,
        since: int,
    ) -> Mapping[str, Evidence]:
        """The evidence and that of the breaches; one that ends by number ``since`` is known."""
        evidence = dict(self.evidence)
        for breach in breaches:
            known = evidence.get(breach.clause_id)
            if known is None:
                evidence[breach.clause_id] = _evidence(breach, shown, masked)
            elif max(breach.exchanges) > since:
                evidence[breach.clause_id] = replace(known, count=known.count + 1)
        return evidence


def _trace(exchanges: Iterable[Exchange]) -> Trace:
    by_number = {exchange.number: exchange for exchange in exchanges}
    return Trace(tuple(by_number[number] for number in sorted(by_number)))


def _evidence(breach: Breach, exchanges: Sequence[Exchange], masked: Mask) -> Evidence:
    shown = [e for e in exchanges if e.number in breach.exchanges]
    tokens = {e.token for e in shown if e.token is not None}
    story = [e for e in exchanges if e in shown or _issued(e) in tokens]
    asked = [e for e in shown if e.endpoint is Endpoint.TOKEN]
    return Evidence(
        what=masked(breach.in_words),
        exchanges=tuple(map(masked, timeline(story))),
        curl=curl(asked[0].request, masked) if asked else "",
    )


def _issued(exchange: Exchange) -> object:
    return exchange.token if exchange.endpoint is Endpoint.TOKEN else None
