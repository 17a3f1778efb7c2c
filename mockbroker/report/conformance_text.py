"""The messages of `assert_conforms`: breaches, and the exchanges that show them.

The messages stand in the failure of a user's test. So they also name what the test could not show.

The broker chooses the breaches; this module only words them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mockbroker.broker.conformance import Tally
from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.judging import met_preconditions, unmet_preconditions
from mockbroker.model.breach import Breach
from mockbroker.model.exchange import Trace
from mockbroker.model.exchange_record import records_of
from mockbroker.model.profile import Profile
from mockbroker.report.wording import exchange_lines

__all__ = ["breaches_text", "forgotten_text", "nothing_seen_text"]


def nothing_seen_text(trace: Trace) -> str:
    """Return why a trace without a token request cannot be judged.

    The usual cause is an app that reads another URL from its settings. The counts show whether any
    request came at all.
    """
    seen = Tally.of(trace.exchanges)
    return f"nothing to judge: the broker saw no token request (seen: {seen})"


def breaches_text(trace: Trace, breaches: Sequence[Breach], profile: Profile) -> str:
    """Return the breaches and the exchanges of the trace that show them; secrets are not masked.

    After them come the counts of all exchanges, and the clauses that the trace could not test.
    """
    numbers = {number for breach in breaches for number in breach.exchanges}
    # Only these: the journal may hold a thousand exchanges.
    records = records_of(e for e in trace.exchanges if e.number in numbers)
    count = f"{len(breaches)} breach" + ("es" if len(breaches) > 1 else "")
    broken = {breach.clause_id for breach in breaches}
    met = {clause.id for clause in met_preconditions(trace, profile)}
    return "\n".join(
        [
            f"the client breaks the contract ({count}):",
            *(f"{clause_named(b.clause_id).level.value} {b}" for b in breaches),
            "",
            # With times: many clauses are about when a client refreshes or retries.
            *exchange_lines(records, with_times=True),
            "",
            "; ".join(filter(None, (f"seen: {Tally.of(trace.exchanges)}", forgotten_text(trace)))),
            # A broken clause was tested, whether or not its precondition was met.
            *_by_reason(unmet_preconditions(met | broken, profile)),
        ]
    )


def forgotten_text(trace: Trace) -> str:
    """Return how many exchanges were dropped before those of the trace; empty if none were.

    The broker numbers exchanges from 1 and drops the oldest first, so the first number is enough.
    The trace must not be empty.
    """
    before = trace.exchanges[0].number - 1
    were = "exchange before was" if before == 1 else "exchanges before were"
    return f"{before} {were} forgotten, and not judged" if before else ""


def _by_reason(reasons: Mapping[str, str]) -> list[str]:
    """Return each reason once, with the ids of the clauses that it holds for.

    Many clauses share a reason. A line for each clause would push the breaches off the screen.
    """
    ids_by_reason: dict[str, list[str]] = defaultdict(list)
    for clause_id, reason in reasons.items():
        ids_by_reason[reason].append(clause_id)
    return [f"{', '.join(ids)}: {reason}" for reason, ids in ids_by_reason.items()]
