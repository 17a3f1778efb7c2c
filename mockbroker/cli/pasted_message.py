"""A pasted HTTP message: repaired where a paste loses something, then read as the server reads it.

The server's own reader parses the message, so that `explain` and the broker see the same request.
"""

from __future__ import annotations

import re

from mockbroker.cli.pasted_text import Mistake, MistakeKind, Pasted, Repair, UnreadableRequestError
from mockbroker.server.intake import Refused, read_message

__all__ = ["read_pasted_message"]

_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)([ \t]*):")
# Bounded: Python refuses to convert integers of thousands of digits, with another error.
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]*)?\r?\n")
_BODY = re.compile(rb"[^:]*$|[{\[\x22\x27<]|[\w.%-]+=|grant_type")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_USERINFO = re.compile(rb"(?i)(https?://|^)[^/\s@]+:[^/\s@]*@")


class _Message:
    """A message while it is repaired: its request line, its fields, and its body.

    ``fields`` are lines with their continuations, without line ends.
    """

    def __init__(self, text: bytes, repairs: list[Repair]) -> None:
        head, separator, self.body = _split(text)
        lines = re.split(rb"\r?\n", head)
        self.first, self.fields = lines[0], lines[1:]
        self.repairs = repairs
        self.mistakes: list[Mistake] = []
        self.has_body = bool(separator)

    def value(self, name: bytes) -> bytes | None:
        """Return the first value of that field, or None."""
        wanted = name + b":"
        found = (f for f in self.fields if f.lower().startswith(wanted))
        return next((f.partition(b":")[2].strip() for f in found), None)

    def remove(self, name: bytes) -> None:
        """Remove each field of that name."""
        self.fields = [f for f in self.fields if not f.lower().startswith(name + b":")]

    def whole(self) -> bytes:
        """Return the message with the line ends of HTTP."""
        return b"\r\n".join([self.first, *self.fields, b"", b""]) + self.body


def read_pasted_message(text: bytes, repairs: list[Repair]) -> Pasted:
    """Read a raw HTTP message. ``repairs`` are those that were made before.

    Raises UnreadableRequestError if the server would reject it for another reason than those that
    are repaired or reported.
    """
    message = _Message(text, repairs)
    _repair_first_line(message)
    _divide_body(message)
    _repair_fields(message)
    is_body_unknown = Repair.CURL_OUTPUT in repairs and not message.body.strip()
    if is_body_unknown:
        # curl does not print the body that it sends.
        message.remove(b"content-length")
        message.remove(b"transfer-encoding")
    _repair_body(message)
    try:
        request = read_message(message.whole())
    except Refused as refused:
        raise UnreadableRequestError(str(refused)) from None
    return Pasted(request, tuple(message.repairs), tuple(message.mistakes), is_body_unknown)


