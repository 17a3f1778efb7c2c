"""Rules for single values of a profile that a declared type cannot express.

Each function returns what is wrong, without the place of the value; empty if the value is valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

__all__ = [
    "TOKEN",
    "date_format_problem",
    "header_name_problem",
    "path_problem",
    "renewal_problems",
    "required_header_problem",
    "status_problem",
    "token_shape_problem",
]

# RFC 9110, 5.6.2: the names of header fields and of schemes are tokens.
TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 - a pattern, not a password
_HEADER_NAME = re.compile(TOKEN)
_OF_CONNECTION = ("content-length", "host", "transfer-encoding")
"""The header fields that a client's HTTP library sets."""
_OWN_PATHS = ("/__mockbroker__", "/.well-known")
"""The paths below which the broker has its control API and its documents."""
# RFC 9110, 15.3.5 and 15.3.6, RFC 9112, 6.3.
_WITHOUT_BODY = (204, 205, 304)

# RFC 9110, 5.5: visible ASCII, without the delimiters that clients and servers split fields at.
_SHAPE = re.compile(r"(?:[A-Za-z0-9!#$%&'*+.^_`|~:/=-]|\{[0-9]{1,4}\})*")
_RANDOM = re.compile(r"\{([0-9]+)\}")
_LEAST_RANDOM = 22
"""Of 64 characters, so many have 128 bits (RFC 6749, 10.10)."""
_EXAMPLE = "such as 'acme_{32}'"

_DIRECTIVES = re.compile(r"%(.?)", re.DOTALL)
# Those that Python documents. Others depend on the platform, as does the flag in "%-d".
_KNOWN_DIRECTIVES = frozenset("aAwdbBmyYHIpMSfzZjUWcxXGuV%")


def date_format_problem(form: str) -> str:
    """Return why a string is not the form of a date, as `datetime.strftime` has it."""
    used = _DIRECTIVES.findall(form)
    for letter in used:
        if letter not in _KNOWN_DIRECTIVES:
            return f"unknown directive '%{letter}' in {form!r}"
    if not {*used} - {"%"}:
        return f"expected a form of a date such as '%Y-%m-%d', got {form!r}"
    return ""


def token_shape_problem(shape: str, token_format: str) -> str:
    """Return why tokens cannot have a shape such as ``acme_{32}``; an empty one has none."""
    if not shape:
        return ""
    if token_format != "opaque":  # noqa: S105 - a format, not a password
        return f"a token in the format {token_format!r} has no other shape; remove one of both"
    if not _SHAPE.fullmatch(shape):
        return f"expected visible characters and numbers in braces, {_EXAMPLE}, got {shape!r}"
    random = sum(map(int, _RANDOM.findall(shape)))
    if random < _LEAST_RANDOM:
        return f"expected {_LEAST_RANDOM} or more random characters, {_EXAMPLE}, got {random}"
    return ""


def header_name_problem(name: str) -> str:
    """Return why a string is not the name of a header field."""
    return "" if _HEADER_NAME.fullmatch(name) else f"{name!r} is not the name of a header field"


def required_header_problem(name: str, own: Mapping[str, str]) -> str:
    """Return why a header field cannot be one that a request has besides its own.

    ``own`` are the request's own fields, in lower case, with where each comes from.
    """
    if name.lower() in own:
        return f"{name!r} comes from {own[name.lower()]}; remove it"
    if name.lower() in _OF_CONNECTION:
        return f"{name!r} is set by the client's HTTP library; choose another field"
    return header_name_problem(name)


def renewal_problems(
    policy: str, *, renewal_seconds: float, overlap_seconds: float, expires_in: float
) -> Iterator[str]:
    """Yield which of the seconds have no effect under a token policy, with their names."""
    if renewal_seconds and policy not in {"same", "refuse"}:
        yield (
            f"renewal_seconds: token_policy {policy!r} has no use for it; "
            "write 0, or token_policy = 'same' or 'refuse'"
        )
    elif renewal_seconds > expires_in:
        yield (
            f"renewal_seconds: expected at most the {expires_in:g} seconds of expires_in, "
            f"got {renewal_seconds:g}"
        )
    if overlap_seconds and policy != "single":
        yield (
            f"overlap_seconds: token_policy {policy!r} has no use for it; "
            "write 0, or token_policy = 'single'"
        )


def path_problem(path: str) -> str:
    """Return why a path cannot be that of an endpoint: it has more, or is the broker's own."""
    if "?" in path or "#" in path:
        return f"expected a path without a query or a fragment, got {path!r}"
    for own in _OWN_PATHS:
        if path == own or path.startswith(f"{own}/"):
            advice = f"choose another path, not {path!r}"
            return f"the broker has endpoints of its own below {own}; {advice}"
    return ""


def status_problem(status: int) -> str:
    """Return why a response with a body cannot have a status."""
    if status in _WITHOUT_BODY:
        return f"expected the status of a response with a body, got {status}"
    return ""
