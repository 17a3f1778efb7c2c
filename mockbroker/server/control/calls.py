"""A control request on its way: what its route reads of it, and what it answers.

`routes` has the table of routes. The modules `*_calls` have the functions that carry them out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mockbroker.model.messages import Request
from mockbroker.model.profile import Profile
from mockbroker.server.control.controlled import ControlledBroker
from mockbroker.server.control.watching import Watchers

__all__ = ["Call", "Result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A control request, read; ``query`` and ``body`` are of the types that its route names.

    ``path`` has the parameters of the path. ``find_profile`` returns the profile of a name.
    """

    broker: ControlledBroker
    watchers: Watchers
    request: Request
    path: Mapping[str, str]
    query: Any
    body: Any
    find_profile: Callable[[str], Profile]


@dataclass(frozen=True, slots=True)
class Result:
    """An answer with another status than the usual one of its route."""

    status: int
    value: Any
