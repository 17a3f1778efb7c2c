"""Texts that a client makes visible, as its driver reports them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Exposure"]


@dataclass(frozen=True, slots=True)
class Exposure:
    """Visible texts, each with its place."""

    texts: list[tuple[str, str]] = field(default_factory=list)

    def first_with(self, secrets: Iterable[str]) -> str:
        """Return the place of the first text with any of the secrets; empty if none has one.

        The texts are searched for exact secrets, not for patterns. So a text that only resembles a
        secret is never reported.
        """
        wanted = tuple(secrets)
        for where, text in self.texts:
            if any(secret in text for secret in wanted):
                return where
        return ""
