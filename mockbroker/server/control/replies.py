"""Replies of the control API: JSON, and the fields that keep other web pages from reading it."""

from __future__ import annotations

import msgspec

from mockbroker.broker.answers import Reply
from mockbroker.model.messages import Headers, Response
from mockbroker.server.control.access import Denial
from mockbroker.server.control.values import Problem

__all__ = ["SAFE_FIELDS", "denied", "json_reply", "problem_reply", "value_reply"]

# Never a field that lets another origin read the response (Access-Control-Allow-Origin).
SAFE_FIELDS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)
"""Fields that every response has."""


def denied(denial: Denial) -> Reply:
    """Return the reply to a request that the guard refuses."""
    return problem_reply(denial.status, denial.code, denial.message, *denial.headers)


def problem_reply(status: int, error: str, message: str, *headers: tuple[str, str]) -> Reply:
    """Return the reply with why a request failed."""
    return value_reply(status, Problem(error=error, message=message), *headers)


def value_reply(status: int, value: object, *headers: tuple[str, str]) -> Reply:
    """Return the reply with a value as JSON."""
    return json_reply(status, msgspec.json.encode(value), *headers)


def json_reply(status: int, body: bytes, *headers: tuple[str, str]) -> Reply:
    """Return the reply with JSON."""
    fields = (("Content-Type", "application/json"), *SAFE_FIELDS, *headers)
    return Reply(response=Response(status, Headers(fields), body))
