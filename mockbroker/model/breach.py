"""Breaches of clauses, as values.

A breach names its clause by id, because the model does not import the contract.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Breach"]


@dataclass(frozen=True, slots=True)
class Breach:
    """Evidence that a client broke a clause.

    ``what`` says what was observed, and ``expected`` what should have been. ``hint`` names the
    likely mistake, empty if unknown. ``exchanges`` has the numbers of the exchanges in the journal
    that show it. No field holds a secret or a token in clear.

    Judges find flaws. `mockbroker.contract.judging` makes breaches of them, and adds the hints.
    """

    clause_id: str
    what: str
    expected: str
    hint: str = ""
    exchanges: tuple[int, ...] = ()

    @property
    def in_words(self) -> str:
        """The observation, the expectation and the hint, in one line."""
        text = f"{self.what}; expected {self.expected}"
        return f"{text} (hint: {self.hint})" if self.hint else text

    def __str__(self) -> str:
        return f"{self.clause_id}: {self.in_words}"
