"""Steps of a reproduction that distinguish bugs that break the same clause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mockbroker.report.steps import AnswerChanged, OtherClientAdded, Step

__all__ = ["BUG_STEPS"]


def _adds_client_of_another_id(step: Step) -> bool:
    return isinstance(step, OtherClientAdded) and step.difference == "client_id"


def _sends_lifetime_as_string(step: Step) -> bool:
    return isinstance(step, AnswerChanged) and isinstance(step.members.get("expires_in"), str)


BUG_STEPS: Mapping[str, Callable[[Step], bool]] = MappingProxyType(
    {
        "client of another client_id": _adds_client_of_another_id,
        "lifetime as a string": _sends_lifetime_as_string,
    }
)
"""The predicates that recognise a step, by the name that an about.toml uses."""
