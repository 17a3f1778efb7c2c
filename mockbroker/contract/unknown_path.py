"""The likely mistake in a request to a path that no endpoint has. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from mockbroker.model.messages import Request
from mockbroker.model.profile import PROFILES, Profile
from mockbroker.model.token_request import TokenRequest

__all__ = ["KnownPaths", "hint_on_unknown_path"]

_NEAR = 0.6
_VERY_NEAR = 0.8
"""From which similarity on a path is taken for a misspelt one: difflib's default, and more for a
path that shares a word with others."""
_VERSION = re.compile(r"/v[0-9]+(?=/|\Z)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPaths:
    """Where a broker's endpoints are, below ``prefix``, which is empty or begins with a slash.

    ``control`` is the path of the control API.
    """

    profile: Profile
    prefix: str
    control: str


def hint_on_unknown_path(request: Request, known: KnownPaths) -> str:
    """Return what the client probably meant by a path that no endpoint has; empty if unclear.

    It names the broker's own paths and quotes nothing of the request.
    """
    path = request.path.removeprefix(known.prefix)
    token_path, api = known.profile.own_token_path, known.profile.api_prefix
    if path.startswith("/__") or _likeness(_first(path), known.control) > _VERY_NEAR:
        return f"the control API is below {known.prefix}{known.control}/"
    if path.startswith("/.well-known/"):
        return (
            f"profile {known.profile.name} has no such document; a table [metadata] of a profile "
            "has the broker publish some"
        )
    other = _profile_with(path, known.profile)
    if other:
        return (
            f"that is the token path of profile {other}; this broker has profile "
            f"{known.profile.name}, whose token path is {known.prefix}{token_path}"
        )
    if _means_token(request, path, known.profile):
        return _on_token_path(request, path, known)
    if _VERSION.match(path) and _VERSION.match(api):
        return f"the path has another version; the API is below {known.prefix}{api}/"
    if request.headers.get_all("Authorization"):
        return f"calls to the API have paths below {known.prefix}{api}/"
    return ""


def _on_token_path(request: Request, path: str, known: KnownPaths) -> str:
    """Return the hint for what seems to be a token request."""
    token_path, method = known.profile.own_token_path, known.profile.method
    wanted = known.prefix + token_path
    by_method = "" if request.method == method else f", which takes {method} only"
    if token_path.startswith(path.rstrip("/") + "/"):
        return f"the path ends too early; the path of the token URL is {wanted}{by_method}"
    return f"the nearest path is that of the token URL, {wanted}{by_method}"


def _means_token(request: Request, path: str, profile: Profile) -> bool:
    """Return whether a request to an unknown path seems to be one for a token."""
    asked, token_path = TokenRequest.of(request), profile.own_token_path
    own = profile.parameter_names
    usual = {"grant_type", "client_id", "client_secret", "client_assertion"}
    wanted = usual | {own.grant_type, own.client_id, own.client_secret}
    if wanted & (asked.names_in_body | asked.names_in_query):
        return True
    is_folder = len(path) > 1 and token_path.startswith(path.rstrip("/") + "/")
    return is_folder or _likeness(path, token_path) > _NEAR


def _profile_with(path: str, own: Profile) -> str:
    """Return the name of another shipped profile that has the token path; empty without one."""
    shipped = (each for each in PROFILES.values() if each.name != own.name)
    found = (each.name for each in shipped if each.has_token_path(path.rstrip("/")))
    return next(found, "")


def _likeness(path: str, wanted: str) -> float:
    """Return how alike two paths are, from 0 to 1."""
    # A longer one is another path. Comparing it would take long.
    if len(path) > 2 * len(wanted):
        return 0.0
    return SequenceMatcher(None, path.lower(), wanted).ratio()


def _first(path: str) -> str:
    """Return the first segment of a path with its slash."""
    return "/" + path.lstrip("/").partition("/")[0]
