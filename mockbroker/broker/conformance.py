"""Asserting that observed traffic keeps the contract."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.clause import Level
from mockbroker.contract.judging import judge_trace, met_preconditions, unmet_preconditions
from mockbroker.model.breach import Breach
from mockbroker.model.exchange import Endpoint, Exchange, Trace
from mockbroker.model.masking import Mask, describe
from mockbroker.model.profile import Profile

__all__ = ["Tally", "assert_conforms", "breaches_at", "is_binding", "timeline"]

BINDING = (Level.MUST, Level.SHOULD, Level.MAY, Level.PRACTICE)


@dataclass(frozen=True, slots=True)
class Tally:
    """How much was seen; ``tokens`` are those issued."""

    token_requests: int = 0
    api_calls: int = 0
    tokens: int = 0

    def plus(self, exchange: Exchange) -> Tally:
        """The tally with one exchange more."""
        asked = exchange.endpoint is Endpoint.TOKEN
        return Tally(
            self.token_requests + asked,
            self.api_calls + (exchange.endpoint is Endpoint.API),
            self.tokens + (asked and exchange.token is not None),
        )

    def __str__(self) -> str:
        counted = {
            "token request": self.token_requests,
            "API call": self.api_calls,
            "token": self.tokens,
        }
        return ", ".join(f"{n} {name}" + ("s" if n != 1 else "") for name, n in counted.items())


def is_binding(clause_id: str, fail_on: Level) -> bool:
    """Whether the clause is at least as binding as ``fail_on``."""
    return BINDING.index(clause_named(clause_id).level) <= BINDING.index(Level(fail_on))


def breaches_at(trace: Trace, fail_on: Level) -> tuple[Breach, ...]:
    """The breaches in a trace of clauses at least as binding as ``fail_on``."""
    return tuple(b for b in judge_trace(trace) if is_binding(b.clause_id, fail_on))


def assert_conforms(
    trace: Trace,
    fail_on: Level,
    profile: Profile,
    mask: Mask,
) -> None:
    """Assert that a trace breaks no clause as binding as ``fail_on``, and shows something.

    ``mask`` takes secrets out of what is said.
    """
    __tracebackhide__ = True
    if not trace.token_requests:
        raise AssertionError(
            f"nothing to judge: the broker saw no token request (seen: {_tally(trace)})"
        )
    breaches = breaches_at(trace, fail_on)
    if breaches:
        raise AssertionError(mask(_story(trace, breaches, profile)))
    forgotten = _forgotten(trace)
    if forgotten:
        advice = "Broker(journal_size=…, journal_bytes=…) sets how many are remembered"
        warnings.warn(f"{forgotten}: {advice}", stacklevel=3)


def _tally(trace: Trace) -> Tally:
    tally = Tally()
    for exchange in trace.exchanges:
        tally = tally.plus(exchange)
    return tally


def _story(trace: Trace, breaches: tuple[Breach, ...], profile: Profile) -> str:
    shown = {number for breach in breaches for number in breach.exchanges}
    lines = [f"{_level(b)} {b}" for b in breaches]
    traffic = timeline(e for e in trace.exchanges if e.number in shown)
    count = f"{len(breaches)} breach" + ("es" if len(breaches) > 1 else "")
    told = {breach.clause_id for breach in breaches}
    met = {clause.id for clause in met_preconditions(trace, profile)}
    return "\n".join(
        [
            f"the client breaks the contract ({count}):",
            *lines,
            "",
            *traffic,
            "",
            "; ".join(filter(None, (f"seen: {_tally(trace)}", _forgotten(trace)))),
            *_grouped(unmet_preconditions(met | told, profile)),
        ]
    )


def _forgotten(trace: Trace) -> str:
    before = trace.exchanges[0].number - 1
    were = "exchange before was" if before == 1 else "exchanges before were"
    return f"{before} {were} forgotten, and not judged" if before else ""


def _grouped(reasons: Mapping[str, str]) -> list[str]:
    """The reasons, each with the clauses that it holds for."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for clause_id, reason in reasons.items():
        by_reason[reason].append(clause_id)
    return [f"{', '.join(ids)}: {reason}" for reason, ids in by_reason.items()]


def timeline(exchanges: Iterable[Exchange]) -> tuple[str, ...]:
    """Each exchange in words, with how many seconds after the first one it came."""
    told = tuple(exchanges)
    return tuple(f"+{e.received_at - told[0].received_at:.2f} s  {describe(e)}" for e in told)


def _level(breach: Breach) -> str:
    return clause_named(breach.clause_id).level.value
