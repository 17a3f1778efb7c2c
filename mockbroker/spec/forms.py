"""Reading form-encoded bodies and queries, whatever bytes they hold."""

from __future__ import annotations

import json
import urllib.parse

from mockbroker.spec.messages import Request

__all__ = ["body_parameters", "json_object", "media_type", "query_parameters"]

Parameters = tuple[tuple[str, str], ...]
_MOST = 1000
"""Parameters that are looked at: a request with more would hold up whoever judges it."""


def body_parameters(request: Request) -> Parameters:
    """The body's parameters in order, repeated ones too; empty ones kept."""
    return _parameters(request.body.decode("latin-1"))


def query_parameters(request: Request) -> Parameters:
    """The query's parameters in order, repeated ones too; empty ones kept."""
    return _parameters(request.query)


def json_object(request: Request) -> dict[str, object] | None:
    """The body as a JSON object, or None if it is none."""
    if not request.body.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def media_type(value: str) -> str:
    """The media type of a Content-Type, in lower case and without parameters."""
    return value.partition(";")[0].strip().lower()


def _parameters(text: str) -> Parameters:
    pairs = (part.partition("=") for part in text.split("&", _MOST)[:_MOST] if part)
    return tuple((_unquoted(name), _unquoted(value)) for name, _, value in pairs)


def _unquoted(text: str) -> str:
    return urllib.parse.unquote_plus(text)
