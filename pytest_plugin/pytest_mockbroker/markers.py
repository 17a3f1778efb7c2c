"""The names and keys that parts of the plugin share, without an expensive import."""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["CLAUSE_MARKER", "RAISED", "RECEIVER", "SESSION", "clause_id_of"]

CLAUSE_MARKER = "contract_clause"
RECEIVER = "contract-verdict-receiver"
"""The name of the plugin that passes verdicts on to the process that reports the run."""

SESSION: pytest.StashKey[Any] = pytest.StashKey()
"""Where a run keeps its `BrokerSession` once a fixture or an ini setting needs it."""
RAISED: pytest.StashKey[bool] = pytest.StashKey()
"""Where a test keeps that an exception ended a phase of it."""


def clause_id_of(item: pytest.Item) -> str:
    """Return the id of the clause that a test judges; empty if it judges none.

    The closest marker counts, so that a class of tests may have one for all.
    """
    marker = item.get_closest_marker(CLAUSE_MARKER)
    # The marker has the clause itself, so that a misspelled name fails at import.
    return str(marker.args[0].id) if marker else ""
