"""The contract: every clause in order, and lookup by id.

The order is that of a client's day: it requests a token, authenticates, reads the response, keeps
the token, refreshes it, signs calls, and meets errors.
"""

from __future__ import annotations

import hashlib

from mockbroker.contract import clauses
from mockbroker.contract.clause import Clause

__all__ = ["CATALOGUE", "CATALOGUE_VERSION", "CHAPTERS", "clause_named"]

# Written out, not collected by a loop over modules: the order is that of every report.
CATALOGUE: tuple[Clause, ...] = (
    *clauses.request.CLAUSES,
    *clauses.basic.CLAUSES,
    *clauses.post.CLAUSES,
    *clauses.assertion.CLAUSES,
    *clauses.certificate.CLAUSES,
    *clauses.response.CLAUSES,
    *clauses.cache.CLAUSES,
    *clauses.refresh.CLAUSES,
    *clauses.signing.CLAUSES,
    *clauses.errors.CLAUSES,
    *clauses.secrecy.CLAUSES,
    *clauses.tls.CLAUSES,
    *clauses.cleanup.CLAUSES,
    *clauses.lifecycle.CLAUSES,
)
"""Every clause of the contract, in the order in which reports show them."""

CHAPTERS: tuple[str, ...] = tuple(dict.fromkeys(clause.chapter for clause in CATALOGUE))
"""The chapters of the contract, in order."""

# Eight digits suffice: they show that something changed, and protect nothing.
CATALOGUE_VERSION: str = hashlib.sha256(
    "\n".join(f"{c.id}\t{c.level.value}\t{c.title}" for c in CATALOGUE).encode()
).hexdigest()[:8]
"""A digest of every clause's id, level and title. A stored verdict names the version by which it
was reached, so that a test can find verdicts on clauses that have changed since."""

_BY_ID = {clause.id: clause for clause in CATALOGUE}


def clause_named(clause_id: str) -> Clause:
    """Return the clause with that id, which comes from a report or a user's file.

    Raises KeyError, with the id, if it is unknown. Code names clauses by their objects instead.
    """
    try:
        return _BY_ID[clause_id]
    except KeyError:
        # `from None`: the error of the dict would show the bare id a second time.
        raise KeyError(f"the catalogue has no clause {clause_id!r}") from None
