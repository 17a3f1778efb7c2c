"""Measured load: the token requests of a day, and those of many uses at once.

Measurements change no verdict: what breaks a clause in them is judged by test cases of its own.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker_contract.drivers.driver import GET_TOKEN
from mockbroker_contract.drivers.failures import ScenarioEnded
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.findings import Findings
from mockbroker_contract.harness.hangs import Hangs
from mockbroker_contract.harness.leeway import MEASURED_LIFETIME, Leeway
from mockbroker_contract.harness.run import ContractRun

__all__ = ["measure_day", "measure_herd"]

_CREDENTIALS = Credentials("measured-client", "measured-s3cret")
_DAY_SECONDS = 86_400
_MINUTE, _TEN_MINUTES = 60, 600
# In seconds of real time. Thousands of uses of a kept token take half a second.
_DEADLINE = 5.0
# Two hours: so often the token requests are counted.
_PART_SECONDS = 7200
# More than a sound client sends in a day with a lifetime of fifteen minutes. Each takes two
# milliseconds of real time, and the rest of the day would only repeat them.
_ENOUGH_REQUESTS = 100
_HERD = 64


def measure_day(run: ContractRun, leeway: Leeway | None) -> dict[str, Any]:
    """Return the token requests of a virtual day with a call a minute, and how many it needs.

    The lifetime is the profile's. A call takes a round trip for a client that is driven by a
    program, and for one that only signs requests: those get a call every ten minutes. Empty if no
    clock can be moved, or if the client fails meanwhile.
    """
    if not run.time.is_virtual:
        return {}
    operation = run.capabilities[0]
    is_quick = run.clients.arranges_uses and operation == GET_TOKEN
    lifetime = run.settings.profile.expires_in
    found: list[int] = []
    with _unjudged(run), _session(run, lifetime) as session:
        session.use_well(operation)
        found.append(_requests_in_a_day(session, operation, _MINUTE if is_quick else _TEN_MINUTES))
    if not found:
        return {}
    return {
        "token_requests_per_day": found[0],
        "token_requests_needed_per_day": _needed(lifetime, leeway),
    }


def _requests_in_a_day(session: ClientSession, operation: str, interval: int) -> int:
    """Return the token requests in a day of uses, from the first; continued if they are many."""
    # A second early, so that the day ends with a use, and has no second beyond its end.
    passed = interval - 1
    session.use_periodically(operation, 1, passed)
    while passed < _DAY_SECONDS - 1:
        count = min(_PART_SECONDS, _DAY_SECONDS - 1 - passed) // interval
        session.use_periodically(operation, count, interval)
        passed += count * interval
        requests = len(session.trace.token_requests)
        if requests > _ENOUGH_REQUESTS:
            # The first one was at the start of the day; the others are spread over what has passed.
            return 1 + round((requests - 1) * (_DAY_SECONDS - 1) / passed)
    return len(session.trace.token_requests)


def _needed(lifetime: float, leeway: Leeway | None) -> int:
    """Return how many tokens a day needs if each is used until the client's leeway."""
    seconds = 0.0 if leeway is None else leeway.longest
    if leeway is not None and leeway.kind == "proportional":
        seconds *= lifetime / MEASURED_LIFETIME
    # A client whose leeway is longer than the lifetime needs a token for each call.
    return math.ceil(_DAY_SECONDS / max(lifetime - seconds, _MINUTE))


def measure_herd(run: ContractRun, operation: str) -> dict[str, int]:
    """Return the token requests that 64 first uses at once lead to; empty if one fails."""
    found: list[int] = []
    with _unjudged(run), _session(run, run.settings.profile.expires_in) as session:
        outcomes = session.use_at_once(operation, _HERD)
        if all(outcome.is_good for outcome in outcomes):
            found.append(len(session.trace.token_requests))
    return {"burst_token_requests_of_64": found[0]} if found else {}


def _session(run: ContractRun, lifetime: float) -> ClientSession:
    return ClientSession(
        run,
        clauses.refresh.AHEAD,
        credentials=_CREDENTIALS,
        expires_in=lifetime,
        deadline=_DEADLINE,
    )


@contextlib.contextmanager
def _unjudged(run: ContractRun) -> Iterator[None]:
    """End with what ends a test case, and forget what it shows of the client."""
    findings, hangs = run.findings, run.hangs
    run.findings, run.hangs = Findings(run.settings.fail_on), Hangs()
    try:
        with contextlib.suppress(ScenarioEnded):
            yield
    finally:
        run.findings, run.hangs = findings, hangs
