"""What breaking a clause looks like."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Breach"]


@dataclass(frozen=True, slots=True)
class Breach:
    """Evidence that a client broke a clause.

    ``what`` says what was observed, ``expected`` what would have been right, ``hint`` the likely
    mistake in plain words (empty if none is known), ``exchanges`` the numbers of the exchanges
    in the journal that show it. None of them ever holds a secret or a token in clear.
    """

    clause_id: str
    what: str
    expected: str
    hint: str = ""
    exchanges: tuple[int, ...] = ()

    @property
    def in_words(self) -> str:
        """What was observed, what was expected, and the hint, in one line."""
        text = f"{self.what}; expected {self.expected}"
        return f"{text} (hint: {self.hint})" if self.hint else text

    def __str__(self) -> str:
        return f"{self.clause_id}: {self.in_words}"
