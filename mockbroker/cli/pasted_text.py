"""Pasted text: what was read from it, what the paste had lost, and what is wrong with it.

The input comes from logs, tickets and editors. What a paste loses, such as a final line feed, is
repaired and reported. What is wrong with the command or the message itself is a mistake.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from mockbroker.model.messages import Request

__all__ = ["Mistake", "MistakeKind", "Pasted", "Repair", "UnreadableRequestError", "repaired_text"]


class UnreadableRequestError(ValueError):
    """The text is neither an HTTP request nor a curl command; the message says why.

    The message quotes little of the input, which may hold secrets.
    """


class Repair(str, enum.Enum):
    """Something that a paste added or lost, and that was undone. It is not a mistake.

    The values are words of the output, and part of the JSON document.
    """

    BYTE_ORDER_MARK = "removed a byte order mark"
    UTF_16 = "decoded UTF-16"
    FENCE = "removed a Markdown fence"
    INDENTATION = "removed the indentation"
    QUOTATION = "removed the > before each line"
    CURL_OUTPUT = "took the lines with > from the output of curl -v"
    PROMPT = "removed the prompt of a shell"
    VERSION = "added or replaced the HTTP version"
    HOST = "added a Host header"
    CONTENT_LENGTH = "added a Content-Length header"
    FINAL_LINE_FEED = "removed a line feed at the end of the body"
    CARRIAGE_RETURNS = "restored the line ends of the body or of its chunks"
    CHUNKS_REMOVED = "removed Transfer-Encoding, because the body has no chunks any more"


class MistakeKind(str, enum.Enum):
    """A kind of mistake in a command or in the framing of a message, as opposed to a request.

    The values are part of the JSON document.
    """

    NO_BLANK_LINE = "no-blank-line"
    BLANK_BEFORE_COLON = "blank-before-colon"
    FOLDED_HEADER = "folded-header"
    WRONG_LENGTH = "wrong-content-length"
    USERINFO = "credentials-in-url"
    TYPOGRAPHIC_DASH = "typographic-dash"
    TYPOGRAPHIC_QUOTES = "typographic-quotes"
    HIDDEN_CHARACTER = "hidden-character"
    ENTITIES = "html-entities"
    UNQUOTED_AMPERSAND = "unquoted-ampersand"
    SINGLE_QUOTES = "single-quotes-of-cmd"
    EXTRA_WORD = "extra-word"
    LINE_BREAK = "unescaped-line-break"
    REPEATED_OPTION = "repeated-option"
    NO_SECRET = "no-secret"  # noqa: S105 - a kind of mistake, not a password
    GET_WITH_DATA = "get-with-data"
    PLACEHOLDER_IN_HOST = "placeholder-in-host"
    OTHER_AUTHENTICATION = "other-authentication"


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a command or in the framing of a message, in one sentence."""

    kind: MistakeKind
    text: str


@dataclass(frozen=True, slots=True)
class Pasted:
    """A request that was read from pasted text.

    ``mistakes`` has a sentence for each mistake in the command or the message. ``is_body_unknown``
    says that the text has the head only, as the output of ``curl -v`` does.
    """

    request: Request
    repairs: tuple[Repair, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    is_body_unknown: bool = False


_FENCE = re.compile(rb"^[ \t]*(?:```|~~~)[^\n]*\n|\n?[ \t]*(?:```|~~~)[ \t]*\s*$")
_CURL_REQUEST_LINE = re.compile(rb"^> [A-Za-z]+ \S+ HTTP/", re.MULTILINE)


def repaired_text(text: bytes) -> tuple[bytes, list[Repair]]:
    """Return the text without what pages, tickets and terminals put around a request."""
    repairs: list[Repair] = []
    text = _decoded(text, repairs)
    without_fence = _FENCE.sub(b"", text.lstrip(b"\r\n"))
    if without_fence != text.lstrip(b"\r\n"):
        repairs.append(Repair.FENCE)
    text = _without_indentation(without_fence, repairs)
    return _without_quotation(text, repairs), repairs


def _decoded(text: bytes, repairs: list[Repair]) -> bytes:
    """Return the text in UTF-8 and without a byte order mark."""
    if text[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        # What `>` of Windows PowerShell writes.
        repairs.append(Repair.UTF_16)
        return text.decode("utf-16", "replace").encode()
    if text.startswith(b"\xef\xbb\xbf"):
        repairs.append(Repair.BYTE_ORDER_MARK)
        return text[3:]
    return text


def _without_indentation(text: bytes, repairs: list[Repair]) -> bytes:
    """Return the text without the indentation that every line shares with the first."""
    found = re.match(rb"\s*?([ \t]+)\S", text)
    if not found:
        return text
    indentation = found[1]
    lines = text.split(b"\n")
    if any(line.strip() and not line.startswith(indentation) for line in lines):
        lines = [line.lstrip(b" \t") if not n else line for n, line in enumerate(lines)]
    else:
        lines = [line.removeprefix(indentation) for line in lines]
    repairs.append(Repair.INDENTATION)
    return b"\n".join(lines)


def _without_quotation(text: bytes, repairs: list[Repair]) -> bytes:
    """Return the text without the > of a quotation, or of the output of curl -v."""
    lines = text.split(b"\n")
    if _CURL_REQUEST_LINE.search(text) and any(line[:2] in {b"* ", b"< "} for line in lines):
        repairs.append(Repair.CURL_OUTPUT)
        return b"\n".join(line[2:] for line in lines if line[:1] == b">") + b"\n"
    if lines[0].startswith(b">") and all(line[:1] in {b">", b"", b"\r"} for line in lines):
        # A prompt of a shell is > as well; that command needs no quotation in later lines.
        repairs.append(Repair.QUOTATION)
        return b"\n".join(re.sub(rb"^>[ ]?", b"", line) for line in lines)
    return text
