"""Reading form-encoded bodies and queries, whatever bytes they hold, at a bounded cost.

Judges and hints ask for the parameters of one request many times, so that they are kept for a
moment. Percent-decoding is not urllib's, which takes a second for a million percent signs.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from mockbroker.model.messages import Request

__all__ = [
    "LOOKED_AT_BYTES",
    "body_parameters",
    "json_object",
    "media_type",
    "query_parameters",
    "unquoted",
    "unquoted_plus",
]

Parameters = tuple[tuple[str, str], ...]
LOOKED_AT_BYTES = 64 * 1024
"""How much of a body is read as a form or as JSON; no token request is nearly as long."""
PARAMETER_LIMIT = 1000
"""How many parameters of a body or a query are read."""
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def body_parameters(request: Request) -> Parameters:
    """The body's parameters in order, repeated ones too; empty ones kept.

    Those beyond `LOOKED_AT_BYTES` or `PARAMETER_LIMIT` are not read.
    """
    return _parameters(request.body[:LOOKED_AT_BYTES].decode("latin-1"))


def query_parameters(request: Request) -> Parameters:
    """The query's parameters in order, repeated ones too; empty ones kept."""
    return _parameters(request.query)


def json_object(request: Request) -> dict[str, object] | None:
    """The body as a JSON object, or None if it is none, or longer than `LOOKED_AT_BYTES`."""
    if len(request.body) > LOOKED_AT_BYTES or not request.body.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def media_type(value: str) -> str:
    """The media type of a Content-Type, in lower case and without parameters."""
    return value.partition(";")[0].strip().lower()


def unquoted(text: str) -> str:
    """The text percent-decoded, as UTF-8 where it is that; what is no escape stays."""
    return _ESCAPES.sub(_decoded, text)


def unquoted_plus(text: str) -> str:
    """The text percent-decoded, and each + a space."""
    return unquoted(text.replace("+", " "))


def _decoded(escapes: re.Match[str]) -> str:
    return bytes.fromhex(escapes[0].replace("%", "")).decode("utf-8", "replace")


@lru_cache(maxsize=16)
def _parameters(text: str) -> Parameters:
    parts = text.split("&", PARAMETER_LIMIT)[:PARAMETER_LIMIT]
    pairs = (part.partition("=") for part in parts if part)
    return tuple((unquoted_plus(name), unquoted_plus(value)) for name, _, value in pairs)
