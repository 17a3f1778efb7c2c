"""Chapter ``cleanup``: what a client leaves behind, in its process and at the end of it.

No document asks for any of it: hence PRACTICE.
"""

from __future__ import annotations

from mockbroker.contract.clause import Clause, Impact, Level

__all__ = ["BOUNDED", "CLAUSES", "ENDS"]

ENDS = Clause(
    id="cleanup.ends",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title="once it is closed or dropped, the program can end: no timer or thread holds it up",
    consequence="programs that use the client do not end by themselves",
    why="A script that makes one call does not end for an hour, because a timer waits for the next "
    "refresh. In a container it is killed in the end, and the job counts as failed.",
    fix="Make timers and threads daemons, and cancel them in close(). Or refresh at the next call, "
    "without a thread.",
)
BOUNDED = Clause(
    id="cleanup.bounded",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title="threads, sockets and files do not grow with the number of tokens, of failed token "
    "requests, or of clients that were closed",
    consequence="the client leaks threads, connections or files until it fails after days",
    why="A client that leaves a thread or a connection behind for each token fails after days, "
    "with an error about threads or open files that names neither the client nor the token.",
    fix="Cancel the old timer when you start a new one. Keep one HTTP session, and overwrite one "
    "file. End threads when a request fails, and in close().",
)

CLAUSES = (ENDS, BOUNDED)
