"""Placeholders in a profile: in paths such as ``/{tenant}/oauth2/v2.0/token``, and in bodies.

In a path it matches a part of one segment, as providers have a tenant or an account there. In
a body only a lower-case name in braces is one, because JSON has braces of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

__all__ = [
    "filled",
    "filled_text",
    "has_placeholders",
    "matches",
    "placeholder_problem",
    "placeholders_in",
    "placeholders_in_text",
    "values_in",
]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_IN_TEXT = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def placeholders_in_text(text: str) -> tuple[str, ...]:
    """Return the names of the placeholders in a body."""
    return tuple(_IN_TEXT.findall(text))


def filled_text(text: str, values: Mapping[str, str], escape: Callable[[str], str]) -> str:
    """Return a body with its placeholders replaced by their escaped values."""
    return _IN_TEXT.sub(lambda found: escape(values.get(found[1], "")), text)


def has_placeholders(path: str) -> bool:
    """Return whether a path of a profile has placeholders."""
    return "{" in path


def placeholders_in(path: str) -> tuple[str, ...]:
    """Return the names of a path's placeholders, in order."""
    return tuple(_PLACEHOLDER.findall(path))


def placeholder_problem(path: str) -> str:
    """Return what is wrong with the placeholders of a path; empty if nothing is."""
    rest = _PLACEHOLDER.sub("", path)
    if "{" in rest or "}" in rest:
        return f"a brace is not closed in {path!r}; write a placeholder as {{tenant}}"
    wrong = [name for name in placeholders_in(path) if not name.isidentifier()]
    if wrong:
        return f"{{{wrong[0]}}} is not a placeholder; write a name between braces, as in {{tenant}}"
    return ""


def filled(path: str, values: Mapping[str, str]) -> str:
    """Return a path with its placeholders replaced; one without a value becomes its own name."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[1]), path)


def matches(pattern: str, path: str) -> bool:
    """Return whether a raw path fits a pattern, with any value for each placeholder."""
    if not has_placeholders(pattern):
        return path == pattern
    return _compiled(pattern).fullmatch(path) is not None


def values_in(pattern: str, path: str) -> Mapping[str, str]:
    """Return the values that a raw path has for the placeholders of a pattern; empty for none."""
    found = _compiled(pattern).fullmatch(path) if has_placeholders(pattern) else None
    return dict(zip(placeholders_in(pattern), found.groups(), strict=True)) if found else {}


# A broker has a few patterns, and compares each request with all of them.
@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return the paths that fit a pattern as a regular expression."""
    literals = _PLACEHOLDER.split(pattern)[::2]
    return re.compile("([^/]+)".join(map(re.escape, literals)))
