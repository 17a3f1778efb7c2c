"""The form of a provider's token response, and the words that its templates may have."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from mockbroker.broker.clock import LAST_MOMENT
from mockbroker.model.profile import Answer, Profile
from mockbroker.model.profile_parts import RFC3339
from mockbroker.model.profile_placeholders import filled_text

__all__ = [
    "AnswerForm",
    "drop_member",
    "error_words",
    "form_of",
    "member_at",
    "moment_words",
    "put_member",
]


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
        return {name: _with_lists(value) for name, value in made.items()}

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
        expires_at = min(self.now + seconds, LAST_MOMENT)
        if self.answer.lifetime == "rfc3339":
            return _date(expires_at, self.answer.date_format)
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
        "now_rfc3339": _date(now, RFC3339),
    }


def error_words(now: float) -> dict[str, str]:
    """Return the words for the body of an error that do not depend on the request."""
    return {**moment_words(now), "uuid": str(uuid.uuid4())}


def _date(moment: float, form: str) -> str:
    """Return a time in Unix seconds as a date in UTC, in whole seconds."""
    # A test may have moved its clock to a year that has no date.
    within = max(0, min(int(moment), LAST_MOMENT))
    return datetime.fromtimestamp(within, timezone.utc).strftime(form)


def put_member(members: dict[str, Any], path: Sequence[str], value: object) -> None:
    """Set a member of a JSON object, or of the objects in it that its path leads through.

    Objects that are missing are made. Items of lists are changed, and none is added.
    """
    *parents, name = path
    place: Any = members
    for each in parents:
        if isinstance(place, dict) and not isinstance(_inner(place, each), (dict, list)):
            place[each] = {}
        place = _inner(place, each)
    if isinstance(place, dict):
        place[name] = value


def drop_member(members: dict[str, Any], path: Sequence[str]) -> None:
    """Remove a member of a JSON object, if it is there; see `put_member`."""
    *parents, name = path
    place: Any = members
    for each in parents:
        place = _inner(place, each)
    if isinstance(place, dict):
        place.pop(name, None)


def _inner(place: object, name: str) -> object:
    """Return what an object or a list has at a name or a number; None for nothing."""
    if isinstance(place, list):
        return dict(enumerate(place)).get(int(name)) if name.isdigit() else None
    return place.get(name) if isinstance(place, dict) else None


def _with_lists(value: object) -> object:
    """Return a list for an object whose names are 0, 1, and so on, also within another one."""
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(each) for name, each in value.items()}
    is_list = [*inner] == [str(number) for number in range(len(inner))]
    return [*inner.values()] if is_list else inner


def member_at(document: object, path: str) -> object:
    """Return the member of a JSON document at a path such as ``data.0.token``; None without one."""
    for name in path.split("."):
        document = _inner(document, name)
    return document
