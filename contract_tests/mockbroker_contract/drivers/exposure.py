"""What a client lets others see, as its driver reports it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Exposure"]


@dataclass(frozen=True, slots=True)
class Exposure:
    """Texts that could be seen, each with where."""

    texts: list[tuple[str, str]] = field(default_factory=list)

    def first_with(self, secrets: Iterable[str]) -> str:
        """Where the first text was that has any of the secrets; empty if none has."""
        wanted = tuple(secrets)
        for where, text in self.texts:
            if any(secret in text for secret in wanted):
                return where
        return ""
