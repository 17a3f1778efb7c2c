"""Parsing of a pasted request: a raw HTTP message, or a curl command.

The input comes from logs, tickets and editors. Therefore it is read leniently where
a paste is often damaged. It is read strictly where a guess could hide the mistake in question.

Judging the request is left to `mockbroker.cli.explain`. No file is opened and no command is run.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlsplit

from mockbroker.model.messages import Headers, Request

__all__ = ["UnreadableRequestError", "parse_curl", "parse_raw"]

# What curl -d declares, whatever the content is.
FORM = "application/x-www-form-urlencoded"
# Options of curl that take the next word and change the request, by what they set.
WITH_VALUE = {
    "-X": "method", "--request": "method", "-H": "header", "--header": "header",
    "-d": "data", "--data": "data", "--data-ascii": "data", "--data-raw": "raw",
    "--data-binary": "data", "--data-urlencode": "urlencode", "--json": "json",
    "-u": "user", "--user": "user", "--url": "url", "-A": "agent", "--user-agent": "agent",
    "--oauth2-bearer": "bearer", "-F": "form", "--form": "form", "--form-string": "form",
}  # fmt: skip
# These do not change what clauses judge: connections, output, cookies and the referrer.
IGNORED_WITH_VALUE = {
    "-o", "--output", "-m", "--max-time", "--connect-timeout", "--cacert", "-w", "--write-out",
    "--retry", "-x", "--proxy", "-c", "--cookie-jar", "-b", "--cookie", "-e", "--referer",
    "-E", "--cert", "--key", "--capath", "--resolve", "--connect-to", "--noproxy", "-U",
    "--proxy-user", "-D", "--dump-header", "--max-redirs", "--retry-delay", "--retry-max-time",
}  # fmt: skip
# Options without a value that do not change what clauses judge. An option missing here is an error:
# it might take a value, and a guess would shift every later word.
FLAGS = {
    "-s", "--silent", "-S", "--show-error", "-v", "--verbose", "-i", "--include", "-k",
    "--insecure", "-L", "--location", "-f", "--fail", "--fail-with-body", "-g", "--globoff", "-N",
    "--no-buffer", "-q", "-#", "--progress-bar", "--no-progress-meter", "-4", "--ipv4", "-6",
    "--ipv6", "-0", "--http1.0", "--http1.1", "--http2", "--compressed", "--basic", "-1",
    "--tlsv1.2", "--tlsv1.3", "--path-as-is", "--ssl-no-revoke", "--retry-all-errors", "-O",
    "--retry-connrefused", "--remote-name", "-n", "--netrc", "--location-trusted",
}  # fmt: skip
SETTING_FLAGS = {"-G": "in_query", "--get": "in_query", "-I": "is_head", "--head": "is_head"}
# curl chooses a random boundary; a fixed one makes the output the same each time.
BOUNDARY = "------------------------mockbroker"
# Bounded: Python refuses to convert integers of thousands of digits, with another error.
_LENGTH = re.compile(r"[0-9]{1,18}")


class UnreadableRequestError(ValueError):
    """The text is neither an HTTP request nor a curl command; the message says why.

    The message quotes little of the input, which may hold secrets.
    """


def parse_raw(text: bytes) -> Request:
    """Parse a raw HTTP/1.1 message; line ends may be bare line feeds.

    Raises UnreadableRequestError if the request line is missing, a header line has no colon, or
    the URL or the Content-Length is malformed.
    """
    head, _, body = text.lstrip().replace(b"\r\n", b"\n").partition(b"\n\n")
    # As the server decodes heads, so that the judges see the same strings.
    lines = head.decode("latin-1").split("\n")
    parts = lines[0].split(" ")
    # Two parts are enough: people often copy a request line without the version.
    if len(parts) not in {2, 3} or not parts[0].isalpha() or "://" in parts[0]:
        raise UnreadableRequestError(
            f"{lines[0][:60]!r} is not a valid request line; begin with something like "
            "'POST /request-token HTTP/1.1', or paste a curl command"
        )
    declared = Headers.of(_header(line) for line in lines[1:] if line)
    return Request(parts[0], _target(parts[1]), declared, _cut(body, declared))


def _cut(body: bytes, headers: Headers) -> bytes:
    """Cut the body to its declared length: editors and shells add a line feed at the end.

    Without a declared length one line feed at the end is dropped. A length of more than 18 digits
    is rejected.
    """
    length = headers.get("Content-Length") or ""
    if _LENGTH.fullmatch(length):
        return body[: int(length)]
    if length.isdigit():
        raise UnreadableRequestError(
            f"Content-Length {length[:20]!r} is invalid; expected a number of bytes"
        )
    return body.removesuffix(b"\n")


def _header(line: str) -> tuple[str, str]:
    """Return the name and the value of a header line. Raises UnreadableRequestError."""
    name, colon, value = line.partition(":")
    if not colon:
        # Cut, because the line may hold a secret, as a line of the body does after a missing blank
        # line.
        raise UnreadableRequestError(f"header line {name[:20]!r}... has no colon")
    return name, value.strip(" \t")


def _target(url: str) -> str:
    """Return the request target of a URL or a path: without scheme, host and fragment."""
    try:
        # curl takes a URL without a scheme for http.
        parts = urlsplit(url if "://" in url or url.startswith("/") else f"http://{url}")
    except ValueError as error:
        raise UnreadableRequestError(f"the URL is malformed: {error}") from error
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


@dataclass(slots=True)
class _Command:
    """The settings that the arguments of a curl command make.

    ``defaults`` are header fields that curl adds unless the user sets them. ``form`` and ``data``
    are the parts of the body; ``form`` wins.
    """

    method: str = ""
    url: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    defaults: dict[str, str] = field(default_factory=lambda: {"Accept": "*/*"})
    form: list[str] = field(default_factory=list)
    in_query: bool = False
    is_head: bool = False


def parse_curl(text: str) -> Request:
    """Return the request that a curl command would send.

    Raises UnreadableRequestError if the command has no URL, an open quote, a body in a file, or
    an unknown option.
    """
    try:
        # Copied curl commands have a backslash at each line end. shlex knows no line continuation:
        # it would keep the line break as a character.
        words = shlex.split(text.replace("\\\r\n", " ").replace("\\\n", " "))
    except ValueError as error:
        raise UnreadableRequestError(f"the curl command is malformed: {error}") from error
    command = _Command()
    arguments = deque(words[1:])
    while arguments:
        word, *rest = _split(arguments.popleft())
        arguments.extendleft(reversed(rest))
        _take(command, word, arguments)
    if not command.url:
        raise UnreadableRequestError("the curl command has no URL")
    return _request(command)


def _split(word: str) -> list[str]:
    """Separate an option from the rest of its word: -sS, -XPOST, -ufoo:bar, --data=x.

    Returns one or two words. The second may itself be a group of flags: -sS becomes -s and -S.
    """
    name, equals, value = word.partition("=")
    if word.startswith("--"):
        return [name, value] if equals and _has_value(name) else [word]
    if len(word) <= 2 or word[0] != "-":  # noqa: PLR2004 - a dash and a letter
        return [word]
    rest = word[2:]
    return [word[:2], rest if _has_value(word[:2]) else f"-{rest}"]


def _has_value(option: str) -> bool:
    """Return whether curl takes the next word as the value of this option."""
    return option in WITH_VALUE or option in IGNORED_WITH_VALUE


def _take(command: _Command, word: str, arguments: deque[str]) -> None:
    """Apply one word of the command, which may take the next word as its value."""
    if _has_value(word):
        if not arguments:
            raise UnreadableRequestError(f"curl's option {word} has no value")
        value = arguments.popleft()
        if word in WITH_VALUE:
            _set(command, WITH_VALUE[word], value)
    elif word in SETTING_FLAGS:
        setattr(command, SETTING_FLAGS[word], True)
    elif not word.startswith("-"):
        command.url = word
    elif word not in FLAGS:
        raise UnreadableRequestError(
            f"unknown curl option {word.partition('=')[0]}; leave it out, or "
            "paste the raw HTTP request"
        )


def _set(command: _Command, kind: str, value: str) -> None:
    """Apply an option with a value; ``kind`` is its entry in `WITH_VALUE`."""
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
    elif kind == "form":
        _refuse_file(value.partition("=")[2], "@<")
        command.form.append(value)
        command.defaults["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
    else:
        _set_data(command, kind, value)


def _set_data(command: _Command, kind: str, value: str) -> None:
    """Add a part of the body. curl reads a value that begins with @ from a file."""
    if kind == "urlencode":
        _refuse_file("@" if "@" in value and "=" not in value else "", "@")
    elif kind != "raw":
        _refuse_file(value, "@")
    command.data.append(_urlencode(value) if kind == "urlencode" else value)
    command.defaults.setdefault("Content-Type", "application/json" if kind == "json" else FORM)


def _refuse_file(value: str, signs: str) -> None:
    """Raise UnreadableRequestError if a value names a file.

    Reading it would be wrong: the command may come from another machine.
    """
    if value and value[0] in signs:
        raise UnreadableRequestError(
            "the body is in a file, which mockbroker does not read; write the content of the file "
            "into the command"
        )


def _urlencode(value: str) -> str:
    """Encode NAME=CONTENT, =CONTENT or CONTENT as curl does for --data-urlencode."""
    name, equals, content = value.partition("=")
    return f"{name}={quote_plus(content)}" if equals and name else quote_plus(content or name)


def _request(command: _Command) -> Request:
    """Return the request of a whole command, with the header fields that curl adds."""
    data = _multipart(command.form) if command.form else "&".join(command.data)
    target = _target(command.url)
    # curl -G moves the data to the query, and then sends no body.
    if command.in_query and data:
        target, data = f"{target}{'&' if '?' in target else '?'}{data}", ""
        command.defaults.pop("Content-Type", None)
    # A header of the user's own replaces curl's; an empty one removes it, as in curl.
    named = {name.lower() for name, _ in command.headers}
    defaults = [(n, v) for n, v in command.defaults.items() if n.lower() not in named]
    method = command.method or _method(command)
    # curl sends the bytes of the terminal, usually UTF-8; the model holds bytes as Latin-1.
    sent = [(n, v.encode().decode("latin-1")) for n, v in (*defaults, *command.headers) if v]
    return Request(method, target, Headers.of(sent), data.encode())


def _method(command: _Command) -> str:
    """Return the method that curl chooses without -X."""
    if command.is_head:
        return "HEAD"
    return "POST" if (command.data or command.form) and not command.in_query else "GET"


def _multipart(fields: list[str]) -> str:
    """Return the fields as multipart/form-data. Only its form matters, not its content."""
    parts = (field.partition("=") for field in fields)
    disposition = "Content-Disposition: form-data; name"
    texts = [f'--{BOUNDARY}\r\n{disposition}="{n}"\r\n\r\n{v}\r\n' for n, _, v in parts]
    return "".join(texts) + f"--{BOUNDARY}--\r\n"
