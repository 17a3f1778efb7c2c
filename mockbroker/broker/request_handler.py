"""The way of a request through a broker: find its endpoint, answer, apply the fault, record.

It belongs to no endpoint: faults, time and the journal are the same for all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from mockbroker.broker.answers import Reply, dated, json_response
from mockbroker.broker.arrivals import Arrival, Outcome, exchange_of, faulty_reply
from mockbroker.broker.faults import Fault, FaultScript
from mockbroker.broker.journal import Journal
from mockbroker.broker.metadata_endpoint import MetadataEndpoint
from mockbroker.broker.mounting import Mounting
from mockbroker.broker.oauth_errors import unavailable
from mockbroker.broker.protected_api import ProtectedApi
from mockbroker.broker.release import ReleaseSwitch
from mockbroker.broker.settings import Settings
from mockbroker.broker.state import StateError
from mockbroker.broker.token_endpoint import TokenEndpoint
from mockbroker.contract.unknown_path import hint_on_unknown_path
from mockbroker.model.exchange import Endpoint
from mockbroker.model.masking import Mask, shown
from mockbroker.model.messages import Request

__all__ = ["RequestHandler"]

_log = logging.getLogger(__name__)


class EndpointHandler(Protocol):
    """One endpoint of a broker: the faults of its next answers, and its normal answer."""

    @property
    def kind(self) -> Endpoint:
        """The endpoint's name in the journal."""
        ...

    @property
    def script(self) -> FaultScript:
        """The faults of its next answers."""
        ...

    def respond(self, arrival: Arrival) -> Outcome:
        """Judge a request and answer it; a fault may replace the answer afterwards.

        Called from many threads at once.
        """
        ...


class RequestHandler:
    """Answers requests to any path of one broker and records the exchanges; thread-safe.

    It passes each request to one endpoint, applies the fault, and records the exchange.
    ``planned_fault`` is called for each request before it is answered. Its fault applies if none is
    scripted for the answer.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        mounting: Mounting,
        token_endpoint: TokenEndpoint,
        api: ProtectedApi,
        metadata: MetadataEndpoint,
        journal: Journal,
        waiting_answers: ReleaseSwitch,
        elsewhere_script: FaultScript,
    ) -> None:
        self._settings = settings
        self._mounting = mounting
        self._token_endpoint = token_endpoint
        self._api = api
        self._metadata = metadata
        self._elsewhere = _Elsewhere(mounting, journal.mask, elsewhere_script)
        self._journal = journal
        self._waiting_answers = waiting_answers
        self.planned_fault: Callable[[Endpoint], Fault | None] = lambda _endpoint: None

    def handle(self, request: Request, origin: str) -> Reply:
        """Answer a request that came to ``origin``, and record the exchange.

        The exchange is in the journal before this returns, and its subscribers have been called.
        The caller then sends the reply. Without the broker's state the answer is 503, and nothing
        is recorded.
        """
        endpoint = self._endpoint_at(request.path)
        try:
            arrival = self._arrival(request, origin, endpoint)
            return self._finish(arrival, endpoint.respond(arrival))
        except StateError as error:
            return self._unavailable(endpoint.kind, error)

    def _arrival(self, request: Request, origin: str, endpoint: EndpointHandler) -> Arrival:
        """Return the request with everything that may change while it is answered, read once."""
        # The plan may revoke tokens or move the clock, which concerns this request already.
        planned = self.planned_fault(endpoint.kind)
        # Before the clock is read: taking the fault also brings a shared state up to date. It is
        # taken now, so that of several requests at once each gets the fault of its turn.
        fault = endpoint.script.next() or planned
        return Arrival(
            endpoint=endpoint.kind,
            request=request,
            origin=origin,
            received_at=self._settings.clock.now(),
            fault=fault,
            released=self._waiting_answers.event,
        )

    def _unavailable(self, endpoint: Endpoint, error: StateError) -> Reply:
        """Log that the state is unavailable, and return the reply that says so."""
        # The journal is a part of the state, so this line is the only record of the request.
        _log.warning("%s: answered 503: %s", endpoint.value, error)
        response = unavailable(endpoint, str(error))
        return Reply(
            response=dated(response, self._settings.clock.now()),
            released=self._waiting_answers.event,
        )

    def _endpoint_at(self, path: str) -> EndpointHandler:
        """Return the endpoint for a path. The token endpoint may lie below the API's prefix."""
        # First: a path such as /.well-known/… may resemble that of the token endpoint.
        if self._mounting.is_metadata_path(path):
            return self._metadata
        if self._mounting.is_token_path(path):
            return self._token_endpoint
        if self._mounting.is_api_path(path):
            return self._api
        return self._elsewhere

    def _finish(self, arrival: Arrival, outcome: Outcome) -> Reply:
        """Make the reply from the endpoint's outcome, apply the fault, and record both."""
        reply = Reply(
            response=dated(outcome.response, arrival.received_at), released=arrival.released
        )
        if arrival.fault is not None:
            if arrival.fault.latency_seconds:
                # After the token was issued: its lifetime runs while the response is on its way.
                self._settings.clock.advance(arrival.fault.latency_seconds)
            # Only the token endpoint answers with members that a provider has elsewhere.
            is_call = outcome.token_state is not None
            paths = {} if is_call else self._mounting.profile.answer.paths
            reply = faulty_reply(reply, arrival.fault, paths)
        # The clock and the use are read here: under the journal's lock either could block.
        make_exchange = partial(
            exchange_of,
            arrival,
            outcome,
            reply,
            answered_at=self._settings.clock.now(),
            use=self._settings.current_use,
        )
        # Before the server sends the reply: once a client has its response, the test can find the
        # exchange in the journal.
        self._journal.record(make_exchange)
        return reply


class _Elsewhere:
    """The answer to requests for any other path: 404, with the paths of the endpoints."""

    kind = Endpoint.ELSEWHERE

    def __init__(self, mounting: Mounting, mask: Mask, script: FaultScript) -> None:
        # Always empty: a test scripts faults for the two endpoints only.
        self.script = script
        self._mounting = mounting
        self._mask = mask

    def respond(self, arrival: Arrival) -> Outcome:
        """Answer with 404, without judging: no clause applies to such a request."""
        hint = hint_on_unknown_path(arrival.request, self._mounting.known_paths)
        # The path may hold a secret that the client put there by mistake.
        message = (
            f"unknown path {self._mask(shown(arrival.request.path))}; "
            f"the token endpoint is {self._mounting.token_path}, "
            f"the API is below {self._mounting.api_path}/"
        )
        hints = {"hint": hint} if hint else {}
        response = json_response(404, {"error": True, "message": message, **hints})
        return Outcome(response=response, hint=hint)
