"""The token endpoint (RFC 6749, 3.2): it judges a token request, then rejects it or issues a token.

The clauses of the contract decide what is wrong with a request. This module holds no rule itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mockbroker.broker.answer_form import AnswerForm, form_of, moment_words
from mockbroker.broker.arrivals import Arrival, Outcome
from mockbroker.broker.clients import ClientRegistry
from mockbroker.broker.faults import FaultScript, TokenFlaw
from mockbroker.broker.judgements import Judgement, RequestJudge
from mockbroker.broker.metadata_endpoint import issuer_at
from mockbroker.broker.mounting import Mounting
from mockbroker.broker.oauth_errors import (
    Refusal,
    default_token_error,
    quota_refusal,
    refusal_response,
    still_valid_refusal,
    token_refusal,
)
from mockbroker.broker.secrecy import KnownSecrets
from mockbroker.broker.settings import Settings
from mockbroker.broker.signed_tokens import TokenClaims, signed_token
from mockbroker.broker.signing_keys import KeyRing
from mockbroker.broker.tokens import TokenStore, random_token
from mockbroker.broker.used_assertions import UsedAssertions
from mockbroker.contract.authentication.client_certificate import thumbprint_of
from mockbroker.model.credentials import AccessToken, Credentials
from mockbroker.model.exchange import Endpoint
from mockbroker.model.messages import Response
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
        keys: KeyRing,
        assertions: UsedAssertions,
        script: FaultScript,
    ) -> None:
        self.script = script
        self._settings = settings
        self._clients = clients
        self._tokens = tokens
        self._mounting = mounting
        self._keys = keys
        self._judge = RequestJudge(settings, clients, mounting, assertions)
        self._secrets = KnownSecrets(clients, tokens)

    def respond(self, arrival: Arrival) -> Outcome:
        """Judge a token request, then reject it or issue a token."""
        judged = self._judge.judge(arrival)
        # A scripted status replaces the answer, but the request is judged all the same: a client
        # must send valid requests during an outage, too. No token is issued that it never gets.
        if not arrival.needs_answer:
            return _outcome(judged, default_token_error(arrival.scripted_status))
        # A lenient broker answers even if it recognizes no client.
        credentials = judged.credentials or self._clients.registered[0]
        scope = self._scope(judged.request)
        refusal = self._refusal(judged) or self._limit(credentials, scope)
        if refusal is not None:
            profile, now = self._mounting.profile, arrival.received_at
            return _outcome(judged, refusal_response(refusal, arrival.request, profile, now))
        token, left_seconds = self._issue(arrival, judged.request, credentials, scope)
        members = self._members(token, left_seconds)
        return Outcome(
            response=self._settings.token_answer.response(members, self._form(arrival, token)),
            breaches=judged.breaches,
            credentials=credentials,
            token=token,
        )

    def _scope(self, request: TokenRequest) -> str:
        """Return the scope of a token for a request."""
        profile = self._mounting.profile
        if self._settings.scope or not profile.scope_required:
            return self._settings.scope or profile.issued_scope
        # The client chooses it, and the provider issues what was asked for.
        asked = next(iter(request.values("scope")), profile.issued_scope)
        return " ".join(asked.split(profile.scope_separator))

    def _limit(self, credentials: Credentials, scope: str) -> Refusal | None:
        """Return the error for a right request that comes too often; None for any other."""
        profile, now = self._mounting.profile, self._settings.clock.now()
        if self._settings.token_policy == "refuse":  # noqa: S105 - a policy, not a password
            token = self._tokens.latest(credentials, scope, now)
            if token is not None and token.expires_at - now > profile.renewal_seconds:
                return still_valid_refusal(token.expires_at - now)
        if profile.quotas:
            wait = self._tokens.request(credentials.client_id, profile.quotas, now)
            return quota_refusal(wait) if wait > 0 else None
        return None

    def _form(self, arrival: Arrival, token: AccessToken) -> AnswerForm | None:
        """Return the provider's form of the answer; None if it is that of the RFC."""
        answer = form_of(self._mounting.profile)
        if answer is None:
            return None
        now = self._settings.clock.now()
        words = {
            "api_url": arrival.origin + self._mounting.api_path,
            "origin": arrival.origin,
            "client_id": token.credentials.client_id,
            "scope": token.scope,
            **moment_words(now),
        }
        return AnswerForm(answer, words, now)

    def _refusal(self, judged: Judgement) -> Refusal | None:
        """Return the error for what was judged; None if the broker may issue a token."""
        if not self._settings.strict:
            return None
        # Masked first, because the response quotes what the client sent.
        breaches = self._secrets.masked_breaches(judged.breaches)
        return token_refusal(judged.request, breaches, self._mounting.profile)

    def _issue(
        self, arrival: Arrival, request: TokenRequest, credentials: Credentials, scope: str
    ) -> tuple[AccessToken, float]:
        """Issue a token to a client, with the present settings; return also the seconds left."""
        # Both are read once, so that the claims of a JWT agree with the token in the store.
        now = self._settings.clock.now()
        lifetime = self._settings.expires_in
        policy, profile = self._settings.token_policy, self._mounting.profile
        flaw = arrival.fault.token_flaw if arrival.fault else None
        # A token that was issued before has not the flaw.
        wants_same = policy == "same" and flaw is None
        same = self._tokens.latest(credentials, scope, now) if wants_same else None
        bound_to = self._bound_to(arrival)
        # Of another certificate, a token would be of no use to the client.
        if same is not None and same.bound_to != bound_to:
            same = None
        if same is not None and same.expires_at - now > profile.renewal_seconds:
            if profile.repeats_expires_in:
                return same, same.expires_in
            # Rounded down: expires_in has whole seconds, and must not promise more than is left.
            return same, math.floor(same.expires_at - now)
        token = self._tokens.issue(
            self._new_value(
                lambda: TokenClaims(
                    issuer=issuer_at(arrival.request, arrival.origin, self._mounting),
                    audience=self._audience(arrival, request),
                    client_id=credentials.client_id,
                    scope=scope,
                    issued_at=now,
                    expires_in=lifetime,
                    bound_to=bound_to,
                ),
                flaw,
            ),
            # The URL that the client used. One broker may be mounted at several.
            issuer=arrival.origin + self._mounting.token_path,
            credentials=credentials,
            scope=scope,
            issued_at=now,
            expires_in=lifetime,
            ends_previous=policy == "single",
            overlap_seconds=profile.overlap_seconds,
            is_given=self._settings.token_values is not None,
            bound_to=bound_to,
        )
        return token, lifetime

    def _bound_to(self, arrival: Arrival) -> str:
        """Return the thumbprint of the certificate to bind a token to; empty without one."""
        der, profile = arrival.request.certificate, self._mounting.profile
        if not der or not profile.certificate_method or not profile.certificate.bound_tokens:
            return ""
        return thumbprint_of(der)

    def _new_value(self, claims: Callable[[], TokenClaims], flaw: TokenFlaw | None) -> str:
        """Return the value of a new token: the test's own, a signed one, or an opaque string.

        The ``claims`` are asked for only if the token is signed.
        """
        if self._settings.token_values is not None:
            return self._settings.token_values()
        if self._mounting.profile.token_format == "opaque":  # noqa: S105 - a format
            return random_token(self._mounting.profile.token_shape)
        return signed_token(claims(), self._keys.published()[-1], flaw)

    def _audience(self, arrival: Arrival, request: TokenRequest) -> str:
        """Return what the client asks a token for; by default the API."""
        # RFC 8707, 2, has resource; many providers have audience.
        asked = (*request.values("audience"), *request.values("resource"))
        return asked[0] if asked else arrival.origin + self._mounting.api_path

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


def _outcome(judged: Judgement, response: Response) -> Outcome:
    """Return the outcome of a request that gets no token."""
    return Outcome(response=response, breaches=judged.breaches, credentials=judged.credentials)


def _as_json_number(seconds: float) -> float:
    """Return whole seconds as an int, so that JSON has 3599 and not 3599.0.

    Clients that parse the number as an integer would fail on 3599.0, which has a clause of its own.
    """
    return int(seconds) if float(seconds).is_integer() else seconds
