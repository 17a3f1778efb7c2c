"""The guard of the control API: which requests may control a broker. Pure.

A broker listens on the developer's machine, where any web page can send it requests. So the guard
refuses what a browser sends for a page of another site, and whatever names the broker by a domain
that the page may have pointed to this machine (DNS rebinding). No response allows cross-origin
reading.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass, replace

from mockbroker.model.credentials import same_text
from mockbroker.model.escaping import printable
from mockbroker.model.messages import Headers
from mockbroker.model.type_words import shortened

__all__ = [
    "TOKEN_HEADER",
    "ControlAccess",
    "Denial",
    "denial_of",
    "host_problem",
    "page_denial_of",
    "random_control_token",
]

TOKEN_HEADER = "X-Mockbroker-Token"  # noqa: S105 - a header field, not a token
# A host in brackets is an IPv6 address (RFC 3986, 3.2.2).
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_NAME = re.compile(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?")
# What a browser sends for its user's own navigation, and for a page of the broker itself. "same-
# site" is a page on another port of this machine, or of another host below the same domain.
_OWN_SITES = {"same-origin", "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlAccess:
    """The requests that a control API accepts: for which hosts, and with which token.

    ``allowed_hosts`` are names or addresses, without a port, by which clients may call it besides
    those of this machine. A ``token`` of None means that none is needed.
    """

    allowed_hosts: tuple[str, ...] = ()
    token: str | None = None

    def with_token(self) -> ControlAccess:
        """Return the same access with a random token, unless there is a token already."""
        return self if self.token else replace(self, token=random_control_token())


def random_control_token() -> str:
    """Return a new token of 192 bits."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request is refused: a status, a code for programs, and a sentence."""

    status: int
    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()


def host_problem(name: str) -> str:
    """Return what is wrong with a name for ``allowed_hosts``; empty if it is valid."""
    if _NAME.fullmatch(name):
        return ""
    return f"{name!r} is not a host name or an address; write it without scheme, port and path"


def denial_of(headers: Headers, scheme: str, access: ControlAccess) -> Denial | None:
    """Return why a request with these headers may not control a broker; None if it may.

    ``scheme`` is that of the server, http or https.
    """
    return (
        _other_host(headers, access)
        or _cross_site(headers, scheme)
        or _without_token(headers, access)
    )


def page_denial_of(headers: Headers, scheme: str, access: ControlAccess) -> Denial | None:
    """Return why a request with these headers may not load a file of the live page, or None.

    It needs no token: the files have no data, and the page asks for the token. A link on a page of
    another site may open it, but such a page cannot embed a file of it.
    """
    is_opened = headers.get("Sec-Fetch-Dest") == "document"
    return _other_host(headers, access) or (None if is_opened else _cross_site(headers, scheme))


def _other_host(headers: Headers, access: ControlAccess) -> Denial | None:
    """Return why the request names a host that the user has not allowed, or None."""
    host = _host_of(headers)
    name = _name_in(host)
    if name is not None and (_is_this_machine(name) or _is_allowed(name, access)):
        return None
    shown = shortened(printable(host)) or "no single host"
    return Denial(
        403,
        "host",
        f"the request names {shown!r} as its host, which may be a page that has pointed its "
        "own domain to this machine; call the broker by 127.0.0.1 or localhost, or start it "
        "with --allow-host NAME",
    )


def _host_of(headers: Headers) -> str:
    """Return the value of the Host field, empty unless there is exactly one."""
    hosts = headers.get_all("Host")
    # RFC 9112, 3.2: a server must reject a request with several, or without one.
    return hosts[0] if len(hosts) == 1 else ""


def _name_in(host: str) -> str | None:
    """Return the name or address in a Host field, in lower case; None if the field is malformed."""
    found = _HOST.fullmatch(host)
    return found["name"].lower() if found else None


def _is_this_machine(name: str) -> bool:
    """Return whether a host is localhost, or a loopback address as browsers write it."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_allowed(name: str, access: ControlAccess) -> bool:
    """Return whether the user has allowed the host; brackets and case do not matter."""
    return name.strip("[]") in {each.strip("[]").lower() for each in access.allowed_hosts}


def _cross_site(headers: Headers, scheme: str) -> Denial | None:
    """Return why the request comes from a page of another site, or None."""
    own_origin = f"{scheme}://{_host_of(headers)}"
    # Browsers send Origin with each request that changes something, and Sec-Fetch-Site with every
    # request to this machine. Programs send neither.
    origins = headers.get_all("Origin")
    sites = headers.get_all("Sec-Fetch-Site")
    if all(each.lower() == own_origin.lower() for each in origins) and set(sites) <= _OWN_SITES:
        return None
    sender = shortened(printable(", ".join(origins or sites)))
    return Denial(
        403,
        "cross-site",
        f"the request comes from a web page of another site ({sender}), which may not control a "
        "broker; use a program such as curl, or a page that the broker serves itself",
    )


def _without_token(headers: Headers, access: ControlAccess) -> Denial | None:
    """Return why the request lacks the token, or None if it has it or none is needed."""
    if access.token is None:
        return None
    given = [*headers.get_all(TOKEN_HEADER), *map(_bearer, headers.get_all("Authorization"))]
    if any([same_text(each, access.token) for each in given]):  # noqa: C419 - compare all of them
        return None
    what = "has another token than" if any(given) else "lacks"
    return Denial(
        401,
        "token",
        f"the request {what} the control token, which the broker printed at its start; send it as "
        f"Authorization: Bearer TOKEN or {TOKEN_HEADER}: TOKEN",
        (("WWW-Authenticate", 'Bearer realm="mockbroker control API"'),),
    )


def _bearer(authorization: str) -> str:
    """Return the token of an Authorization field, empty if it has another scheme."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
