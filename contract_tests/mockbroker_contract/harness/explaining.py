"""What is added to a breach once it is proved: its likely mistake, and a shorter reproduction."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from mockbroker.contract.diagnosis import Diagnosis, Mistake
from mockbroker.model.credentials import TokenState
from mockbroker.report.steps import ClientUsed, GotToken
from mockbroker_contract.drivers.failures import ScenarioEnded
from mockbroker_contract.harness.endings import ContractBreached

__all__ = ["diagnosing", "shortening"]


@contextlib.contextmanager
def diagnosing(diagnose: Callable[[str], Diagnosis | None]) -> Iterator[None]:
    """Add the diagnosis to a breach that is raised in the context.

    ``diagnose`` is called with the operation of the client that showed the breach.
    """
    try:
        yield
    except ContractBreached as breached:
        operation = _operation_in(breached)
        if operation and breached.diagnosis is None:
            # The breach is proved. If the client fails meanwhile, the mistake is only not known.
            with contextlib.suppress(ScenarioEnded):
                breached.diagnosis = diagnose(operation) or _old_token_used(breached)
        raise


@contextlib.contextmanager
def shortening(shorter: Callable[[str], None]) -> Iterator[None]:
    """Replace a breach that is raised in the context by that of a shorter test case, if it has one.

    ``shorter`` is called with the operation of the client that showed the breach.
    """
    try:
        yield
    except ContractBreached as breached:
        operation = _operation_in(breached)
        if operation:
            with contextlib.suppress(ScenarioEnded):
                _replace(breached, shorter, operation)
        raise


def _replace(breached: ContractBreached, shorter: Callable[[str], None], operation: str) -> None:
    try:
        shorter(operation)
    except ContractBreached as short:
        if short.clause_id == breached.clause_id:
            # The exception stays the same one: it carries the example that was drawn.
            breached.reason, breached.args = short.reason, short.args
            breached.breaches, breached.steps = short.breaches, short.steps
            breached.records = short.records


def _old_token_used(breached: ContractBreached) -> Diagnosis | None:
    """Recognize an expired token that was used although a new one was issued in the same use."""
    last = breached.steps[-1] if breached.steps else None
    if not isinstance(last, ClientUsed) or not isinstance(last.outcome, GotToken):
        return None
    is_old = last.outcome.state == TokenState.EXPIRED.value and not last.outcome.is_fetched
    return Diagnosis(mistake=Mistake.STALE_WHILE_REFRESHING) if is_old and last.issued else None


def _operation_in(breached: ContractBreached) -> str:
    """Return the operation of the last use of the client; empty without one."""
    used = [step.operation for step in breached.steps if isinstance(step, ClientUsed)]
    return used[-1] if used else ""
