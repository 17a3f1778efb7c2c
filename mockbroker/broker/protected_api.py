"""The protected API: it judges a call and its token, then rejects it or answers plausibly.

It stands for the provider's resource server (RFC 6750). The clauses of the contract decide what is
wrong with a call; the token's state decides whether it may pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mockbroker.broker.answers import json_response
from mockbroker.broker.arrivals import Arrival, Outcome
from mockbroker.broker.clients import ClientRegistry
from mockbroker.broker.faults import FaultScript
from mockbroker.broker.mounting import Mounting
from mockbroker.broker.oauth_errors import (
    Refusal,
    api_refusal,
    default_api_error,
    forbidden_refusal,
    header_refusal,
    refusal_response,
)
from mockbroker.broker.routes import AcceptedCall, ApiRoutes
from mockbroker.broker.secrecy import KnownSecrets
from mockbroker.broker.settings import Settings
from mockbroker.broker.tokens import TokenStore
from mockbroker.contract.expectations import ApiExpectation
from mockbroker.contract.judging import judge_api_call
from mockbroker.model.api_call import judged_call
from mockbroker.model.credentials import AccessToken, TokenState
from mockbroker.model.exchange import Endpoint
from mockbroker.model.forms import LOOKED_AT_BYTES
from mockbroker.model.masking import Mask, method_name, shown
from mockbroker.model.messages import Request, Response

__all__ = ["ProtectedApi"]


class ProtectedApi:
    """The protected API of one broker; ``script`` holds the faults of its next answers.

    ``routes`` are those that the test adds. Thread-safe; it keeps no other state itself.
    """

    kind = Endpoint.API

    def __init__(
        self,
        settings: Settings,
        clients: ClientRegistry,
        tokens: TokenStore,
        mounting: Mounting,
        *,
        script: FaultScript,
    ) -> None:
        self.script = script
        self.routes = ApiRoutes()
        self._settings = settings
        self._clients = clients
        self._tokens = tokens
        self._mounting = mounting
        self._secrets = KnownSecrets(clients, tokens)

    def respond(self, arrival: Arrival) -> Outcome:
        """Judge a call to the API and the token that it presents, then reject or answer it."""
        judged = self._judge(arrival)
        if not arrival.needs_answer:
            return judged
        refusal = self._refusal(judged, arrival.request)
        if refusal is None:
            return replace(judged, response=self._answer(arrival, judged.token))
        return replace(judged, response=self._refused(refusal, arrival))

    def _refused(self, refusal: Refusal, arrival: Arrival) -> Response:
        """Return the error response for a call, in the profile's form."""
        profile = self._mounting.profile
        return refusal_response(refusal, arrival.request, profile, arrival.received_at)

    def _judge(self, arrival: Arrival) -> Outcome:
        """Judge the call by the clauses, and look up the token that it presents."""
        now = arrival.received_at
        # The state at arrival, not at the end: with a delayed answer the token may expire in
        # between, which is not the client's fault.
        profile = self._mounting.profile
        request = judged_call(arrival.request, profile)
        expectation = ApiExpectation.of(profile, self._tokens.index, self._clients.registered)
        token, state = _presented_token(request, self._tokens, now, expectation.header)
        if token is not None and token.bound_to:
            expectation = replace(expectation, bound_to=token.bound_to)
        return Outcome(
            response=default_api_error(arrival.scripted_status, now),
            breaches=judge_api_call(request, expectation),
            credentials=token.credentials if token else None,
            token=token,
            token_state=state,
        )

    def _refusal(self, judged: Outcome, request: Request) -> Refusal | None:
        """Return the error for the call; None if the broker answers it."""
        state, profile = judged.token_state or TokenState.MISSING, self._mounting.profile
        if self._settings.strict:
            breaches = self._secrets.masked_breaches(judged.breaches)
            return api_refusal(state, breaches, profile) or header_refusal(request, profile)
        # A lenient broker accepts an expired token, so that one late refresh hides nothing else.
        accepted = TokenState.VALID if state is TokenState.EXPIRED else state
        return api_refusal(accepted, (), profile)

    def _answer(self, arrival: Arrival, token: AccessToken | None) -> Response:
        """Answer an accepted call: 403 outside the agreed endpoints, else a route or a sample."""
        request = arrival.request
        path = self._mounting.path_below_api(request.path)
        if not _is_agreed(path, self._settings.agreed_paths):
            return self._refused(
                forbidden_refusal(self._secrets.masked(shown(request.path))), arrival
            )
        # A call is accepted only with a token that the broker knows.
        routed = token and self.routes.respond(
            AcceptedCall(
                request=request,
                path=path,
                prefix=self._mounting.api_prefix,
                token=token,
                mask=self._secrets.masked,
            )
        )
        return routed or _sample_answer(request, path, self._secrets.masked)