def _split(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the head, the blank line, and the body."""
    text = text.lstrip()
    end = _HEAD_END.search(text)
    if not end:
        return text.rstrip(b"\r\n"), b"", b""
    return text[: end.start()], end[0], text[end.end() :]


def _repair_first_line(message: _Message) -> None:
    """Add the HTTP version, and find credentials in the URL."""
    parts = message.first.split()
    if len(parts) not in {2, 3} or not parts[0].isalpha() or b"://" in parts[0]:
        raise UnreadableRequestError(_without_request_line(message.first))
    # People often copy a request line without the version, or from a browser that used HTTP/2.
    if len(parts) == 2 or parts[2].upper() in {b"HTTP/2", b"HTTP/2.0", b"HTTP/3", b"HTTP"}:  # noqa: PLR2004 - method and target
        message.repairs.append(Repair.VERSION)
        parts[2:] = [b"HTTP/1.1"]
    if not parts[1].startswith((b"/", b"*")) and b"://" not in parts[1]:
        parts[1] = b"http://" + parts[1]
    message.first = b" ".join(parts)
    if _USERINFO.match(parts[1]) or _USERINFO.match(message.value(b"host") or b""):
        message.mistakes.append(
            Mistake(
                MistakeKind.USERINFO,
                "the host of the URL has credentials (id:secret@host); a client sends them as "
                "Authorization: Basic, not in the URL",
            )
        )


def _without_request_line(first: bytes) -> str:
    """Return what is missing in a text that does not begin with a request line."""
    if first.startswith(b"HTTP/"):
        return "this is a response; paste the request that led to it"
    begin = "begin with something like 'POST /request-token HTTP/1.1', or paste a curl command"
    if _FIELD.match(first):
        return f"the request line is missing before the first header; {begin}"
    if (b"=" in first and b" " not in first) or first.startswith((b"{", b'"')):
        return f"this looks like a body without its request; {begin}"
    # The first word only: what follows may be a secret.
    word = first.split(None, 1)[0][:20].decode("utf-8", "replace")
    return f"a line that begins with {word!r} is not a valid request line; {begin}"


def _divide_body(message: _Message) -> None:
    """Find a body that follows the head without a blank line."""
    for number, line in enumerate(message.fields):
        is_field = _FIELD.match(line) or line[:1] in {b" ", b"\t"}
        if is_field and not line.startswith(b"grant_type"):
            continue
        # A line with a colon is more likely a malformed header than a body.
        if message.body.strip() or not _BODY.match(line):
            return  # the server's message says which line has no colon
        message.body = b"\n".join(message.fields[number:])
        message.fields = message.fields[:number]
        message.mistakes.append(
            Mistake(
                MistakeKind.NO_BLANK_LINE,
                "the blank line between the head and the body is missing: a server takes the "
                "body for a malformed header",
            )
        )
        return


def _repair_fields(message: _Message) -> None:
    """Find blanks before colons and folded fields, and add a Host."""
    for number, line in enumerate(message.fields):
        found = _FIELD.match(line)
        if found and found[2]:
            name = found[1].decode("latin-1")[:40]
            message.fields[number] = found[1] + line[found.end(2) :]
            message.mistakes.append(
                Mistake(
                    MistakeKind.BLANK_BEFORE_COLON,
                    f"there is a blank between the name of the header {name} and its colon: "
                    "servers reject it",
                )
            )
        if line[:1] in {b" ", b"\t"} and number:
            message.mistakes.append(
                Mistake(
                    MistakeKind.FOLDED_HEADER,
                    f"line {number + 2} continues the header before it (obsolete line folding): "
                    "write each header in one line",
                )
            )
    if message.value(b"host") is None and not message.first.endswith(b"/1.0"):
        message.repairs.append(Repair.HOST)
        message.fields.append(b"Host: localhost")


def _repair_body(message: _Message) -> None:
    """Make the framing of the body fit its length."""
    coding, declared = message.value(b"transfer-encoding"), message.value(b"content-length")
    if coding is not None and coding.lower() == b"chunked" and declared is None:
        _repair_chunks(message)
        return
    if coding is not None:
        return
    if declared is None:
        body = re.sub(rb"\r?\n\Z", b"", message.body)
        if body != message.body:
            message.repairs.append(Repair.FINAL_LINE_FEED)
        message.body = body
        if body:
            message.repairs.append(Repair.CONTENT_LENGTH)
            message.fields.append(b"Content-Length: %d" % len(body))
    elif _LENGTH.fullmatch(declared):
        _fit_length(message, int(declared))


def _fit_length(message: _Message, declared: int) -> None:
    """Cut or extend the body to its declared length; report a length that cannot be right."""
    body = message.body
    if len(body) == declared:
        return
    # Editors and shells add a line feed at the end, and pastes lose carriage returns.
    if len(body) > declared and not body[declared:].strip(b"\r\n"):
        message.repairs.append(Repair.FINAL_LINE_FEED)
        message.body = body[:declared]
        return
    restored = re.sub(rb"\r?\n", b"\r\n", body)
    for candidate in (restored, restored.removesuffix(b"\r\n"), body + b"\n", body + b"\r\n"):
        if len(candidate) == declared:
            message.repairs.append(Repair.CARRIAGE_RETURNS)
            message.body = candidate
            return
    message.body = body.rstrip(b"\r\n")
    message.mistakes.append(
        Mistake(
            MistakeKind.WRONG_LENGTH,
            f"Content-Length is {declared}, but the body has {len(message.body)} bytes: a server "
            + ("cuts it" if declared < len(message.body) else "waits for the rest"),
        )
    )
    message.remove(b"content-length")
    message.fields.append(b"Content-Length: %d" % len(message.body))


def _repair_chunks(message: _Message) -> None:
    """Restore the line ends of a chunked body."""
    if not message.body.strip() or not _CHUNK_SIZE.match(message.body):
        # Logs and developer tools print the body without its chunks.
        message.repairs.append(Repair.CHUNKS_REMOVED)
        message.remove(b"transfer-encoding")
        _repair_body(message)
        return
    framed = _with_line_ends(message.body)
    if framed != message.body:
        message.repairs.append(Repair.CARRIAGE_RETURNS)
    message.body = framed


def _with_line_ends(body: bytes) -> bytes:
    """Return the chunks of a body with the line ends of HTTP, and with the last chunk.

    Raises UnreadableRequestError if the sizes do not fit.
    """
    parts, position = [], 0
    while found := _CHUNK_SIZE.match(body, position):
        size = int(found[1], 16)
        data = body[found.end() : found.end() + size]
        if not size:
            break
        after = re.compile(rb"\r?\n|\Z").match(body, found.end() + size)
        if len(data) < size or not after:
            raise UnreadableRequestError(
                f"the size of a chunk, {size} bytes, is not the size of the data that follows it"
            )
        parts.append(b"%x\r\n%s\r\n" % (size, data))
        position = after.end()
    return b"".join(parts) + b"0\r\n\r\n"
