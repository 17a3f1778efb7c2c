"""Judges: pure functions from what was seen to the clauses that it breaks, a file a chapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.contract.hints import hint_for_api_call, hint_for_token_request
from mockbroker.contract.judges.basic import judge_basic, recognise
from mockbroker.contract.judges.cache import judge_reuse
from mockbroker.contract.judges.errors import judge_hammering
from mockbroker.contract.judges.refresh import judge_expiry, judge_grant
from mockbroker.contract.judges.request import judge_request
from mockbroker.contract.judges.signing import judge_signing
from mockbroker.contract.judges.witnesses import WITNESSES, never_reached, reached
from mockbroker.model.breach import Breach
from mockbroker.model.exchange import Trace
from mockbroker.model.messages import Request

__all__ = [
    "MESSAGE_CLAUSES",
    "PASSIVE_CLAUSES",
    "TRACE_JUDGES",
    "WITNESSES",
    "ApiExpectation",
    "TokenExpectation",
    "judge_api_call",
    "judge_course",
    "judge_token_request",
    "judge_trace",
    "never_reached",
    "reached",
    "recognise",
]

TRACE_JUDGES: Mapping[str, Callable[[Trace], Iterator[Breach]]] = {
    "cache.reuse": judge_reuse,
    "refresh.honours-expires-in": judge_expiry,
    "refresh.same-grant": judge_grant,
    "errors.no-hammering": judge_hammering,
}
"""The passive clauses that need more than one message to be judged."""

PASSIVE_CLAUSES = frozenset(clause.id for clause in CATALOGUE if clause.passive)
"""The clauses that can be judged from observed traffic alone."""

MESSAGE_CLAUSES = PASSIVE_CLAUSES - TRACE_JUDGES.keys()
"""The passive clauses that a single message shows."""


def judge_token_request(request: Request, expectation: TokenExpectation) -> tuple[Breach, ...]:
    """Every clause of the chapters ``request`` and ``basic`` that the request breaks."""
    breaches = (*judge_request(request, expectation), *judge_basic(request, expectation))
    hints = {
        chapter: hint_for_token_request(request, expectation, chapter)
        for chapter in {_chapter_of(breach) for breach in breaches}
    }
    return tuple(replace(breach, hint=hints[_chapter_of(breach)]) for breach in breaches)


def _chapter_of(breach: Breach) -> str:
    return breach.clause_id.partition(".")[0]


def judge_api_call(request: Request, expectation: ApiExpectation) -> tuple[Breach, ...]:
    """Every passive clause of the chapter ``signing`` that the call breaks."""
    breaches = tuple(judge_signing(request, expectation))
    return _with_hint(breaches, hint_for_api_call(request, expectation)) if breaches else ()


def judge_trace(trace: Trace) -> tuple[Breach, ...]:
    """Every passive clause that the trace breaks: message by message, then as a whole."""
    seen = tuple(breach for exchange in trace.exchanges for breach in exchange.breaches)
    return seen + judge_course(trace)


def judge_course(trace: Trace) -> tuple[Breach, ...]:
    """Every passive clause that the messages of a trace break together."""
    return tuple(breach for judge in TRACE_JUDGES.values() for breach in judge(trace))


def _with_hint(breaches: tuple[Breach, ...], hint: str) -> tuple[Breach, ...]:
    return tuple(replace(breach, hint=hint) for breach in breaches)
