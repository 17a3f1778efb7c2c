"""The form of a provider's token response, and the words that its templates may have."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from mockbroker.model.profile import Answer, Profile
from mockbroker.model.profile_placeholders import filled_text

__all__ = [
    "AnswerForm",
    "drop_member",
    "error_words",
    "form_of",
    "moment_words",
    "put_member",
]

_LATEST = 253_402_300_799
"""The last second of the year 9999, the latest that a date in RFC 3339 can name."""


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What a provider makes of the members of RFC 6749, 5.1.

    ``words`` replace the placeholders of further members; ``now`` is in Unix seconds.
    """

    answer: Answer
    words: Mapping[str, str]
    now: float

    def members(self, documented: Mapping[str, object]) -> dict[str, object]:
        """Return the members of the response, each at its place and in its form."""
        answer, made = self.answer, dict[str, object]()
        for name, value in documented.items():
            if name in answer.omit:
                continue
            formed = self._formed(name, value)
            is_number = isinstance(formed, (int, float)) and not isinstance(formed, bool)
            text = str(formed) if name in answer.strings and is_number else formed
            put_member(made, answer.paths.get(name, name).split("."), text)
        for path, value in answer.members.items():
            text = filled_text(value, self.words, str) if isinstance(value, str) else value
            put_member(made, path.split("."), text)
        return made

    def _formed(self, name: str, value: object) -> object:
        """Return a member in the provider's form."""
        if name == "scope" and self.answer.scope_list and isinstance(value, str):
            return value.split()
        if name != "expires_in" or self.answer.lifetime == "seconds":
            return value
        # A test may have set a lifetime of another type; that of a number in a string is kept.
        seconds = _seconds_in(value)
        if seconds is None:
            return value
        return str(self._lifetime(seconds)) if isinstance(value, str) else self._lifetime(seconds)

    def _lifetime(self, seconds: float) -> int | str:
        """Return a lifetime in the provider's form, which is not in seconds."""
        if self.answer.lifetime == "milliseconds":
            return int(seconds * 1000)
        expires_at = min(self.now + seconds, _LATEST)
        if self.answer.lifetime == "rfc3339":
            return _rfc3339(expires_at)
        return int(expires_at if self.answer.lifetime == "unix" else expires_at * 1000)


def _seconds_in(value: object) -> float | None:
    """Return a number of seconds, or that in a string; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


# A process serves a few profiles, and most answer as the RFC says.
@lru_cache(maxsize=64)
def form_of(profile: Profile) -> Answer | None:
    """Return the form of a profile's answers; None if it is that of RFC 6749, 5.1."""
    return None if profile.answer == Answer() else profile.answer


def moment_words(now: float) -> dict[str, str]:
    """Return a time in Unix seconds in the forms that templates may have."""
    return {
        "now": str(int(now)),
        "now_ms": str(int(now * 1000)),
        "now_rfc3339": _rfc3339(now),
    }


def error_words(now: float) -> dict[str, str]:
    """Return the words for the body of an error that do not depend on the request."""
    return {**moment_words(now), "uuid": str(uuid.uuid4())}


def _rfc3339(moment: float) -> str:
    """Return a time in Unix seconds as a date in UTC, in whole seconds."""
    # A test may have moved its clock to a year that has no date.
    within = max(0, min(int(moment), _LATEST))
    return datetime.fromtimestamp(within, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def put_member(members: dict[str, Any], path: Sequence[str], value: object) -> None:
    """Set a member of a JSON object, or of the objects in it that its path leads through."""
    *parents, name = path
    place = members
    for each in parents:
        if not isinstance(place.get(each), dict):
            place[each] = {}
        place = place[each]
    place[name] = value


def drop_member(members: dict[str, Any], path: Sequence[str]) -> None:
    """Remove a member of a JSON object, if it is there; see `put_member`."""
    *parents, name = path
    place: object = members
    for each in parents:
        place = place.get(each) if isinstance(place, dict) else None
    if isinstance(place, dict):
        place.pop(name, None)
