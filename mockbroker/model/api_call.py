"""Calls to an API as they are judged: the token in a header field, also if it is in the URL."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote, unquote_plus

from mockbroker.model.messages import Headers, Request
from mockbroker.model.profile import Profile

__all__ = ["carrier_of", "judged_call"]


def judged_call(request: Request, profile: Profile) -> Request:
    """Return the call with the token in a header field, where the profile has it in the URL.

    The field has the name of the parameter, and the URL has the parameter no longer. A call is
    returned as it is for other profiles.
    """
    name = profile.api_query
    if not name:
        return request
    path, _, query = request.target.partition("?")
    kept, values = [], []
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if unquote(key) == name:
            values.append((name, unquote_plus(value)))
        else:
            kept.append(part)
    target = "?".join(filter(None, (path, "&".join(kept))))
    return replace(request, target=target, headers=Headers((*request.headers, *values)))


def carrier_of(request: Request, profile: Profile) -> str | None:
    """Return the header field or the parameter of a call that has the token; None without it."""
    name = profile.api_query or profile.api_header
    return judged_call(request, profile).headers.get(name)
