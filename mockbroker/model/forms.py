"""Form-encoded bodies and queries, decoded by urllib at a bounded cost, whatever bytes they hold.

`urllib.parse` takes about a microsecond for a percent sign, so a megabyte of them would take
seconds. Therefore it gets at most `LOOKED_AT_BYTES` of a body and `PARAMETER_LIMIT` parameters. A
query is part of the request head, which the server limits to the same size. The worst form of
that size alternates a Latin-1 letter and a percent sign. It takes 60 to 90 ms on Python 3.10 to
3.13. Judges and hints read the parameters of one request many times: the last results are cached.
"""

from __future__ import annotations

import json
from functools import lru_cache
from urllib.parse import parse_qsl, unquote, unquote_plus

from mockbroker.model.messages import Request

__all__ = [
    "FORM",
    "JSON",
    "LOOKED_AT_BYTES",
    "METHODS_WITHOUT_BODY",
    "body_parameters",
    "json_members",
    "json_object",
    "listed_values",
    "media_type",
    "query_parameters",
    "unquoted",
    "unquoted_plus",
]

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
# RFC 9110, 9.3.1: content in a GET request "has no generally defined semantics".
METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD"})
Parameters = tuple[tuple[str, str], ...]
LOOKED_AT_BYTES = 64 * 1024
"""How much of a body is read as a form or as JSON; valid token requests are much shorter."""
PARAMETER_LIMIT = 1000
"""How many parameters of a body or a query are read."""


def body_parameters(request: Request) -> Parameters:
    """Return the body's parameters in order, with repeated and empty ones.

    Those beyond `LOOKED_AT_BYTES` or `PARAMETER_LIMIT` are not read.

    The media type is not looked at. A wrong one breaks a clause of its own, and the other clauses
    still need the parameters.
    """
    # Latin-1 decodes any byte. Percent-encoded bytes are decoded later, as UTF-8.
    return _parameters(request.body[:LOOKED_AT_BYTES].decode("latin-1"))


def query_parameters(request: Request) -> Parameters:
    """Return the query's parameters in order, with repeated and empty ones."""
    return _parameters(request.query)


def json_object(request: Request) -> dict[str, object] | None:
    """Return the body as a JSON object; None if it is something else or too long.

    Too long means longer than `LOOKED_AT_BYTES`. Of a repeated member the last one counts.
    """
    members = json_members(request)
    return None if members is None else dict(members)


def json_members(request: Request) -> tuple[tuple[str, object], ...] | None:
    """Return the members of a body that is a JSON object, with repeated ones; None otherwise."""
    # The first character is checked first, so that no time is spent on parsing a form or a page.
    if len(request.body) > LOOKED_AT_BYTES or not request.body.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(request.body, object_pairs_hook=_JsonObject)
    # json.loads recurses for each bracket, so that a body of brackets ends in a RecursionError.
    except (ValueError, RecursionError):
        return None
    return value.pairs if isinstance(value, _JsonObject) else None


class _JsonObject(dict[str, object]):
    """A JSON object that has its repeated members as well."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs = tuple(pairs)


def media_type(value: str) -> str:
    """Return the media type of a Content-Type, in lower case and without parameters."""
    return value.partition(";")[0].strip().lower()


def listed_values(value: str) -> frozenset[str]:
    """Return the value of a header field, and the items of a list in it, without parameters.

    All of them are in lower case.
    """
    items = (item.partition(";")[0].strip().lower() for item in value.split(","))
    return frozenset((value.strip().lower(), *items))


def unquoted(text: str) -> str:
    """Decode percent-encoding as UTF-8; leave invalid escapes as they are.

    Bytes that are not UTF-8 become U+FFFD: a judge must be able to read whatever a client sends.
    """
    return unquote(text, errors="replace")


def unquoted_plus(text: str) -> str:
    """Decode percent-encoding as `unquoted` does, and each + to a space."""
    return unquote_plus(text, errors="replace")


# A few entries suffice: judges and hints read one request in a row. An entry holds up to 64 KiB.
@lru_cache(maxsize=16)
def _parameters(text: str) -> Parameters:
    """Return the first parameters of a form or a query, with names and values decoded."""
    # parse_qsl's own max_num_fields would raise; here the first parameters are wanted.
    first = "&".join(text.split("&", PARAMETER_LIMIT)[:PARAMETER_LIMIT])
    return tuple(parse_qsl(first, keep_blank_values=True, errors="replace"))
