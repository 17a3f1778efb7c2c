"""The words of a profile's conventions, of which titles and advice of clauses are made."""

from __future__ import annotations

import json

from mockbroker.model.profile import ErrorForm, Profile, Quota

__all__ = [
    "argument_for",
    "body_in_words",
    "has_error_code",
    "quota_in_words",
    "refused_token",
    "separator_in_words",
    "token_header",
]

_LONGEST_BODY = 60


def body_in_words(profile: Profile) -> str:
    """Return the place of the parameters of a token request."""
    return {
        "form": "a form-encoded body",
        "json": "a JSON body",
        "query": "the query of the URL",
    }[profile.body]


def argument_for(profile: Profile) -> str:
    """Return by which argument HTTP libraries of Python take parameters for that place."""
    name = {"form": "data", "json": "json", "query": "params"}[profile.body]
    return f"`{name}={{…}}` in requests and httpx"


def quota_in_words(quota: Quota) -> str:
    """Return a quota, such as "100 in an hour"."""
    periods: dict[float, str] = {1: "a second", 60: "a minute", 3600: "an hour", 86400: "a day"}
    period = periods.get(quota.period_seconds, f"{quota.period_seconds:g} s")
    return f"{quota.requests} in {period}"


def separator_in_words(profile: Profile) -> str:
    """Return what stands between two values of a scope."""
    names = {" ": "a space", ",": "a comma", ";": "a semicolon", "|": "a vertical bar"}
    return names.get(profile.scope_separator, repr(profile.scope_separator))


def token_header(profile: Profile) -> str:
    """Return the header field that carries the token of a call."""
    return f"{profile.api_header}: {profile.api_scheme} <token>".replace(":  ", ": ")


def refused_token(profile: Profile) -> str:
    """Return how the API answers a call with a revoked token: the status, and what is in it."""
    form = profile.error_form("token_invalid")
    if form is None:
        return "401 invalid_token"
    body = " ".join(form.example().split())
    cut = body if len(body) <= _LONGEST_BODY else f"{body[: _LONGEST_BODY - 1]}…"
    return f"{form.status} {cut}"


def has_error_code(form: ErrorForm) -> bool:
    """Return whether an error response has the member ``error`` of RFC 6749, 5.2."""
    try:
        members = json.loads(form.example())
    except ValueError:
        return False
    return isinstance(members, dict) and isinstance(members.get("error"), str)
