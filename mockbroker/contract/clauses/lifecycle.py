"""Chapter ``lifecycle``: every clause, over any interleaving of events.

Its one clause stands for the state machine, which combines the events of the other chapters.
"""

from __future__ import annotations

from mockbroker.contract.clause import Clause, Impact, Level, provider

__all__ = ["CLAUSES", "LIFECYCLE"]

LIFECYCLE = Clause(
    id="lifecycle",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="keeps every clause above over any interleaving of calls, time, revocation, outages, "
    "changing lifetimes and rotated secrets (model-based state machine)",
    sources=(provider("expires_in"),),
    consequence="the client fails after certain sequences of events, although each alone works",
    why="A client may keep each rule alone and still break one after another event: a revocation "
    "in an outage, a shorter lifetime after a longer one.",
    fix="Follow the steps: they are the shortest sequence that was found to lead there.",
)

CLAUSES = (LIFECYCLE,)
