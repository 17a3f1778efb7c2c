"""What differs between one client-credentials provider and the next, as data."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal, cast

__all__ = ["AUTOGRAB", "PROFILES", "RFC6749", "Profile", "lifetime_problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a provider's token endpoint and API look.

    ``expires_in`` is in seconds. ``scope`` is what the answer says; False omits the member.
    ``client_authentication`` names the methods that the broker accepts, ``basic`` and ``post``
    (client_id and client_secret in the body, RFC 6749, 2.3.1). ``basic_encoding`` is ``raw`` (id
    and secret go into Basic as they are) or ``form`` (each is form-urlencoded first, same section).
    """

    name: str
    token_path: str = "/auth-broker/request-token"  # noqa: S105 - a path, no password
    client_authentication: tuple[str, ...] = ("basic",)
    basic_encoding: Literal["raw", "form"] = "raw"
    expires_in: float = 3599
    scope: str | Literal[False] = ""
    token_format: Literal["opaque", "jwt"] = "opaque"  # noqa: S105 - a format, no password
    api_prefix: str = "/v2"


def lifetime_problem(value: object) -> str:
    """What is wrong with a lifetime in seconds, empty if nothing."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and 0 <= cast("float", value) <= sys.float_info.max:
        return ""
    return f"expires_in must be a finite number of seconds, 0 or more, not {value!r}"


AUTOGRAB = Profile(name="autograb")
RFC6749 = Profile(name="rfc6749", token_path="/token", basic_encoding="form", expires_in=3600)  # noqa: S106

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (AUTOGRAB, RFC6749)}
"""The profiles that ship, by name."""
