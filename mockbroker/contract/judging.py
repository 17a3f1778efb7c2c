"""Judging messages and traces: from what was observed to the clauses that it breaks.

Pure functions. The broker rejects requests by them. Assertions and audits judge traffic by them,
and a contract run judges every test case by them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from mockbroker.contract import clauses
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import (
    ApiCallJudge,
    Clause,
    Flaw,
    TokenRequestJudge,
    TraceJudge,
)
from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.contract.hints import hint_for_api_call, hints_for_token_request
from mockbroker.contract.preconditions import ANY_TOKEN_REQUEST
from mockbroker.model.breach import Breach
from mockbroker.model.exchange import Exchange, Trace
from mockbroker.model.messages import Request
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = [
    "PASSIVE_CLAUSES",
    "TRACE_CLAUSES",
    "breaches_alone",
    "judge_api_call",
    "judge_together",
    "judge_token_request",
    "judge_trace",
    "met_preconditions",
    "unmet_preconditions",
]

PASSIVE_CLAUSES: tuple[Clause, ...] = tuple(clause for clause in CATALOGUE if clause.is_passive)
"""The clauses that can be judged from observed traffic alone."""

_API_CALL_JUDGES: tuple[tuple[Clause, ApiCallJudge], ...] = tuple(
    (clause, clause.judge) for clause in PASSIVE_CLAUSES if isinstance(clause.judge, ApiCallJudge)
)

TRACE_CLAUSES: tuple[Clause, ...] = tuple(
    clause for clause in PASSIVE_CLAUSES if isinstance(clause.judge, TraceJudge)
)
"""The passive clauses that need more than one message to be judged."""


def judge_token_request(request: TokenRequest, expected: TokenExpectation) -> tuple[Breach, ...]:
    """Return the breaches that the token request shows, each with its hints.

    Clauses that do not apply to the profile are left out. The strings may quote the request; mask
    them before they are shown.
    They are in the order of the catalogue.
    """
    hints: dict[str, tuple[str, ...]] = {}
    breaches: list[Breach] = []
    for clause, judge in _token_request_judges(expected.profile):
        for breach in _breaches(clause, judge.flaws(request, expected)):
            # Hints are searched for once for each chapter, and only if a clause of it is broken:
            # most requests are valid, and the broker judges each one.
            if clause.chapter not in hints:
                hints[clause.chapter] = hints_for_token_request(request, expected, clause.chapter)
            breaches.append(replace(breach, hints=hints[clause.chapter]))
    return tuple(breaches)


# Whether a clause applies depends on the profile only, of which a process serves a few.
@lru_cache(maxsize=64)
def _token_request_judges(profile: Profile) -> tuple[tuple[Clause, TokenRequestJudge], ...]:
    """Return the judges of token requests, with their clauses, that apply to a profile."""
    return tuple(
        (clause, clause.judge)
        for clause in PASSIVE_CLAUSES
        if isinstance(clause.judge, TokenRequestJudge) and not clause.applies_to(profile)
    )


def judge_api_call(request: Request, expected: ApiExpectation) -> tuple[Breach, ...]:
    """Return the breaches that a call to the API shows, each with a hint.

    The strings may quote the request; mask them before they are shown.
    They are in the order of the catalogue, and share one hint.
    """
    breaches = [
        breach
        for clause, judge in _API_CALL_JUDGES
        for breach in _breaches(clause, judge.flaws(request, expected))
    ]
    if not breaches:
        return ()
    hint = hint_for_api_call(request, expected)
    return tuple(replace(breach, hints=(hint,) if hint else ()) for breach in breaches)


def judge_trace(trace: Trace, profile: Profile | None = None) -> tuple[Breach, ...]:
    """Return the breaches of passive clauses: message by message, then those of the whole trace.

    The broker has judged each message on arrival, with the tokens and clients known at that time.
    See `judge_together` for the ``profile``.
    """
    alone = tuple(b for exchange in trace.exchanges for b in breaches_alone(exchange))
    return alone + judge_together(trace, profile)


def breaches_alone(exchange: Exchange) -> tuple[Breach, ...]:
    """Return the breaches that an exchange shows, whatever comes after it.

    They are those found on its arrival, except that a call was not signed: `judge_together` judges
    that, because the client may be waiting for the API to ask for a token.
    """
    # They are not judged again: tokens and clients may have changed since the message arrived.
    if not exchange.is_unsigned:
        return exchange.breaches
    return tuple(b for b in exchange.breaches if b.clause_id != clauses.signing.BEARER.id)


def _unanswered_challenges(trace: Trace) -> Iterator[Breach]:
    """Yield the breach of each unsigned call that the client gave up when it was refused."""
    answered = clauses.signing.answered_challenges(trace.exchanges)
    for exchange in trace.exchanges:
        if exchange.is_challenge and exchange.number not in answered:
            yield from (b for b in exchange.breaches if b.clause_id == clauses.signing.BEARER.id)


def judge_together(trace: Trace, profile: Profile | None = None) -> tuple[Breach, ...]:
    """Return the breaches that only several messages of a trace show together.

    Clauses that do not apply to the ``profile`` are left out, if it is given. The result depends on
    the trace besides, so a longer trace may show fewer breaches of a clause.
    """
    together = (
        breach
        for clause in TRACE_CLAUSES
        if profile is None or not clause.applies_to(profile)
        # Always true here: it narrows the type for the type checker.
        if isinstance(clause.judge, TraceJudge)
        for breach in _breaches(clause, clause.judge.flaws(trace))
    )
    return (*_unanswered_challenges(trace), *together)


def _breaches(clause: Clause, flaws: Iterable[Flaw]) -> Iterator[Breach]:
    """Yield a breach of the clause for each flaw, without a hint."""
    for flaw in flaws:
        yield Breach(clause.id, flaw.what, flaw.expected, exchanges=flaw.exchanges)


def met_preconditions(trace: Trace, profile: Profile) -> frozenset[Clause]:
    """Return the passive clauses whose precondition the trace meets.

    Only these are known to be kept if no breach was found.
    """
    return frozenset(
        clause
        for clause in PASSIVE_CLAUSES
        if not clause.applies_to(profile)
        and clause.precondition is not None
        and clause.precondition.is_met(trace)
    )


def unmet_preconditions(met: Collection[str], profile: Profile) -> dict[str, str]:
    """Return the reason why each passive clause whose id is not in ``met`` was not judged.

    Clauses that do not apply to the profile are left out.
    """
    lacks = {}
    for clause in PASSIVE_CLAUSES:
        # For the type checker: `Clause` itself rejects a judge without a precondition.
        assert clause.precondition is not None, "a passive clause has a precondition"
        if clause.id not in met and not clause.applies_to(profile):
            # Without any traffic each clause has the same reason, so that a report names it once.
            lack = clause.precondition.lack if met else ANY_TOKEN_REQUEST.lack
            lacks[clause.id] = f"never reached: {lack}"
    return lacks
