"""The plan of a scenario: which events are due, and which requests get an error. Pure.

A plan is an immutable value. `mockbroker.cli.scenario_run` asks it at each request, and applies
what is due to a broker.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mockbroker.broker.faults import Fault
from mockbroker.broker.scenario import Errors, Outage, PlannedEvent, Scenario
from mockbroker.model.exchange import Endpoint

__all__ = ["Effect", "Occurrence", "Plan", "Seen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """The outcome of a planned event; ``requests`` is how many got its error."""

    event: PlannedEvent
    happened: bool
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a broker has seen since it began to serve.

    The numbers of requests are those that have arrived. ``seconds`` are by the broker's clock.
    """

    token_requests: int = 0
    api_calls: int = 0
    seconds: float = 0.0

    def plus(self, endpoint: Endpoint) -> Seen:
        """Return the same with one more request to the endpoint."""
        if endpoint is Endpoint.TOKEN:
            return replace(self, token_requests=self.token_requests + 1)
        if endpoint is Endpoint.API:
            return replace(self, api_calls=self.api_calls + 1)
        return self

    def later(self, seconds: float) -> Seen:
        """Return the same after so many more seconds."""
        return replace(self, seconds=self.seconds + seconds)

    def requests_to(self, endpoint: Endpoint) -> int:
        """Return how many requests have arrived at the token endpoint or the API."""
        return self.token_requests if endpoint is Endpoint.TOKEN else self.api_calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The errors that an event has begun; ``index`` is that of the event in its scenario.

    They concern the requests to ``endpoint`` up to ``last_number`` and before ``end_seconds``, and
    of these so many ``percent``.
    """

    index: int
    endpoint: Endpoint
    fault: Fault
    percent: float
    last_number: float
    end_seconds: float

    def concerns(self, endpoint: Endpoint, seen: Seen, seed: int) -> bool:
        """Return whether the request that ``seen`` has counted last gets the error."""
        number = seen.requests_to(endpoint)
        if endpoint is not self.endpoint or number > self.last_number:
            return False
        if seen.seconds >= self.end_seconds:
            return False
        # It depends on the number of the request only: the same request has the same answer in each
        # run, whatever else happens.
        draw = random.Random(f"{seed} {self.index} {number}")  # noqa: S311 - not for secrets
        return draw.random() * 100 < self.percent


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario at one moment: the events that have not happened, by index, and the effects."""

    scenario: Scenario
    waiting: tuple[int, ...]
    effects: tuple[Effect, ...] = ()

    @classmethod
    def of(cls, scenario: Scenario) -> Plan:
        """Return the plan of a scenario of which nothing has happened."""
        return cls(scenario, tuple(range(len(scenario.events))))

    def after(
        self, seen: Seen, *, only_timed: bool = False
    ) -> tuple[Plan, Mapping[int, PlannedEvent]]:
        """Return the plan without the events that are due, and these events by their index.

        They are in the order of the file. With ``only_timed`` the others wait for a request.
        """
        due = {
            index: event
            for index, event in self._waiting_events(only_timed=only_timed)
            if _is_due(event, seen)
        }
        begun = [_effect(index, event, seen) for index, event in due.items()]
        waiting = tuple(index for index in self.waiting if index not in due)
        effects = (*self.effects, *(each for each in begun if each is not None))
        return Plan(self.scenario, waiting, effects), due

    @property
    def waits_for_time(self) -> bool:
        """Whether an event waits for a number of seconds."""
        return any(self._waiting_events(only_timed=True))

    def _waiting_events(self, *, only_timed: bool) -> Iterator[tuple[int, PlannedEvent]]:
        """Yield the events that have not happened, or those that wait for seconds, by index."""
        for index in self.waiting:
            event = self.scenario.events[index]
            if event.after_seconds is not None or not only_timed:
                yield index, event

    def effect_on(self, endpoint: Endpoint, seen: Seen) -> Effect | None:
        """Return the effect on the request that ``seen`` has counted last, or None.

        Of several the one that began last counts.
        """
        seed = self.scenario.seed
        concerning = (e for e in reversed(self.effects) if e.concerns(endpoint, seen, seed))
        return next(concerning, None)


def _is_due(event: PlannedEvent, seen: Seen) -> bool:
    """Return whether the condition of an event is met."""
    if event.after_token_requests is not None:
        return seen.token_requests >= event.after_token_requests
    if event.after_api_calls is not None:
        return seen.api_calls >= event.after_api_calls
    return seen.seconds >= (event.after_seconds or 0)


def _effect(index: int, event: PlannedEvent, seen: Seen) -> Effect | None:
    """Return the errors that an event begins; None if its action is another one."""
    if not isinstance(event, (Outage, Errors)):
        return None
    endpoint = Endpoint(event.endpoint)
    count = event.requests if isinstance(event, Outage) else None
    return Effect(
        index=index,
        endpoint=endpoint,
        fault=Fault.status(event.status, retry_after=event.retry_after),
        percent=event.percent if isinstance(event, Errors) else 100,
        last_number=math.inf if count is None else seen.requests_to(endpoint) + count,
        end_seconds=math.inf if event.seconds is None else seen.seconds + event.seconds,
    )
