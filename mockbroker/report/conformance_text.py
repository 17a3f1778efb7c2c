"""What a failed `assert_conforms` says: breaches, the exchanges that show them, what was seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mockbroker.broker.conformance import Tally, timeline
from mockbroker.contract.catalogue import clause
from mockbroker.contract.judges import never_reached, reached
from mockbroker.model.breach import Breach
from mockbroker.model.exchange import Trace

__all__ = ["breaches_text", "forgotten_text", "nothing_seen_text"]


def nothing_seen_text(trace: Trace) -> str:
    """Return why a trace without a token request cannot be judged."""
    seen = Tally.of(trace.exchanges)
    return f"nothing to judge: the broker saw no token request (seen: {seen})"


def breaches_text(trace: Trace, breaches: Sequence[Breach]) -> str:
    """Return the breaches and the exchanges of the trace that show them; secrets are not masked.

    After them it says what was seen altogether, and which clauses the trace says nothing about.
    """
    shown = {number for breach in breaches for number in breach.exchanges}
    traffic = timeline(e for e in trace.exchanges if e.number in shown)
    count = f"{len(breaches)} breach" + ("es" if len(breaches) > 1 else "")
    broken = {breach.clause_id for breach in breaches}
    return "\n".join(
        [
            f"the client breaks the contract ({count}):",
            *(f"{clause(b.clause_id).level.value} {b}" for b in breaches),
            "",
            *traffic,
            "",
            "; ".join(filter(None, (f"seen: {Tally.of(trace.exchanges)}", forgotten_text(trace)))),
            *_by_reason(never_reached(reached(trace) | broken)),
        ]
    )


def forgotten_text(trace: Trace) -> str:
    """Return how many exchanges came before those of the trace, empty if none did."""
    before = trace.exchanges[0].number - 1
    were = "exchange before was" if before == 1 else "exchanges before were"
    return f"{before} {were} forgotten, and not judged" if before else ""


def _by_reason(reasons: Mapping[str, str]) -> list[str]:
    """Return each reason once, with the ids of the clauses that it holds for."""
    ids_by_reason: dict[str, list[str]] = defaultdict(list)
    for clause_id, reason in reasons.items():
        ids_by_reason[reason].append(clause_id)
    return [f"{', '.join(ids)}: {reason}" for reason, ids in ids_by_reason.items()]
