"""Asserting that observed traffic keeps the contract."""

from __future__ import annotations

from collections.abc import Collection

from mockbroker.spec.catalogue import clause
from mockbroker.spec.clause import Breach, Level
from mockbroker.spec.credentials import Credentials
from mockbroker.spec.exchange import Trace
from mockbroker.spec.judges import judge_trace
from mockbroker.spec.masking import describe, mask

__all__ = ["assert_conforms", "breaches_at"]

BINDING = (Level.MUST, Level.SHOULD, Level.MAY, Level.PRACTICE)


def breaches_at(trace: Trace, fail_on: Level) -> tuple[Breach, ...]:
    """The breaches in a trace of clauses at least as binding as ``fail_on``."""
    counted = BINDING[: BINDING.index(Level(fail_on)) + 1]
    return tuple(b for b in judge_trace(trace) if clause(b.clause_id).level in counted)


def assert_conforms(
    trace: Trace,
    fail_on: Level,
    credentials: tuple[Credentials, ...],
    token_values: Collection[str],
) -> None:
    """Assert that a trace breaks no clause as binding as ``fail_on``, and shows something."""
    __tracebackhide__ = True
    if not trace.token_requests:
        raise AssertionError("nothing to judge: the broker saw no token request")
    breaches = breaches_at(trace, fail_on)
    if breaches:
        raise AssertionError(mask(_story(trace, breaches), credentials, token_values))


def _story(trace: Trace, breaches: tuple[Breach, ...]) -> str:
    shown = {number for breach in breaches for number in breach.exchanges}
    lines = [f"{_level(b)} {b}" for b in breaches]
    traffic = [describe(e) for e in trace.exchanges if e.number in shown]
    count = f"{len(breaches)} breach" + ("es" if len(breaches) > 1 else "")
    return "\n".join([f"the client breaks the contract ({count}):", *lines, "", *traffic])


def _level(breach: Breach) -> str:
    return clause(breach.clause_id).level.value
