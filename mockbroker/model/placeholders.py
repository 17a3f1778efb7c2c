"""Placeholders: what documentation and templates have in place of a value.

A placeholder that is left in a request shows that a variable was not replaced, or that an example
was copied. The string that names it is safe to print: it is a name, not a value.
"""

from __future__ import annotations

import re

__all__ = ["placeholder_in", "stands_for_nothing"]

_NAME = r"[A-Za-z_][A-Za-z0-9_.:-]{0,40}"
# These forms have no other meaning, so they count anywhere in a value.
_ANYWHERE = re.compile(
    rf"\$\{{{_NAME}\}}|\{{\{{\s*\.?{_NAME}\s*\}}\}}|#\{{{_NAME}\}}|<%=?\s*{_NAME}\s*%>"
    rf"|\$env:[A-Za-z_]\w{{0,40}}|%(?=\w{{3,40}}%)[A-Z_]*[G-Z_][A-Z0-9_]*%|\$\({_NAME}\)"
)
# Secrets may have these characters too, so only a whole value counts.
_WHOLE = re.compile(
    rf"\$[A-Za-z_]\w{{0,40}}|%{_NAME}%|\{{\s*[A-Za-z_][\w.-]{{0,40}}\s*\}}|@{_NAME}@|__[A-Za-z]\w{{0,40}}__"
)
_BRACKETED = re.compile(r"<[^<>]{1,60}>|\[[^\[\]]{1,60}\]|\{[^{}]{1,60}\}")
_FILLED = re.compile(r"[xX]{3,}|\*{3,}|\.{3,}|…+|-{3,}|#{3,}|_{3,}|•{3,}|\?{3,}")
_LONGEST_NAME = 40
_TOPIC = re.compile(
    r"client|id|secret|token|user|pass|key|base64|cred|auth|encoded|value|here|basic|scheme|type",
    re.IGNORECASE,
)
# A word of a name, such as client, clientId and CLIENT; random characters change their case more
# often.
_WORD = re.compile(r"(?:[A-Z]+|[A-Z]?[a-z]+(?:[A-Z][a-z]+){0,3}[A-Z]{0,2})[0-9]{0,3}")
# Names that stand for themselves in examples. `my-client` is not among them: it may be an id.
_EXAMPLE = re.compile(
    r"(?:my|the|your)?[-_ ]?(?:client|app|application|api|consumer)[-_ ]?(?:id|secret|key)"
    r"|your[-_ ]?(?:client|app|api|user|secret|key|token|password|id)\w{0,20}"
    r"|change_?(?:me|it|this)|todo|fixme|tbd|redacted|hidden|masked",
    re.IGNORECASE,
)
_VERBS = frozenset({"your", "insert", "enter", "replace", "change", "paste", "put", "add", "my"})
_NOUNS = frozenset(
    {"id", "secret", "key", "token", "password", "here", "me", "this", "credentials", "scheme"}
)
# What languages print for a value that is missing.
_NOTHING = frozenset({"none", "null", "undefined", "nil", "nan", "(null)", "[object object]"})


def placeholder_in(text: str) -> str:
    """Return the placeholder in a value, in a form that is safe to print; empty without one."""
    whole = text.strip(" \t\r\n\"'")
    found = _ANYWHERE.search(text) or _WHOLE.fullmatch(whole)
    if found:
        return found[0]
    if _BRACKETED.fullmatch(whole):
        return whole if _is_name(whole[1:-1]) and whole.lower() not in _NOTHING else ""
    if _FILLED.fullmatch(whole):
        return f"{whole[:3]}…" if whole[0] != "…" else "…"
    return whole if _EXAMPLE.fullmatch(whole) or _is_instruction(whole) else ""


def _is_name(text: str) -> bool:
    """Return whether the content of brackets names a value; otherwise it may be one."""
    # Brackets around a value are a mistake of another kind, and the value must not be printed.
    words = filter(None, re.split(r"[ _():.+-]", text))
    is_short = len(text) <= _LONGEST_NAME
    return is_short and bool(_TOPIC.search(text)) and all(map(_WORD.fullmatch, words))


def _is_instruction(text: str) -> bool:
    """Return whether the value is a request to replace it, such as YOUR_CLIENT_ID."""
    first, *others = re.split(r"[-_ ]", text.lower())
    return first in _VERBS and not _NOUNS.isdisjoint(others)


def stands_for_nothing(text: str) -> bool:
    """Return whether the value is the word that a language prints for a missing value."""
    return text.strip(" \t\r\n\"'").lower() in _NOTHING
