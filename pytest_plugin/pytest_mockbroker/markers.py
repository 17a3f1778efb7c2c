"""The marker that connects a test with the clause that it judges, and the name of a plugin."""

from __future__ import annotations

import pytest

__all__ = ["CLAUSE_MARKER", "RECEIVER", "clause_id_of"]

CLAUSE_MARKER = "contract_clause"
RECEIVER = "contract-verdict-receiver"
"""The name of the plugin that passes verdicts on to the process that reports the run."""


def clause_id_of(item: pytest.Item) -> str:
    """Return the id of the clause that a test judges; empty if it judges none.

    The closest marker counts, so that a class of tests may have one for all.
    """
    marker = item.get_closest_marker(CLAUSE_MARKER)
    # The marker has the clause itself, so that a misspelled name fails at import.
    return str(marker.args[0].id) if marker else ""
