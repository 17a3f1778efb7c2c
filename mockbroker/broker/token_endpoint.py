"""The token endpoint (RFC 6749, 3.2): it judges a token request, then rejects it or issues a token.

The clauses of the contract decide what is wrong with a request. This module holds no rule itself.
"""

from __future__ import annotations

import math
from dataclasses import replace

from mockbroker.broker.arrivals import Arrival, Outcome
from mockbroker.broker.clients import ClientRegistry
from mockbroker.broker.faults import FaultScript
from mockbroker.broker.mounting import Mounting
from mockbroker.broker.oauth_errors import default_token_error, token_refusal
from mockbroker.broker.secrecy import KnownSecrets
from mockbroker.broker.settings import Settings
from mockbroker.broker.tokens import TokenStore, random_jwt, random_token
from mockbroker.contract.authentication import recognise
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.contract.judging import judge_token_request
from mockbroker.model.credentials import AccessToken, Credentials
from mockbroker.model.exchange import Endpoint
from mockbroker.model.messages import Request, Response
from mockbroker.model.token_request import TokenRequest

__all__ = ["TokenEndpoint"]


class TokenEndpoint:
    """The token endpoint of one broker; ``script`` holds the faults of its next answers.

    Thread-safe; it keeps no state itself.
    """

    kind = Endpoint.TOKEN

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
        self._settings = settings
        self._clients = clients
        self._tokens = tokens
        self._mounting = mounting
        self._secrets = KnownSecrets(clients, tokens)

    def respond(self, arrival: Arrival) -> Outcome:
        """Judge a token request, then reject it or issue a token."""
        judged = self._judge(arrival)
        # A scripted status replaces the answer, but the request is judged all the same: a client
        # must send valid requests during an outage, too. No token is issued that it never gets.
        if not arrival.needs_answer:
            return judged
        refusal = self._refusal(arrival.request, judged)
        if refusal is not None:
            return replace(judged, response=refusal)
        # A lenient broker answers even if it recognizes no client.
        credentials = judged.credentials or self._clients.registered[0]
        # The issuer is the URL that the client used. One broker may be mounted at several.
        token, left_seconds = self._issue(credentials, arrival.origin + self._mounting.token_path)
        members = self._members(token, left_seconds)
        response = self._settings.token_answer.response(members)
        return replace(judged, response=response, credentials=credentials, token=token)

    def _judge(self, arrival: Arrival) -> Outcome:
        """Judge the request by the clauses, and recognize the client that sent it."""
        request = TokenRequest.of(arrival.request, self._mounting.profile)
        expectation = TokenExpectation(
            self._mounting.profile,
            self._mounting.expected_token_path(arrival.request.path),
            self._clients.registered,
            self._settings.scope,
        )
        return Outcome(
            response=default_token_error(arrival.scripted_status),
            breaches=judge_token_request(request, expectation),
            credentials=recognise(request, expectation),
        )

    def _refusal(self, request: Request, judged: Outcome) -> Response | None:
        """Return the error response for what was judged; None if the broker issues a token."""
        if not self._settings.strict:
            return None
        # Masked first, because the response quotes what the client sent.
        return token_refusal(request, self._secrets.masked_breaches(judged.breaches))

    def _issue(self, credentials: Credentials, issuer: str) -> tuple[AccessToken, float]:
        """Issue a token to a client, with the present settings; return also the seconds left."""
        # Both are read once, so that the claims of a JWT agree with the token in the store.
        now = self._settings.clock.now()
        lifetime = self._settings.expires_in
        scope = self._settings.scope or self._mounting.profile.issued_scope
        policy = self._settings.token_policy
        same = self._tokens.latest(credentials, scope, now) if policy == "same" else None
        if same is not None:
            # Rounded down: expires_in has whole seconds, and must not promise more than is left.
            return same, math.floor(same.expires_at - now)
        token = self._tokens.issue(
            self._new_value(credentials, issuer, now, lifetime),
            issuer=issuer,
            credentials=credentials,
            scope=scope,
            issued_at=now,
            expires_in=lifetime,
            ends_previous=policy == "single",
            is_given=self._settings.token_values is not None,
        )
        return token, lifetime

    def _new_value(self, credentials: Credentials, issuer: str, now: float, lifetime: float) -> str:
        """Return the value of a new token: the test's own, a JWT, or an opaque string."""
        if self._settings.token_values is not None:
            return self._settings.token_values()
        if self._mounting.profile.token_format == "jwt":  # noqa: S105 - a format, not a password
            return random_jwt(issuer, credentials.client_id, now, lifetime)
        return random_token()

    def _members(self, token: AccessToken, left_seconds: float) -> dict[str, object]:
        """Return the members of the documented answer (RFC 6749, 5.1)."""
        # RFC 6749, 5.1: scope is "OPTIONAL, if identical to the scope requested by the client".
        scope = {} if self._mounting.profile.scope is False else {"scope": token.scope}
        return {
            "access_token": token.value,
            "expires_in": _as_json_number(left_seconds),
            **scope,
            "token_type": self._mounting.profile.token_type,
        }


def _as_json_number(seconds: float) -> float:
    """Return whole seconds as an int, so that JSON has 3599 and not 3599.0.

    Clients that parse the number as an integer would fail on 3599.0, which has a clause of its own.
    """
    return int(seconds) if float(seconds).is_integer() else seconds
