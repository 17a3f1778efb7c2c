"""Scenarios: planned events of a broker, as a TOML file describes them. Pure, but for the file.

Each event has one condition, and an action. `mockbroker.broker.scenario_plan` says which events are
due.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal, Union

from msgspec import Meta, Struct

from mockbroker.broker.clock import LAST_MOMENT
from mockbroker.broker.profiles import ConfigError, read_toml
from mockbroker.model.type_words import did_you_mean
from mockbroker.model.typed_reading import ReadingError, read

__all__ = [
    "AdvanceClock",
    "Errors",
    "Event",
    "ExpireTokens",
    "Lifetime",
    "Outage",
    "PlannedEvent",
    "RevokeTokens",
    "RotateSecret",
    "Scenario",
    "load_scenario",
]

_COUNT = Meta(description="an integer, 0 or more")
_REQUESTS = Meta(description="an integer, 1 or more")
_TEXT = Meta(description="a string that is not empty")
_SECONDS = Meta(description="a finite number of seconds, 0 or more")
# Finite, because TOML also has inf and nan.
_Seconds = Annotated[float, Meta(ge=0, le=sys.float_info.max), _SECONDS]
_Advance = Annotated[
    float,
    Meta(ge=0, le=LAST_MOMENT, description="a number of seconds, up to the year 9999"),
]
_Percent = Annotated[
    float, Meta(gt=0, le=100, description="a number of percent, above 0 and at most 100")
]
_ErrorStatus = Annotated[int, Meta(ge=400, le=599, description="a status from 400 to 599")]
_NonEmpty = Annotated[str, Meta(min_length=1), _TEXT]
# Those of keys that may be left out. They are described as a whole: TOML has no null.
_Count = Annotated[Union[Annotated[int, Meta(ge=0)], None], _COUNT]
_Requests = Annotated[Union[Annotated[int, Meta(ge=1)], None], _REQUESTS]
_OptionalSeconds = Annotated[Union[_Seconds, None], _SECONDS]
_OptionalText = Annotated[Union[_NonEmpty, None], _TEXT]
_EndpointName = Literal["token", "api"]


class PlannedEvent(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the events: the condition. Exactly one of its fields is given.

    An event with ``after_token_requests = 3`` happens before the fourth token request is answered.
    ``after_seconds`` count by the broker's clock, from the moment it began to serve.
    """

    after_token_requests: _Count = None
    after_api_calls: _Count = None
    after_seconds: _OptionalSeconds = None


class Outage(PlannedEvent, frozen=True, tag_field="action", tag="outage"):
    """An endpoint answers with an error, for a number of requests or of seconds.

    ``retry_after`` is the value of the header field Retry-After, in seconds.
    """

    endpoint: _EndpointName = "token"
    status: _ErrorStatus = 503
    retry_after: _Count = None
    requests: _Requests = None
    seconds: _OptionalSeconds = None


class Errors(PlannedEvent, frozen=True, tag_field="action", tag="errors"):
    """A share of the requests to an endpoint is answered with an error, from now on.

    Without ``seconds`` it lasts until the broker ends.
    """

    percent: _Percent
    endpoint: _EndpointName = "token"
    status: _ErrorStatus = 503
    retry_after: _Count = None
    seconds: _OptionalSeconds = None


class RotateSecret(PlannedEvent, frozen=True, tag_field="action", tag="rotate-secret"):
    """A client gets another secret; it is the first client unless another one is named."""

    secret: _NonEmpty
    client: _OptionalText = None


class RevokeTokens(PlannedEvent, frozen=True, tag_field="action", tag="revoke-tokens"):
    """Every token issued so far is revoked."""


class ExpireTokens(PlannedEvent, frozen=True, tag_field="action", tag="expire-tokens"):
    """Every token issued so far expires, earlier than its client expects."""


class Lifetime(PlannedEvent, frozen=True, tag_field="action", tag="lifetime"):
    """Tokens have another lifetime from now on."""

    expires_in: _Seconds


class AdvanceClock(PlannedEvent, frozen=True, tag_field="action", tag="advance-clock"):
    """The broker's clock moves forward; the client's clock stays."""

    seconds: _Advance


Event = Union[Outage, Errors, RotateSecret, RevokeTokens, ExpireTokens, Lifetime, AdvanceClock]
_Events = Annotated[list[Event], Meta(min_length=1, description="one [[events]] or more")]

_CONDITIONS = tuple(PlannedEvent.__struct_fields__)


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The planned events, in the order of their file.

    The ``seed`` decides which requests a share of errors concerns.
    """

    events: _Events
    seed: int = 0


def load_scenario(path: Path, client_ids: Collection[str]) -> Scenario:
    """Return the scenario that a TOML file describes, for a broker with these clients.

    Raises ConfigError, with a message of one sentence, if the file cannot be read, is not valid
    TOML, or has an invalid event.
    """
    try:
        scenario = read(read_toml(path), Scenario, str(path))
    except ReadingError as error:
        raise ConfigError(str(error)) from error
    for index, event in enumerate(scenario.events):
        problem = _problem(event, client_ids)
        if problem:
            raise ConfigError(f"{path}: events[{index}]{problem}")
    return scenario


def _problem(event: Event, client_ids: Collection[str]) -> str:
    """Return what the types of the fields do not show to be wrong; empty if nothing is."""
    conditions = [name for name in _CONDITIONS if getattr(event, name) is not None]
    if len(conditions) > 1:
        return f": {' and '.join(conditions)} contradict each other; keep one"
    if not conditions:
        return f": the condition is missing; add one of {', '.join(_CONDITIONS)}"
    if isinstance(event, Outage) and (event.requests is None) == (event.seconds is None):
        what = "has no end; add" if event.requests is None else "has two ends; keep"
        return f": the outage {what} either requests or seconds"
    # RFC 7617, 2: a colon would end the id. Any secret is allowed.
    if isinstance(event, RotateSecret) and event.client not in (None, *client_ids):
        return f".client: unknown client {event.client!r}" + (
            did_you_mean(str(event.client), client_ids)
            if client_ids
            else "; give it to the broker by --client, or leave the key out for the random client"
        )
    return ""