def _presented_token(
    request: Request, tokens: TokenStore, now: float, header: str
) -> tuple[AccessToken | None, TokenState]:
    """Return the token that a call presents, even in a wrong form, and its state.

    ``now`` is in Unix seconds, ``header`` the field that should carry the token. The clause
    ``signing.bearer`` judges the form.
    """
    # Clauses on expiry and reuse need to know which token was meant, even if the scheme is missing
    # or the value is damaged. Otherwise one defect would hide all others.
    authorizations = request.headers.get_all("Authorization")
    if header != "Authorization":
        authorizations = (*request.headers.get_all(header), *authorizations)
    # Whatever the scheme is: a token under another scheme is still the token that was meant.
    presented = [value.partition(" ")[2] or value for value in authorizations]
    token = _exact(presented, tokens) or _anywhere(request, authorizations, tokens)
    if token is not None:
        return token, tokens.state(token, now)
    states = {tokens.state_of_missing(value) for value in presented}
    if TokenState.FORGOTTEN in states:
        return None, TokenState.FORGOTTEN
    return None, TokenState.UNKNOWN if authorizations else TokenState.MISSING


def _exact(presented: Sequence[str], tokens: TokenStore) -> AccessToken | None:
    """Return the token of the first value that is known as it is, or None."""
    return next(filter(None, map(tokens.find, presented)), None)


def _anywhere(
    request: Request, authorizations: Sequence[str], tokens: TokenStore
) -> AccessToken | None:
    """Return the longest token that occurs in the call; a very short one occurs by chance."""
    expectation = ApiExpectation(tokens.index)
    # RFC 6750, 2.2 and 2.3, also know tokens in the body and in the query. Latin-1 decodes any
    # byte.
    places = (*authorizations, request.target, request.body[:LOOKED_AT_BYTES].decode("latin-1"))
    found = [value for place in places for value in expectation.tokens_in(place)]
    return tokens.find(max(found, key=len)) if found else None


def _is_agreed(path: str, agreed_paths: Sequence[str]) -> bool:
    """Return whether a path below the API's prefix begins with an agreed prefix.

    A prefix ends at a slash: /vehicle does not cover /vehicles.
    """
    # The prefix / becomes empty here, and therefore covers the whole API.
    return any(
        path == agreed.rstrip("/") or path.startswith(agreed.rstrip("/") + "/")
        for agreed in agreed_paths
    )


def _sample_answer(request: Request, path: str, mask: Mask) -> Response:
    """Return a plausible success for a call to a path below the API's prefix.

    ``mask`` is applied to each part of the call that the answer repeats.
    """
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["vehicle"]:
        vehicle_id = parts[1] if len(parts) > 1 else "1111111111111111"
        return json_response(200, {"vehicle": _vehicle(mask(vehicle_id)), "success": True})
    members = {
        "success": True,
        "method": mask(method_name(request.method)),
        "path": mask(shown(path)),
    }
    return json_response(200, members)


def _vehicle(vehicle_id: str) -> dict[str, object]:
    """Return invented data of a vehicle; only the id comes from the call."""
    return {
        "id": vehicle_id,
        "title": "2016 Volkswagen Golf 1.4 TSI Match",
        "make": "Volkswagen",
        "model": "Golf",
        "year": 2016,
        "body_type": "Hatchback",
        "fuel": "Petrol",
        "transmission": "Manual",
        "region": "uk",
    }
