"""The JSON lines of a driver program: written, read and checked.

Each message is one line of JSON in UTF-8. A request has ``id`` and ``op``; its answer has the same
``id`` and exactly one of ``ok``, ``err`` and ``unsupported``.

Values are checked strictly and completely, because drivers are written by users in any language. A
message that names the wrong member saves them a debugger session.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import msgspec

from mockbroker.model.client import ClientConfig
from mockbroker.model.type_words import CONFIDENTIAL_JSON, JSON, Wording
from mockbroker.model.typed_reading import ReadingError, read
from mockbroker.report.steps import Place
from mockbroker_contract.drivers.driver import Raised

__all__ = [
    "CAPABILITIES",
    "ERROR_KINDS",
    "PROTOCOL",
    "Hello",
    "ProtocolError",
    "Reply",
    "config_members",
    "read_hello",
    "read_reply",
    "request_line",
]

# Raised only for changes that break existing drivers; capabilities can be added without it.
PROTOCOL = 1
Capability = Literal["get_token", "request", "burst", "clock"]
CAPABILITIES: tuple[Capability, ...] = get_args(Capability)
ErrorKind = Literal["oauth", "http", "malformed", "transport", "timeout", "config", "internal"]
ERROR_KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)
_OUTCOMES = ("ok", "err", "unsupported")
# Two lines of a terminal: enough to recognize a stray log line, and no flood if it was a dump.
_LONGEST_QUOTE = 200


class ProtocolError(Exception):
    """Breach of the protocol by the program; the message says what was expected.

    It never counts against the client: the run reports a failure of the driver.
    """


@dataclass(frozen=True, slots=True)
class Hello:
    """Answer of a program to hello."""

    name: str
    version: str
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer: the value of ``ok``, the error of ``err``, or that the operation is unsupported.

    ``value`` is plain: a token, a list of tokens, a status, or a `Hello`, by the operation.
    """

    value: Any = None
    error: Raised | None = None
    is_unsupported: bool = False


def request_line(number: int, op: str, members: Mapping[str, Any]) -> bytes:
    """Return a request as the line that is sent to the program.

    JSON escapes every character beyond ASCII, so the line has no line break inside.
    """
    return json.dumps({"id": number, "op": op, **members}).encode() + b"\n"


def config_members(config: ClientConfig) -> dict[str, Any]:
    """Return the client's configuration as members of the operation ``open``."""
    return dataclasses.asdict(config)


def read_reply(line: bytes, number: int, op: str) -> Reply:
    """Return the answer to a request. Raises ProtocolError if the line is not a valid answer."""
    message = _message(line)
    # Requests are strictly sequential, so another id means that the driver answers twice, or
    # answers for another client.
    if message.get("id") != number:
        raise ProtocolError(
            f"the answer to {op} has id {_quoted(message.get('id'))}; expected {number}"
        )
    present = [name for name in _OUTCOMES if name in message]
    if len(present) != 1:
        raise ProtocolError(
            f"the answer to {op} has {' and '.join(present) or 'no outcome'}; "
            f"expected exactly one of {', '.join(_OUTCOMES)}"
        )
    if "unsupported" in message:
        return Reply(is_unsupported=True)
    if "err" in message:
        return Reply(error=_client_error(message["err"], op))
    return Reply(_value(message["ok"], op))


def read_hello(value: Any) -> Hello:
    """Return the answer to hello. Raises ProtocolError if something is missing.

    Unknown capabilities are errors: a typo would otherwise silently leave clauses untested.
    """
    hello = _read(value, _Hello, "hello", "ok", JSON)
    capabilities = set(hello.capabilities)
    if not {"get_token", "request"} & capabilities:
        raise ProtocolError("hello names neither get_token nor request; name at least one")
    if "burst" in capabilities and "get_token" not in capabilities:
        raise ProtocolError("hello names burst without get_token; burst needs get_token")
    # In the kit's own order, so that reports of two drivers can be compared.
    return Hello(hello.name, hello.version, tuple(c for c in CAPABILITIES if c in capabilities))


def _message(line: bytes) -> dict[str, Any]:
    """Return a line as a JSON object.

    Raises ProtocolError otherwise; its message quotes the line.
    """
    # Not msgspec's decoder: it rejects strings that Python writes and that a client may return,
    # such as lone surrogates.
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):  # RecursionError for values that are nested too deeply
        raise ProtocolError(
            f"stdout has {_quoted(line.decode('utf-8', 'replace').strip())}, which is not JSON; "
            "stdout is for answers only, one to a line, and anything else belongs on stderr"
        ) from None
    if not isinstance(message, dict):
        raise ProtocolError(f"stdout has {_quoted(message)}; expected a JSON object")
    return message


class _Hello(msgspec.Struct):
    name: str
    version: str
    capabilities: list[Capability]


class _Token(msgspec.Struct):
    access_token: Any  # a client may return any value as a token: a clause judges that


class _Tokens(msgspec.Struct):
    access_tokens: list[Any]


class _Answered(msgspec.Struct):
    status: int


class _Place(msgspec.Struct):
    file: str
    line: int
    function: str = ""


class _Error(msgspec.Struct):
    kind: ErrorKind
    code: str | None = None
    message: str | None = None
    place: _Place | None = None
    traceback: str = ""


_Read = TypeVar("_Read")


def _read(value: Any, kind: type[_Read], op: str, outcome: str, wording: Wording) -> _Read:
    """Return a value as that type. Raises ProtocolError with the place of what is wrong."""
    try:
        return read(value, kind, f"the answer to {op}", keys=(outcome,), wording=wording)
    except ReadingError as error:
        raise ProtocolError(str(error)) from None


def _value(value: Any, op: str) -> Any:
    """Return the value of ``ok``, read by the type of the operation; other values unchanged."""
    if op == "hello":
        return read_hello(value)
    if op == "get_token":
        # Confidential: the error message must not quote the value, which may be a token.
        return _read(value, _Token, op, "ok", CONFIDENTIAL_JSON).access_token
    if op == "burst":
        return _read(value, _Tokens, op, "ok", CONFIDENTIAL_JSON).access_tokens
    if op == "request":
        return _read(value, _Answered, op, "ok", CONFIDENTIAL_JSON).status
    return value


def _client_error(value: Any, op: str) -> Raised:
    """Return an error of the client. Raises ProtocolError if the driver reports one of its own."""
    error = _read(value, _Error, op, "err", JSON)
    texts = tuple(filter(None, (error.kind, error.code, error.message)))
    # The driver itself says that it failed. Its author must fix that, and the client is not judged.
    if error.kind == "internal":
        raise ProtocolError(f"the driver failed at {op}: {' '.join(texts[1:])}")
    place = None
    if error.place is not None:
        # A `Place` rejects unknown members, and a driver may send more.
        place = Place(file=error.place.file, line=error.place.line, function=error.place.function)
    return Raised(
        "ClientError", ": ".join(texts), texts=texts, place=place, traceback=error.traceback
    )


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:_LONGEST_QUOTE]
