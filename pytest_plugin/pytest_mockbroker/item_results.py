"""Results of items, as they travel to the process that reports the run.

They travel as JSON in the ``user_properties`` of pytest's reports, which pytest-xdist passes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from mockbroker.report.finding import Finding
from mockbroker.report.kit_error import KitError

if TYPE_CHECKING:
    from mockbroker_contract.harness.run import ContractRun

__all__ = ["ClientFacts", "ItemResult", "client_facts_of"]

# Prefixed, because user_properties are shared with the user's own plugins and end up in JUnit
# files.
_PROPERTY = "contract_result"


class ClientFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts on the client, and on what the run tried, after some item.

    ``replays`` says, by clause id, why a known example was not tried.
    """

    name: str = ""
    version: str = ""
    capabilities: tuple[str, ...] = ()
    driver_failures: tuple[str, ...] = ()
    # msgspec copies an empty dict for each instance, so these defaults are not shared.
    measured: dict[str, Any] = {}
    replays: dict[str, str] = {}
    is_out_of_time: bool = False
    limits: tuple[str, ...] = ()
    examples: int | None = None
    seed: int | None = None


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one phase of an item adds to the report.

    ``findings`` begin with the verdict on the item's own clause. ``examples`` are those that led to
    a finding of the item's process so far, as plain data by clause id. ``selected`` are the ids of
    the clauses that the item's process judges. ``unusable`` says why no client can be judged.
    """

    findings: tuple[Finding, ...] = ()
    examples: dict[str, Any] = {}
    client: ClientFacts | None = None
    selected: tuple[str, ...] = ()
    error: KitError | None = None
    unusable: str = ""

    def attach_to(self, report: pytest.TestReport) -> None:
        """Have a test report carry the result.

        As a string, because execnet, which connects workers of pytest-xdist, transfers plain values
        only.
        """
        report.user_properties.append((_PROPERTY, msgspec.json.encode(self).decode()))

    @classmethod
    def carried_by(cls, report: pytest.TestReport) -> ItemResult | None:
        """Return the result that a test report carries, or None."""
        carried = dict(report.user_properties).get(_PROPERTY)
        return None if carried is None else msgspec.json.decode(str(carried), type=cls)


def client_facts_of(run: ContractRun) -> ClientFacts:
    """Return the facts as they are now. Raises whatever the client's factory raises."""
    itself = run.clients.description
    return ClientFacts(
        name=itself["name"],
        version=itself["version"],
        # A driver program lists its operations itself; those of a Python client come from the
        # preflight.
        capabilities=tuple(itself.get("capabilities", run.capabilities)),
        driver_failures=tuple(run.clients.failures),
        measured=run.findings.measured,
        # A copy, because later items add to the original.
        replays=dict(run.replays.outcomes),
        is_out_of_time=run.budget.is_spent,
        limits=tuple(run.clients.limits),
        examples=run.settings.examples,
        seed=run.settings.seed,
    )
