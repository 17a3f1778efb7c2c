"""Paths with parameters, such as ``/vehicle/{id}``: which paths fit, and how others differ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from urllib.parse import unquote

__all__ = ["PathTemplate"]

_PARAMETER = re.compile(r"\{([^{}]*)\}")
_ALIKE = 0.75
"""How similar two segments are, from 0 to 1, of which one is likely a misspelling of the other."""


@dataclass(frozen=True)
class PathTemplate:
    """A path below the API's prefix; ``{name}`` stands for a part of one segment.

    A segment is compared decoded: ``/caf%C3%A9`` fits ``/café``. A parameter is never empty, and
    has no slash. Raises TypeError if the path is not a string. Raises ValueError if it does not
    begin with a slash, has a query, or names a parameter twice or by something that is not an
    identifier.
    """

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise TypeError(f"a route's path must be a str, not {self.text!r}")
        if not self.text.startswith("/"):
            raise ValueError(
                f"a route's path must begin with a slash, not be {self.text!r}; it is relative to "
                "api_url"
            )
        if "?" in self.text or "#" in self.text:
            raise ValueError(
                f"a route's path has no query, but {self.text!r} has; a route answers any query"
            )
        names = self.parameters
        rest = _PARAMETER.sub("", self.text)
        if "{" in rest or "}" in rest or not all(name.isidentifier() for name in names):
            raise ValueError(
                f"a parameter of a route's path must be an identifier in braces, such as {{id}}; "
                f"{self.text!r} has another"
            )
        if len(set(names)) < len(names):
            raise ValueError(f"the path {self.text!r} names a parameter twice")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, in order."""
        return tuple(_PARAMETER.findall(self.text))

    @cached_property
    def _segments(self) -> tuple[str, ...]:
        return tuple(map(unquote, self.text.split("/")))

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        return tuple(map(_pattern, self._segments))

    def match(self, path: str) -> Mapping[str, str] | None:
        """Return the decoded parameters of a raw path, or None if the path does not fit."""
        segments = _decoded(path)
        if len(segments) != len(self._patterns):
            return None
        found: dict[str, str] = {}
        for pattern, segment in zip(self._patterns, segments, strict=True):
            fitting = pattern.fullmatch(segment)
            if fitting is None:
                return None
            found.update(fitting.groupdict())
        return found

    def difference(self, path: str, prefix: str) -> str:
        """Return how a raw path that does not fit misses by a likely mistake; empty if not near.

        ``prefix`` is that of the API, which a client may have added twice.
        """
        if path.startswith(prefix + "/") and self.match(path.removeprefix(prefix)) is not None:
            return f"{prefix} is part of api_url, and was added to it again"
        if self.text.startswith(prefix + "/") and self.match(prefix + path) is not None:
            return f"the route's path is relative to api_url, which ends with {prefix} already"
        return self._slashes(path) or self._case(path) or self._segment(path)

    def _slashes(self, path: str) -> str:
        """Recognize a slash too many or too few."""
        if self.match(path + "/") is not None:
            return "the slash at the end is missing"
        if self.match(path.rstrip("/")) is not None:
            return "the path has a slash at the end"
        if self.match(re.sub("/{2,}", "/", path)) is not None:
            return "the path has a double slash"
        return ""

    def _case(self, path: str) -> str:
        """Recognize another case of letters."""
        if PathTemplate(self.text.lower()).match(path.lower()) is not None:
            return "upper and lower case differ"
        return ""

    def _segment(self, path: str) -> str:
        """Recognize one segment that is misspelt, or a parameter that is empty."""
        segments = _decoded(path)
        if len(segments) != len(self._segments):
            return ""
        pairs = [
            (segment, wanted)
            for segment, wanted, pattern in zip(
                segments, self._segments, self._patterns, strict=True
            )
            if pattern.fullmatch(segment) is None
        ]
        if len(pairs) != 1:
            return ""
        found, wanted = pairs[0]
        if not found and _PARAMETER.fullmatch(wanted):
            return f"{wanted} is empty"
        is_alike = SequenceMatcher(None, found.lower(), wanted.lower()).ratio() >= _ALIKE
        return f"it has {found!r} in place of {wanted!r}" if is_alike else ""


def _decoded(path: str) -> tuple[str, ...]:
    """Return the segments of a raw path, each decoded: an encoded slash separates none."""
    return tuple(map(unquote, path.split("/")))


def _pattern(segment: str) -> re.Pattern[str]:
    """Return what the decoded segments look like that fit a segment with parameters."""
    # Literal texts and names of parameters alternate.
    literal, *rest = _PARAMETER.split(segment)
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return re.compile(
        re.escape(literal)
        + "".join(f"(?P<{name}>(?s:.+?)){re.escape(text)}" for name, text in pairs)
    )
