"""Reading the bodies and queries of control requests into typed values.

A mistake becomes a `RequestError` of one sentence: with the place, what was expected, and the
nearest known name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_args
from urllib.parse import parse_qsl

import msgspec

from mockbroker.model.messages import Request
from mockbroker.model.type_words import CONFIDENTIAL_JSON, JSON, bare, is_union
from mockbroker.model.typed_reading import ReadingError, read

__all__ = ["RequestError", "read_body", "read_query", "require_json"]

T = TypeVar("T")
Struct = TypeVar("Struct", bound=msgspec.Struct)
# RFC 6839, 3.1: types with the suffix +json are JSON as well.
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json", re.IGNORECASE)
_NUMBERS = {int: re.compile(r"-?[0-9]{1,18}"), float: re.compile(r"-?[0-9]{1,18}(?:\.[0-9]+)?")}


class RequestError(Exception):
    """A control request that cannot be carried out: a status, a code, and one sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        super().__init__(message)


def read_body(request: Request, kind: type[T], *, is_secret: bool) -> T:
    """Return the body as a ``kind``; an empty body stands for an empty object.

    The messages about a body that ``is_secret`` do not quote its values. Raises RequestError.
    """
    try:
        value = msgspec.json.decode(request.body or b"{}")
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        # Without the parser's message: it may quote the body.
        place = re.search(r"\(byte \d+\)", str(error))
        where = f" {place[0]}" if place else ""
        raise RequestError(
            400, "malformed", f"the body is not valid JSON in UTF-8{where}"
        ) from None
    try:
        return read(value, kind, "", wording=CONFIDENTIAL_JSON if is_secret else JSON)
    except ReadingError as error:
        raise RequestError(422, "invalid", str(error)) from None


def require_json(request: Request) -> None:
    """Raise RequestError with status 415 if the request has a body, or a type, other than JSON.

    A form of a web page can send other types to any address without asking the server first.
    """
    types = request.headers.get_all("Content-Type")
    if not types and not request.body:
        return
    names = [each.partition(";")[0].strip() for each in types]
    if len(names) == 1 and _JSON_TYPE.fullmatch(names[0]):
        return
    raise RequestError(
        415, "not-json", "the body must be JSON; send it with Content-Type: application/json"
    )


def read_query(query: str, kind: type[Struct]) -> Struct:
    """Return the parameters of a query as a ``kind``. Raises RequestError."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=50)
    except (ValueError, UnicodeError):
        raise RequestError(400, "malformed", "the query is not valid UTF-8") from None
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RequestError(422, "invalid", f"query: {twice!r} is given twice; keep one of them")
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    values = {name: _number_or_text(text, kinds.get(name)) for name, text in pairs}
    return _read_pairs(values, kind)


def _read_pairs(values: Mapping[str, object], kind: type[Struct]) -> Struct:
    """Return the parameters as a ``kind``. Raises RequestError."""
    try:
        return read(values, kind, "query", wording=JSON)
    except ReadingError as error:
        raise RequestError(422, "invalid", str(error)) from None


def _number_or_text(text: str, kind: Any) -> int | float | str:
    """Return the number that the text has if a number is expected, or else the text."""
    members = map(bare, get_args(bare(kind)) if is_union(bare(kind)) else (kind,))
    number = next((member for member in members if member in _NUMBERS), None)
    if number is None or not _NUMBERS[number].fullmatch(text):
        return text
    value: int | float = number(text)
    return value
