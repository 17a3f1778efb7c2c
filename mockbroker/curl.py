"""Reading a request that somebody pasted: a raw HTTP message, or a curl command."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlsplit

from mockbroker.spec.messages import Headers, Request

__all__ = ["UnreadableRequestError", "parse_curl", "parse_raw"]

FORM = "application/x-www-form-urlencoded"
WITH_VALUE = {
    "-X": "method", "--request": "method", "-H": "header", "--header": "header",
    "-d": "data", "--data": "data", "--data-ascii": "data", "--data-raw": "raw",
    "--data-binary": "raw", "--data-urlencode": "urlencode", "--json": "json",
    "-u": "user", "--user": "user", "--url": "url", "-A": "agent", "--user-agent": "agent",
    "--oauth2-bearer": "bearer",
}  # fmt: skip
IGNORED_WITH_VALUE = {
    "-o", "--output", "-m", "--max-time", "--connect-timeout", "--cacert", "-w", "--write-out",
    "--retry", "-x", "--proxy", "-c", "--cookie-jar", "-b", "--cookie",
}  # fmt: skip


class UnreadableRequestError(ValueError):
    """The text is neither an HTTP request nor a curl command; the message says why."""


def parse_raw(text: bytes) -> Request:
    """The request that a raw HTTP/1.1 message holds; line ends may be bare line feeds.

    Raises UnreadableRequestError if there is no request line or a header line has no colon.
    """
    head, _, body = text.lstrip().replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    parts = lines[0].split(" ")
    if len(parts) not in {2, 3} or not parts[0].isalpha() or "://" in parts[0]:
        raise UnreadableRequestError(
            f"{lines[0][:60]!r} is no request line; begin with something like "
            "'POST /request-token HTTP/1.1', or paste a curl command"
        )
    declared = Headers.of(_header(line) for line in lines[1:] if line)
    return Request(parts[0], _target(parts[1]), declared, _cut(body, declared))


def _cut(body: bytes, headers: Headers) -> bytes:
    """The body as long as it was declared: an editor or a shell adds a line feed at the end."""
    length = headers.get("Content-Length") or ""
    return body[: int(length)] if length.isdigit() else body.removesuffix(b"\n")


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise UnreadableRequestError(f"header line {name[:20]!r}... has no colon")
    return name, value.strip(" \t")


def _target(url: str) -> str:
    parts = urlsplit(url if "://" in url or url.startswith("/") else f"http://{url}")
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


@dataclass(slots=True)
class _Command:
    """What the arguments of a curl command add up to."""

    method: str = ""
    url: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    defaults: dict[str, str] = field(default_factory=lambda: {"Accept": "*/*"})
    in_query: bool = False


def parse_curl(text: str) -> Request:
    """The request that a curl command would send.

    Raises UnreadableRequestError if the command has no URL, an open quote, or an option that is
    not understood.
    """
    try:
        words = shlex.split(text.replace("\\\r\n", " ").replace("\\\n", " "))
    except ValueError as error:
        raise UnreadableRequestError(f"the curl command cannot be read: {error}") from error
    command = _Command()
    arguments = iter(_split_short(words[1:]))
    for word in arguments:
        _take(command, word, arguments)
    if not command.url:
        raise UnreadableRequestError("the curl command has no URL")
    return _request(command)


def _split_short(words: list[str]) -> list[str]:
    """Separate an option from a value glued to it: -XPOST, -ufoo:bar, --data=x."""
    separated: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("--") and equals and name in WITH_VALUE:
            separated += [name, value]
        elif len(word) > 2 and word[0] == "-" and word[:2] in WITH_VALUE and word[1] != "-":  # noqa: PLR2004
            separated += [word[:2], word[2:]]
        else:
            separated.append(word)
    return separated


def _take(command: _Command, word: str, arguments: Iterator[str]) -> None:
    if word in WITH_VALUE or word in IGNORED_WITH_VALUE:
        value = next(arguments, None)
        if value is None:
            raise UnreadableRequestError(f"curl's option {word} has no value")
        if word in WITH_VALUE:
            _set(command, WITH_VALUE[word], value)
    elif word in {"-G", "--get"}:
        command.in_query = True
    elif not word.startswith("-"):
        command.url = word


def _set(command: _Command, kind: str, value: str) -> None:
    if kind in {"method", "url"}:
        setattr(command, kind, value)
    elif kind == "header":
        command.headers.append(_header(value))
    elif kind == "user":
        encoded = base64.b64encode(value.encode()).decode()
        command.defaults["Authorization"] = f"Basic {encoded}"
    elif kind == "bearer":
        command.defaults["Authorization"] = f"Bearer {value}"
    elif kind == "agent":
        command.defaults["User-Agent"] = value
    else:
        command.data.append(_urlencode(value) if kind == "urlencode" else value)
        command.defaults.setdefault("Content-Type", "application/json" if kind == "json" else FORM)


def _urlencode(value: str) -> str:
    name, equals, content = value.partition("=")
    return f"{name}={quote_plus(content)}" if equals and name else quote_plus(content or name)


def _request(command: _Command) -> Request:
    data = "&".join(command.data)
    target = _target(command.url)
    if command.in_query and data:
        target, data = f"{target}{'&' if '?' in target else '?'}{data}", ""
        command.defaults.pop("Content-Type", None)
    named = {name.lower() for name, _ in command.headers}
    defaults = [(n, v) for n, v in command.defaults.items() if n.lower() not in named]
    method = command.method or ("POST" if data else "GET")
    sent = [(n, v.encode().decode("latin-1")) for n, v in (*defaults, *command.headers) if v]
    return Request(method, target, Headers.of(sent), data.encode())
