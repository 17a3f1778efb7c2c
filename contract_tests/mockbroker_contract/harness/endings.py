"""How a scenario ends, other than by passing."""

from __future__ import annotations

from mockbroker.model.breach import Breach
from mockbroker.model.exchange import Exchange
from mockbroker.report.finding import Finding, Verdict
from mockbroker_contract.drivers.failures import ScenarioEnded

__all__ = ["ClientHung", "ContractBreached"]


class ContractBreached(ScenarioEnded):
    """The client broke the scenario's own clause.

    ``story`` is what happened, step by step; ``exchanges`` are the messages, secrets masked;
    ``curl`` a command that shows the right request, where that helps.
    """

    def __init__(
        self,
        breaches: tuple[Breach, ...],
        story: str = "",
        exchanges: tuple[str, ...] = (),
        curl: str = "",
    ) -> None:
        self.breaches, self.story, self.exchanges, self.curl = breaches, story, exchanges, curl
        super().__init__("\n".join(dict.fromkeys(map(str, breaches))))

    @property
    def clause_id(self) -> str:
        """The clause that was broken."""
        return self.breaches[0].clause_id

    def finding(self, verdict: Verdict) -> Finding:
        """What the report says of it."""
        first = self.breaches[0]
        return Finding(
            first.clause_id, verdict, first.in_words, self.story, self.exchanges, self.curl
        )


class ClientHung(ScenarioEnded):
    """The client did not come back, or made requests without end, and was cut off.

    ``exchanges`` are those that were seen meanwhile; ``is_flood`` if there were too many of them.
    """

    is_costly = True

    def __init__(
        self, message: str, exchanges: tuple[Exchange, ...] = (), *, is_flood: bool = False
    ) -> None:
        self.exchanges, self.is_flood = exchanges, is_flood
        super().__init__(message)
