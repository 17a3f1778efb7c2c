"""Breaches of clauses, as values.

A breach names its clause by id, because the model does not import the contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Breach", "hints_of", "in_one_line"]


@dataclass(frozen=True, slots=True)
class Breach:
    """Evidence that a client broke a clause.

    ``what`` says what was observed, and ``expected`` what should have been. ``hints``
    names the likely mistakes, the most likely first. ``exchanges`` has the numbers of the exchanges
    in the journal that show it. No field holds a secret or a token in clear.

    Judges find flaws. `mockbroker.contract.judging` makes breaches of them, and adds the hints.
    """

    clause_id: str
    what: str
    expected: str
    hints: tuple[str, ...] = ()
    exchanges: tuple[int, ...] = ()

    @property
    def hint(self) -> str:
        """The hints in one line; empty without a hint."""
        return in_one_line(self.hints)

    @property
    def in_words(self) -> str:
        """The observation, the expectation and the hint, in one line."""
        text = f"{self.what}; expected {self.expected}"
        return f"{text} (hint: {self.hint})" if self.hint else text

    def __str__(self) -> str:
        return f"{self.clause_id}: {self.in_words}"


def hints_of(breaches: Iterable[Breach]) -> tuple[str, ...]:
    """Return the hints of all breaches in their order, each once: breaches often share one."""
    return tuple(dict.fromkeys(hint for breach in breaches for hint in breach.hints))


def in_one_line(hints: Iterable[str]) -> str:
    """Return hints as one line."""
    return "; also: ".join(hints)
