"""The sound clients by name, with the clauses that each of them does not pass."""

from __future__ import annotations

from typing import Any

from mockbroker.contract.clause import Clause

__all__ = ["SOUND", "passes_all_but"]

SOUND: dict[str, tuple[Any, frozenset[Clause]]] = {}


def passes_all_but(*but: Clause) -> Any:
    """Register a factory and the clauses that its client does not pass."""

    def register(factory: Any) -> Any:
        SOUND[factory.__name__] = (factory, frozenset(but))
        return factory

    return register
