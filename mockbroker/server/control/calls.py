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
from mockbroker.server.control.reading import RequestError
from mockbroker.server.control.watching import Watchers

__all__ = ["Call", "Result", "refuse_if_shared"]


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


def refuse_if_shared(call: Call, what: str, advice: str) -> None:
    """Raise RequestError with status 409 if other processes answer requests as well.

    ``what`` is what each of them has of its own, which this request would change in one of them.
    """
    if call.broker.shares_state:
        message = (
            f"each process that shares the state has {what} of its own, and this request reaches "
            f"one of them; {advice}"
        )
        raise RequestError(409, "shared-state", message)
