"""Text from outside the program, escaped so that no terminal, log viewer or file format obeys it.

Control characters move cursors, retitle windows and forge lines. CI servers execute commands that
they find in a log: GitHub Actions a line that begins ``::error``, Azure and others ``##[error]``.
"""

from __future__ import annotations

import codecs
import re

__all__ = ["printable", "printable_lines"]

# GitHub looks for `::name` at the beginning of a line, in upper or lower case. Reports wrap lines,
# so the names that it knows are escaped wherever they are.
_GITHUB_COMMANDS = (
    "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|"
    "save-state|set-env|set-output|stop-commands|warning"
)
_COMMAND = re.compile(
    rf"(?P<colons>^\s*::(?=[A-Za-z])|::(?={_GITHUB_COMMANDS}))|(?P<hashes>##(?=\w*\[))"
)


# Loaded now, not when the first odd character comes: a file descriptor may be missing by then.
codecs.lookup("unicode_escape")


def printable(text: str) -> str:
    """Return the text as one line: each character that is not printable becomes an escape.

    That includes line breaks, lone surrogates, and characters that change the direction of text.
    """
    # The methods of str itself: a subclass may be an object of the client under test.
    whole = str.__str__(text)
    escaped = whole if str.isprintable(whole) else "".join(map(_escaped, whole))
    return _COMMAND.sub(_harmless, escaped)


def printable_lines(text: str) -> str:
    """Return the text with every line `printable`; only its line feeds are left as they are."""
    return "\n".join(map(printable, str.split(text, "\n")))


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _harmless(found: re.Match[str]) -> str:
    if found["hashes"]:
        return r"\x23#"
    return found["colons"].replace("::", r"\x3a:")
