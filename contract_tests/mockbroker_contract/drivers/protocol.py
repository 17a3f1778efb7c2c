"""The JSON lines that a program speaks which drives a client: written, read and checked.

Each message is one line of JSON in UTF-8. A request has ``id`` and ``op``; its answer has the
same ``id`` and exactly one of ``ok``, ``err`` and ``unsupported``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mockbroker.model.client import ClientConfig
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

PROTOCOL = 1
CAPABILITIES = ("get_token", "request", "burst", "clock")
ERROR_KINDS = ("oauth", "http", "malformed", "transport", "timeout", "config", "internal")
_OUTCOMES = ("ok", "err", "unsupported")
_LONGEST_QUOTE = 200


class ProtocolError(Exception):
    """The program broke the protocol; the message says how, and what was expected."""


@dataclass(frozen=True, slots=True)
class Hello:
    """How a program introduces itself."""

    name: str
    version: str
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: the value of ``ok``, what ``err`` tells, or that the operation is unsupported."""

    value: Any = None
    error: Raised | None = None
    is_unsupported: bool = False


def request_line(number: int, op: str, members: Mapping[str, Any]) -> bytes:
    """A request as it goes to the program."""
    return json.dumps({"id": number, "op": op, **members}).encode() + b"\n"


def config_members(config: ClientConfig) -> dict[str, Any]:
    """What a client is given, as the operation ``open`` says it."""
    return dataclasses.asdict(config)


def read_reply(line: bytes, number: int, op: str) -> Reply:
    """The answer to a request. Raises ProtocolError if the line is none."""
    message = _message(line)
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
    return Reply(_READERS.get(op, _anything)(message["ok"]))


def read_hello(value: Any) -> Hello:
    """What a program says of itself. Raises ProtocolError if it leaves out what is needed."""
    name, version = _text(value, "name", "hello"), _text(value, "version", "hello")
    capabilities = value.get("capabilities")
    if not isinstance(capabilities, list) or not set(map(str, capabilities)) <= set(CAPABILITIES):
        raise ProtocolError(
            f"hello says capabilities {_quoted(capabilities)}; expected a list of some of "
            f"{', '.join(CAPABILITIES)}"
        )
    if not {"get_token", "request"} & set(capabilities):
        raise ProtocolError("hello says neither get_token nor request; at least one is needed")
    if "burst" in capabilities and "get_token" not in capabilities:
        raise ProtocolError("hello says burst without get_token, of which it is many at once")
    return Hello(name, version, tuple(c for c in CAPABILITIES if c in capabilities))


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):  # the latter for what is nested too deeply
        raise ProtocolError(
            f"stdout has {_quoted(line.decode('utf-8', 'replace').strip())}, which is no JSON; "
            "stdout is for answers only, one to a line, and anything else belongs on stderr"
        ) from None
    if not isinstance(message, dict):
        raise ProtocolError(f"stdout has {_quoted(message)}; expected a JSON object")
    return message


def _client_error(err: Any, op: str) -> Raised:
    if not isinstance(err, dict) or err.get("kind") not in ERROR_KINDS:
        raise ProtocolError(
            f"the answer to {op} has err {_quoted(err)}; expected an object whose kind is one of "
            f"{', '.join(ERROR_KINDS)}"
        )
    code, message = err.get("code") or "", err.get("message") or ""
    if not isinstance(code, str) or not isinstance(message, str):
        raise ProtocolError(f"the answer to {op} has err {_quoted(err)}; its members are texts")
    if err["kind"] == "internal":
        told = " ".join(filter(None, (code, message)))
        raise ProtocolError(f"the driver failed at {op}: {told}")
    texts = tuple(filter(None, (err["kind"], code, message)))
    return Raised("ClientError", ": ".join(texts), texts=texts)


def _token(value: Any) -> Any:
    """What the client returned, which may be no text: that is the client's doing."""
    if not isinstance(value, dict) or "access_token" not in value:
        raise ProtocolError(
            f'the answer to get_token is {_shape(value)}; expected {{"access_token": text}}'
        )
    return value["access_token"]


def _tokens(value: Any) -> list[Any]:
    tokens = value.get("access_tokens") if isinstance(value, dict) else None
    if not isinstance(tokens, list):
        raise ProtocolError(
            f'the answer to burst is {_shape(value)}; expected {{"access_tokens": [text, …]}}'
        )
    return tokens


def _status(value: Any) -> int:
    status = value.get("status") if isinstance(value, dict) else None
    if not isinstance(status, int) or isinstance(status, bool):
        raise ProtocolError(
            f'the answer to request is {_shape(value)}; expected {{"status": number}}'
        )
    return status


def _anything(value: Any) -> Any:
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "hello": read_hello,
    "get_token": _token,
    "request": _status,
    "burst": _tokens,
}


def _text(value: Any, name: str, op: str) -> str:
    text = value.get(name) if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise ProtocolError(f'the answer to {op} is {_shape(value)}; expected {{"{name}": text}}')
    return text


def _shape(value: Any) -> str:
    """What kind of value it is, without quoting it: it may hold a token."""
    if not isinstance(value, dict):
        return f"a {type(value).__name__}"
    parts = (f'"{name}": {type(part).__name__}' for name, part in value.items())
    return f"{{{', '.join(parts)}}}"[:_LONGEST_QUOTE]


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:_LONGEST_QUOTE]
