"""Values of a broker as the control API shows them. Pure.

No token and no secret is shown in full.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Literal

from mockbroker.broker.clock import SupportsClock
from mockbroker.broker.conformance import is_binding
from mockbroker.broker.exchange_view import iso_time
from mockbroker.broker.faults import Fault
from mockbroker.broker.near_misses import Pattern, closest_to
from mockbroker.broker.observation import Evidence
from mockbroker.contract.catalogue import CATALOGUE, clause_named
from mockbroker.contract.clause import Level
from mockbroker.model.credentials import AccessToken, TokenState
from mockbroker.model.exchange import Exchange
from mockbroker.model.exchange_text import describe
from mockbroker.model.masking import Mask, mask_parameters
from mockbroker.model.profile import Profile
from mockbroker.server.control.controlled import ControlledBroker
from mockbroker.server.control.fault_body import body_of
from mockbroker.server.control.live_page import page_url
from mockbroker.server.control.values import (
    BreachedClause,
    ClockView,
    Closest,
    Conformance,
    Counts,
    FaultsView,
    Overview,
    ScriptedFault,
    SettingsView,
    TokenAnswerBody,
    TokenView,
)

__all__ = [
    "clock_view",
    "closest_views",
    "conformance_of",
    "faults_view",
    "overview_of",
    "settings_view",
    "token_view",
]

_Verdict = Literal["violated", "no-violation-seen", "nothing-tested"]

SHOWN_OF_TOKEN = 4
# A quarter at most: a mask of the broker recognises what is longer.
SHORTEST_SHOWN = 4 * SHOWN_OF_TOKEN
"""How many characters of a token are shown, and how long it must be for that."""


def overview_of(broker: ControlledBroker) -> Overview:
    """Return what the broker is, where its parts are, and how much it has seen."""
    return Overview(
        version=version("mockbroker"),
        profile=broker.profile.name,
        strict=broker.strict,
        token_url=broker.token_url,
        api_url=broker.api_url,
        ca_file=broker.ca_file,
        control_url=broker.control_url,
        openapi_url=f"{broker.control_url}/openapi.json",
        page_url=page_url(broker),
        now=broker.clock.now(),
        exchange_count=broker.journal.total,
        fault_count=sum(fault.count for fault in broker.scripted),
        api_fault_count=sum(fault.count for fault in broker.api_scripted),
    )


def clock_view(clock: SupportsClock) -> ClockView:
    """Return the time of a clock."""
    now = clock.now()
    return ClockView(now=now, iso=iso_time(now))


def token_view(token: AccessToken, state: TokenState, now: float) -> TokenView:
    """Return a token without its value; ``now`` is in Unix seconds."""
    value = token.value
    shown = value[:SHOWN_OF_TOKEN] if len(value) >= SHORTEST_SHOWN else ""
    left = max(0.0, token.expires_at - now) if state is TokenState.VALID else 0.0
    return TokenView(
        number=token.number,
        masked=f"{shown}…",
        client_id=token.credentials.client_id,
        scope=token.scope,
        state=state,
        issued_at=token.issued_at,
        expires_in=token.expires_in,
        seconds_left=left,
    )


def faults_view(broker: ControlledBroker) -> FaultsView:
    """Return the faults that wait for each endpoint."""
    return FaultsView(
        token=tuple(map(_scripted, broker.scripted)), api=tuple(map(_scripted, broker.api_scripted))
    )


def _scripted(fault: Fault) -> ScriptedFault:
    return ScriptedFault(description=fault.describe(), times=fault.count, fault=body_of(fault))


def settings_view(broker: ControlledBroker) -> SettingsView:
    """Return the settings of a broker."""
    answer = broker.token_answer
    return SettingsView(
        profile=broker.profile.name,
        expires_in=broker.expires_in,
        strict=broker.strict,
        token_policy=broker.token_policy,
        scope=broker.scope,
        agreed_paths=tuple(broker.agreed_paths),
        token_answer=TokenAnswerBody(
            members=dict(answer.members), omit=answer.omit, content_type=answer.content_type
        ),
        has_token_values=broker.token_values is not None,
    )


def closest_views(
    pattern: Pattern, exchanges: tuple[Exchange, ...], mask: Mask
) -> tuple[Closest, ...]:
    """Return the exchanges that come closest to a pattern, with their differences, masked."""

    def masked(text: str) -> str:
        return mask(mask_parameters(text))

    return tuple(
        Closest(
            number=exchange.number,
            request=masked(describe(exchange).partition("\n")[0]),
            differences=tuple(map(masked, pattern.differences(exchange))),
        )
        for exchange in closest_to(pattern, exchanges)
    )


def conformance_of(broker: ControlledBroker, fail_on: Level) -> Conformance:
    """Return what the traffic in the journal shows of each clause, so far."""
    observed = broker.observed()
    broken = tuple(
        _breached(name, each, broker.profile) for name, each in sorted(observed.breaches.items())
    )
    violated = tuple(each for each in broken if is_binding(each.clause, fail_on))
    passive = [clause.id for clause in CATALOGUE if clause.is_passive]
    known = observed.breaches.keys() | observed.never_reached.keys() | observed.inapplicable.keys()
    kept = tuple(name for name in passive if name not in known)
    not_tested = dict(observed.never_reached)
    verdict, conclusion = _conclusion(
        violated, kept, len(not_tested), asked=observed.tally.token_requests > 0
    )
    return Conformance(
        verdict=verdict,
        conclusion=conclusion,
        fail_on=fail_on,
        profile=broker.profile.name,
        seen=Counts(
            token_requests=observed.tally.token_requests,
            api_calls=observed.tally.api_calls,
            tokens=observed.tally.tokens,
        ),
        violated=violated,
        advice=tuple(each for each in broken if each not in violated),
        kept=kept,
        not_tested=not_tested,
        not_applicable=dict(observed.inapplicable),
        scenarios_needed=len(CATALOGUE) - len(passive),
    )


def _conclusion(
    violated: tuple[BreachedClause, ...], kept: tuple[str, ...], not_tested: int, *, asked: bool
) -> tuple[_Verdict, str]:
    """Return the verdict on what was seen, and one sentence on what it covers."""
    if violated:
        ids = ", ".join(each.clause for each in violated)
        return "violated", f"the traffic breaks {len(violated)} clauses: {ids}"
    if not asked:
        return "nothing-tested", "nothing was tested: the broker saw no token request"
    seen = f"no violation was seen in {len(kept)} clauses; the traffic did not test {not_tested}"
    return "no-violation-seen", f"{seen} others, and never shows that a client conforms"


def _breached(clause_id: str, evidence: Evidence, profile: Profile) -> BreachedClause:
    """Return a broken clause with its evidence, in the terms of the profile."""
    clause = clause_named(clause_id).for_profile(profile)
    return BreachedClause(
        clause=clause_id,
        level=clause.level,
        title=clause.title,
        what=evidence.what,
        count=evidence.count,
        fix=clause.fix,
        exchanges=evidence.exchanges,
    )
