"""The events of a scenario in words, for the log of `serve` and for reports."""

from __future__ import annotations

from mockbroker.broker.scenario import (
    AdvanceClock,
    Errors,
    Lifetime,
    Outage,
    PlannedEvent,
    RevokeTokens,
    RotateSecret,
)
from mockbroker.broker.scenario_plan import Occurrence

__all__ = ["event_text", "outcome_text"]

_ENDPOINTS = {"token": "the token endpoint", "api": "the API"}


def outcome_text(occurrence: Occurrence) -> str:
    """Return the outcome of a planned event."""
    if not occurrence.happened:
        return "did not happen"
    if isinstance(occurrence.event, (Outage, Errors)):
        return f"{_counted(occurrence.requests, 'request')} answered so"
    return "happened"


def event_text(event: PlannedEvent) -> str:
    """Return the condition and the action of an event. It has no secret."""
    return f"{_condition(event)}: {_action(event)}"


def _condition(event: PlannedEvent) -> str:
    """Return when the event happens."""
    if event.after_token_requests:
        return f"after {_counted(event.after_token_requests, 'token request')}"
    if event.after_api_calls:
        return f"after {_counted(event.after_api_calls, 'API call')}"
    if event.after_seconds:
        return f"after {event.after_seconds:g} s"
    return "at the start"


def _action(event: PlannedEvent) -> str:
    """Return what the event does."""
    match event:
        case Outage(requests=None):
            return f"{_ENDPOINTS[event.endpoint]} answers {event.status} for {event.seconds:g} s"
        case Outage():
            which = "request" if event.requests == 1 else f"{event.requests} requests"
            return f"{_ENDPOINTS[event.endpoint]} answers {event.status} to the next {which}"
        case Errors():
            share = f"{event.percent:g} % of the requests to {_ENDPOINTS[event.endpoint]}"
            until = "" if event.seconds is None else f" for {event.seconds:g} s"
            return f"{share} get {event.status}{until}"
        case RotateSecret():
            client = "the first client" if event.client is None else f"client {event.client}"
            return f"{client} gets another secret"
        case Lifetime():
            return f"new tokens have a lifetime of {event.expires_in:g} s"
        case AdvanceClock():
            return f"the broker's clock moves forward by {event.seconds:g} s"
        case RevokeTokens():
            return "all tokens are revoked"
        case _:
            return "all tokens expire"


def _counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
