"""What is wrong with the head of a request that the parser rejects, in one sentence.

The sentences quote nothing of the request but the number of a line: the head may hold secrets.
"""

from __future__ import annotations

import re

__all__ = ["flaw_in_head", "is_host"]

# RFC 9110, 5.6.2 and 5.1: the name of a field is a token.
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:")
_BLANK_BEFORE_COLON = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]+:")
_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~\x80-\xff]+ HTTP/[0-9]\.[0-9]")
_CONTROL = re.compile(rb"[\0\r]")
# RFC 3986, 3.2.2 and 3.2.3. The host of an http URL is not empty (RFC 9110, 4.2.1), but the field
# is for a target without an authority (7.2). User information does not belong there either, but a
# clause names that mistake.
_HOST = re.compile(
    rb"(?:[!-.0-?A-~]*@)?(?:\[[0-9A-Fa-fvV:.]+\]|[0-9A-Za-z._~%!$&'()*+,;=-]*)(?::[0-9]*)?"
)


def is_host(value: bytes) -> bool:
    """Return whether a Host field may have that value."""
    return _HOST.fullmatch(value) is not None


def flaw_in_head(head: bytes) -> str:
    """Return the first flaw of a complete head; empty if no flaw is known."""
    first, *lines = re.split(rb"\r?\n", head.rstrip(b"\r\n"))
    if not _REQUEST_LINE.fullmatch(first):
        return "the first line must be a method, a path and HTTP/1.1, separated by one blank each"
    for number, line in enumerate(lines, start=2):
        flaw = _flaw_in_field(line, is_first=number == 2)  # noqa: PLR2004 - after the request line
        if flaw:
            return f"line {number} {flaw}"
    # HTTP/1.0 has no Host.
    return _flaw_in_framing(lines) if first.endswith(b"1.1") else ""


def _flaw_in_field(line: bytes, *, is_first: bool) -> str:
    """Return what is wrong with a header line; empty if nothing is."""
    if line[:1] in {b" ", b"\t"}:
        # RFC 9112, 5.2: a line that begins with a blank continues the field before it.
        return "begins with a blank, and continues nothing" if is_first else ""
    if _BLANK_BEFORE_COLON.match(line):
        return "has a blank between the name of the header and the colon"
    if not _FIELD.match(line):
        if b":" in line:
            return "has a character that the name of a header cannot have"
        return "has no colon: is the blank line between the head and the body missing?"
    return "has a NUL character or a bare carriage return" if _CONTROL.search(line) else ""


def _flaw_in_framing(lines: list[bytes]) -> str:
    """Return what is wrong with Host or Content-Length; empty if nothing is."""
    fields = [line.partition(b":") for line in lines]
    values: dict[bytes, list[bytes]] = {}
    for name, _, value in fields:
        values.setdefault(name.lower(), []).append(value.strip())
    hosts, lengths = values.get(b"host", []), values.get(b"content-length", [])
    if len(hosts) != 1:
        return "the Host header is missing" if not hosts else "there are several Host headers"
    if not is_host(hosts[0]):
        # RFC 9112, 3.2: the answer to "a Host header field with an invalid field value" is 400.
        return "Host is not a name or an address, with or without a port"
    if any(not length.isdigit() for length in lengths):
        return "Content-Length is not a number of bytes"
    return "there are several Content-Length headers" if len(set(lengths)) > 1 else ""
