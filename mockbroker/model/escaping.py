"""Escaping of strings from outside the program, so that terminals and CI servers do not obey them.

Control characters move cursors, change window titles and forge lines. CI servers execute commands
in a log: GitHub Actions a line that begins with ``::error``, Azure and others ``##[error]``.
"""

from __future__ import annotations

import codecs
import re

__all__ = ["printable", "printable_lines"]

# GitHub looks for `::name` at the beginning of a line, in upper or lower case. Reports wrap lines,
# so any place can become the beginning: the names that GitHub knows are escaped everywhere.
_GITHUB_COMMANDS = (
    "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|"
    "save-state|set-env|set-output|stop-commands|warning"
)
_COMMAND = re.compile(
    rf"(?P<colons>^\s*::(?=[A-Za-z])|::(?={_GITHUB_COMMANDS}))|(?P<hashes>##(?=\w*\[))"
)


# Loaded now, not at the first such character: the process may have no file descriptor left then.
codecs.lookup("unicode_escape")


def printable(text: str) -> str:
    """Return the string as one line: each character that is not printable becomes an escape.

    That includes line breaks, lone surrogates, and characters that change the direction of text.
    """
    # Calls the methods of str itself: a subclass may be an object of the client under test.
    whole = str.__str__(text)
    escaped = whole if str.isprintable(whole) else "".join(map(_escaped, whole))
    # Both kinds of commands have one of these; looking for them takes less than the pattern.
    has_mark = "::" in escaped or "##" in escaped
    return _COMMAND.sub(_escaped_command, escaped) if has_mark else escaped


def printable_lines(text: str) -> str:
    """Return the string with every line `printable`; its line feeds stay."""
    return "\n".join(map(printable, str.split(text, "\n")))


def _escaped(character: str) -> str:
    """Return a printable character as it is, and any other as Python escapes it."""
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _escaped_command(found: re.Match[str]) -> str:
    """Return the beginning of a command in a form that no CI server recognizes."""
    # One character is enough to break the command, and the rest stays readable.
    if found["hashes"]:
        return r"\x23#"
    return found["colons"].replace("::", r"\x3a:")
