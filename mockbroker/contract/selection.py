"""Selecting clauses by what a user writes."""

from __future__ import annotations

from fnmatch import fnmatchcase

__all__ = ["is_meant", "patterns_in"]


def is_meant(clause_id: str, pattern: str) -> bool:
    """Whether a clause's id holds the pattern, or one of several with commas between them.

    A pattern may have shell wildcards; an empty one means every clause.
    """
    parts = patterns_in(pattern)
    return not parts or any(fnmatchcase(clause_id, f"*{part}*") for part in parts)


def patterns_in(text: str) -> list[str]:
    """The patterns that a user has written with commas between them."""
    return [part.strip() for part in text.split(",") if part.strip()]
