"""How a scenario ends when the client, or what drives it, cannot go on."""

from __future__ import annotations

from typing import Any

__all__ = [
    "ClientCrashed",
    "DriverFailed",
    "NotApplicable",
    "NotTested",
    "ResourcesExhausted",
    "ScenarioEnded",
]


class ScenarioEnded(Exception):  # noqa: N818 - an outcome of a scenario, no error of the program
    """Base of everything by which a scenario ends other than by passing.

    ``drawn`` is the example that led to it, or None if none was drawn. ``is_costly`` if to come
    to it again takes so long that no simpler way is looked for.
    """

    drawn: Any = None
    is_costly = False


class ResourcesExhausted(Exception):  # noqa: N818 - an event
    """The judging process ran out of something; what the client did meanwhile says nothing."""


class ClientCrashed(ScenarioEnded):
    """The client, or what drives it, died."""


class DriverFailed(ScenarioEnded):
    """What drives the client broke the protocol, which says nothing of the client."""

    is_costly = True


class NotTested(ScenarioEnded):
    """The clause could not be judged; the text says what stood in the way."""


class NotApplicable(ScenarioEnded):
    """The client declares that it lacks what the clause is about."""
