"""The words of a pasted command, as its shell would divide it.

Three shells are known: those of Unix, cmd.exe and PowerShell. No command is run: variables stay as
they are, and of command substitutions only the usual way to make Base64 is worked out.
"""

from __future__ import annotations

import base64
import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mockbroker.cli.pasted_text import Mistake, MistakeKind, UnreadableRequestError

__all__ = ["Shell", "Words", "split_words"]


class Shell(enum.Enum):
    """The shell for which a command is written."""

    UNIX = "sh"
    CMD = "cmd.exe"
    POWERSHELL = "PowerShell"


@dataclass(slots=True)
class Words:
    """The words of a command, and the mistakes in its quoting."""

    words: list[str] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)


_SUBSTITUTION = r"\$\((?P<command>(?:[^()]|\([^()]*\))*)\)"
_COMMON = r"""
    (?P<ampersand>&(?=[\w%.-]+=))
  | (?P<end>&&|\|\||[;|&]|\#(?=\s)|[ \t]*\r?\n(?!\s*(?:-|["']?https?:|$)))
  | (?P<redirection>[0-9]?(?:>>?|<)(?:&[0-9]|\s*[^\s;|&]+))
  | (?P<blank>\s+)
"""
_PIECES = {
    Shell.UNIX: re.compile(
        rf"""
        '(?P<single>[^']*)'
      | \$'(?P<ansi>(?:\\.|[^'\\])*)'
      | "(?P<double>(?:\\.|[^"\\])*)"
      | \\(?P<escaped>.)
      | {_SUBSTITUTION}
      | {_COMMON}
      | (?P<plain>[^\s'"\\&;|<>$]+|\$(?!')|<[A-Za-z][\w -]*>)
        """,
        re.VERBOSE | re.DOTALL,
    ),
    # The program takes \" for a quote within quotes; cmd.exe knows no single quotes.
    Shell.CMD: re.compile(
        rf"""
        "(?P<double>(?:\\["\\]|""|[^"])*)"
      | \^(?P<escaped>.)
      | {_COMMON}
      | (?P<plain>[^\s"^&;|<>]+|;|<[A-Za-z][\w -]*>)
        """,
        re.VERBOSE | re.DOTALL,
    ),
    Shell.POWERSHELL: re.compile(
        rf"""
        '(?P<single>(?:''|[^'])*)'
      | "(?P<double>(?:`.|""|\\"|[^"`])*)"
      | `(?P<escaped>.)
      | {_SUBSTITUTION}
      | {_COMMON}
      | (?P<plain>[^\s'"`&;|<>$]+|\$|<[A-Za-z][\w -]*>)
        """,
        re.VERBOSE | re.DOTALL,
    ),
}
_ENCODER = r"(?:base64(?:\s+-w\s*0|\s+--wrap=0)?|openssl\s+(?:enc\s+-)?base64(?:\s+-A)?)"
_ENCODED = re.compile(
    rf"""\s*(?P<program>echo|printf)(?P<options>(?:\s+-[neE]+)*)(?:\s+['"]?%s['"]?)?
    \s+(?P<quote>['"]?)(?P<text>[^'"|]+?)(?P=quote)\s*\|\s*{_ENCODER}
    (?:\s*\|\s*tr\s+-d\s+\S+)?\s*
    | \s*{_ENCODER}\s*<<<\s*(?P<quote2>['"]?)(?P<here>[^'"|]+?)(?P=quote2)\s*""",
    re.VERBOSE,
)
_ANSI_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def split_words(text: str, shell: Shell) -> Words:
    """Return the words up to the end of the command.

    Raises UnreadableRequestError if a quote is not closed.
    """
    result = Words()
    word: str | None = None
    for found in _pieces(text, shell):
        kind = found.lastgroup or ""
        if kind in {"blank", "end", "redirection"}:
            if word is not None:
                result.words.append(word)
            word = None
            if kind == "end":
                break
            continue
        if kind == "ampersand":
            result.mistakes.append(_AMPERSAND)
        word = (word or "") + _value(found, shell)
    if word is not None:
        result.words.append(word)
    return result


_AMPERSAND = Mistake(
    MistakeKind.UNQUOTED_AMPERSAND,
    "there is an & outside quotes: a shell ends the command there; put the URL or the data in "
    "quotes",
)


def _pieces(text: str, shell: Shell) -> Iterator[re.Match[str]]:
    """Yield the pieces of a command: quoted and plain parts of words, blanks, operators."""
    position = 0
    while position < len(text):
        found = _PIECES[shell].match(text, position)
        if not found:
            raise UnreadableRequestError(
                "the curl command is malformed: No closing quotation, or a backslash at its end"
            )
        yield found
        position = found.end()


def _value(found: re.Match[str], shell: Shell) -> str:
    """Return what a piece adds to its word."""
    kind = found.lastgroup or ""
    text = found[kind]
    if kind == "command":
        return _substituted(text, found[0])
    if kind == "ansi":
        return re.sub(r"\\(.)", lambda each: _ANSI_ESCAPES.get(each[1], each[1]), text)
    if kind == "single":
        return text.replace("''", "'")
    if kind != "double":
        return text
    if shell is Shell.POWERSHELL:
        return re.sub(r"`(.)", r"\1", text).replace('""', '"').replace('\\"', '"')
    if shell is Shell.CMD:
        return re.sub(r'\\(["\\])', r"\1", text).replace('""', '"')
    plain = re.sub(r'\\(["\\$`])', r"\1", text)
    return re.sub(_SUBSTITUTION, lambda each: _substituted(each["command"], each[0]), plain)


def _substituted(command: str, whole: str) -> str:
    """Return the Base64 text that a command would print; the command itself if it is another."""
    found = _ENCODED.fullmatch(command)
    if not found:
        return whole
    text = found["text"] or found["here"]
    # echo and here-strings add a line feed, which is the mistake in question.
    has_line_feed = found["program"] != "printf" and "n" not in (found["options"] or "")
    return base64.b64encode((text + "\n" * has_line_feed).encode()).decode()
