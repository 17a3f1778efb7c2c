"""Reading the texts of a report again: exchanges as messages, a story as a timeline of tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Message", "Timeline", "TokenLife", "TokenUse", "message_in", "timeline_of"]

_MESSAGE = re.compile(
    r"(?:\+(?P<at>[\d.]+) s\s+)?#(?P<number>\d+) (?P<method>[A-Z]+) (?P<target>\S+) ?"
    r"(?P<headers>.*?) → (?P<answer>.*)"
)
_PREFIX = re.compile(r"^/x\d+(?=/)")
# Only whole steps count: a client's error message may quote something that looks like one.
_NUMBER = r"(?P<seconds>-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_STEP = re.compile(rf"\+{_NUMBER} s")
_LIFETIME = re.compile(rf"the broker (?:now )?issues tokens with expires_in={_NUMBER}")
_USE = re.compile(r"[^→]*→ token #(?P<number>\d+)(?P<fetched> \(fetched\))?, (?P<state>\w+)")


@dataclass(frozen=True, slots=True)
class Message:
    """An exchange: who was asked, what, and what came back; ``notes`` say what was wrong."""

    number: str
    is_api_call: bool
    asked: str
    answered: str
    at: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether the answer is an error, or there is none."""
        return not self.answered.startswith(("1", "2", "3"))


@dataclass(frozen=True, slots=True)
class TokenUse:
    """A token presented, or returned, so many seconds into the story."""

    at: float
    state: str

    @property
    def is_late(self) -> bool:
        """Whether the token was not valid any more."""
        return self.state != "valid"


@dataclass(frozen=True, slots=True)
class TokenLife:
    """A token: when it was issued and for how long, in seconds; when it was used."""

    label: str
    issued_at: float
    expires_in: float
    uses: tuple[TokenUse, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The tokens of a story, and how many seconds it covers."""

    lives: tuple[TokenLife, ...] = ()
    ends_at: float = 0.0


def message_in(text: str) -> Message | None:
    """The exchange that a text of a report tells; None if it is written in another way."""
    first, *others = text.splitlines() or [""]
    found = _MESSAGE.fullmatch(first.strip())
    if found is None:
        return None
    target = _PREFIX.sub("", found["target"])
    bearer = re.search(r"Bearer (<[^>]*>)?", found["headers"])
    token = f" with {bearer[1]}" if bearer and bearer[1] else ""
    return Message(
        number=found["number"],
        is_api_call=bearer is not None or target.startswith("/v2/"),
        asked=f"{found['method']} {target}{token}",
        answered=found["answer"],
        at=f"+{found['at']} s" if found["at"] else "",
        notes=tuple(line.strip() for line in others),
    )


@dataclass
class _Reader:
    """Where the reading of a story is."""

    now: float = 0.0
    lifetime: float | None = None
    issued: dict[str, tuple[float, float]] = field(default_factory=dict)
    uses: dict[str, list[TokenUse]] = field(default_factory=dict)

    def read(self, line: str) -> None:
        step, lifetime, use = _STEP.fullmatch(line), _LIFETIME.fullmatch(line), _USE.match(line)
        if step is not None:
            self.now += _finite(step["seconds"])
        if lifetime is not None:
            self.lifetime = _finite(lifetime["seconds"])
        if use is not None:
            self._use(use["number"], use["state"], is_fetched=use["fetched"] is not None)

    def _use(self, number: str, state: str, *, is_fetched: bool) -> None:
        if is_fetched and number not in self.issued and self.lifetime is not None:
            self.issued[number] = (self.now, self.lifetime)
        self.uses.setdefault(number, []).append(TokenUse(self.now, state))


def _finite(number: str) -> float:
    """The number; nothing that is drawn is as large as what a float cannot hold."""
    value = float(number)
    return value if math.isfinite(value) else 0.0


def timeline_of(story: Iterable[str]) -> Timeline:
    """The tokens that the steps of a story tell of, as far as they tell when each was issued."""
    reader = _Reader()
    for line in story:
        reader.read(line.strip())
    lives = tuple(
        TokenLife(f"token #{number}", *reader.issued[number], tuple(uses))
        for number, uses in reader.uses.items()
        if number in reader.issued
    )
    return Timeline(lives, reader.now)
