"""Outcome of one use of the client under test."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from mockbroker.fake_broker import Broker
from mockbroker.model.api_call import carrier_of
from mockbroker.model.credentials import AccessToken, TokenState
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.report.steps import GotNoToken, GotToken, NothingUsable
from mockbroker.report.wording import outcome_text
from mockbroker_contract.drivers.driver import GET_TOKEN, Answer, Raised, Returned
from mockbroker_contract.drivers.host.described_values import described_value

__all__ = ["Outcome", "outcome_of"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one use of the client.

    ``token`` is the token that ``get_token`` returned or that the last call of this use presented,
    if the broker knows it; ``presented`` is that token's text, or None. ``returned`` is the result
    of ``request``, ``error`` the client's exception. ``exchanges`` are those of this use.
    ``changed`` names the arguments of ``request`` into which the client has written. ``described``
    has, in words, what ``get_token`` returned in place of a token of the broker.
    ``is_delayed`` is True if it failed after the client's timeout: a busy machine may be the cause.

    The broker decides what the token was worth, never the client: a client that returns an expired
    token believes that it is valid.
    """

    operation: str
    exchanges: tuple[Exchange, ...]
    presented: str | None = None
    token: AccessToken | None = None
    token_state: TokenState | None = None
    returned: Returned | None = None
    error: Raised | None = None
    changed: tuple[str, ...] = ()
    is_delayed: bool = False
    described: str = ""

    @property
    def status(self) -> int | None:
        """The HTTP status that ``request`` returned, or None.

        None as well if the client's response has no status that the driver finds.
        """
        return None if self.returned is None else self.returned.status

    @property
    def token_requests(self) -> tuple[Exchange, ...]:
        """The requests to the token endpoint during this use."""
        return tuple(e for e in self.exchanges if e.endpoint is Endpoint.TOKEN)

    @property
    def api_calls(self) -> tuple[Exchange, ...]:
        """The calls of the API during this use."""
        return tuple(e for e in self.exchanges if e.endpoint is Endpoint.API)

    @property
    def challenges(self) -> tuple[Exchange, ...]:
        """The unsigned calls that were refused before the first token request of this use.

        A challenge-driven client sends them to learn that a call needs a token.
        """
        return tuple(itertools.takewhile(lambda e: e.is_challenge, self.exchanges))

    @property
    def calls_after_challenge(self) -> tuple[Exchange, ...]:
        """The calls of the API during this use, without the `challenges`."""
        return self.api_calls[len(self.challenges) :]

    @property
    def requested_first(self) -> bool:
        """Whether a token was requested before one was presented.

        A challenge-driven client, which calls the API unsigned first, is not among them.
        """
        return bool(self.exchanges) and self.exchanges[0].endpoint is Endpoint.TOKEN

    @property
    def is_issued(self) -> bool:
        """Whether the broker issued a token during this use."""
        return any(exchange.token is not None for exchange in self.token_requests)

    @property
    def is_after_expiry(self) -> bool:
        """Whether an expired token was presented, other than one fetched in this use.

        A token that was fetched in the use itself does not count: with a lifetime of 0 it has
        expired when it arrives, and no client could do better.
        """
        fetched = {exchange.token for exchange in self.token_requests}
        return self.token_state is TokenState.EXPIRED and self.token not in fetched

    @property
    def is_good(self) -> bool:
        """Whether the client obtained a token that was valid, or fetched in this use.

        A token that expired on its way counts: the client could not do better.
        """
        return self.error is None and self.token is not None and not self.is_after_expiry

    @property
    def in_words(self) -> str:
        """The client's result as words after "the client", except for an error."""
        used = "" if isinstance(self.result, GotNoToken) else "used "
        return used + outcome_text(self.result)

    @property
    def result(self) -> GotToken | GotNoToken:
        """The client's result as a value, except for an error."""
        if self.token is not None and self.token_state is not None:
            is_fetched = self.token in {exchange.token for exchange in self.token_requests}
            return GotToken(
                token=self.token.number, state=self.token_state.value, is_fetched=is_fetched
            )
        return GotNoToken(instead=self._instead, value=self.described)

    @property
    def _instead(self) -> NothingUsable:
        """Return what the client had in place of a token that the broker knows."""
        is_returned = self.operation == GET_TOKEN
        if self.presented == "":
            return NothingUsable.EMPTY_STRING
        if self.presented is not None and is_returned:
            return NothingUsable.OTHER_VALUE_RETURNED
        if self.presented is not None:
            return NothingUsable.OTHER_VALUE_PRESENTED
        if is_returned:
            return NothingUsable.NOTHING_RETURNED
        return NothingUsable.CALL_WITHOUT_TOKEN if self.api_calls else NothingUsable.NO_CALL


def outcome_of(
    operation: str, answer: Answer, exchanges: tuple[Exchange, ...], broker: Broker
) -> Outcome:
    """Return the outcome of a client's answer and of the exchanges during it.

    For ``request`` the last call of the API decides. The broker finds the token by its exact text.
    """
    if operation == GET_TOKEN:
        value = answer.value
        # None after an error. No other value can be a token, so the client has presented none.
        if not isinstance(value, str):
            described = "" if answer.error else answer.described or described_value(value)
            return Outcome(operation, exchanges, error=answer.error, described=described)
        # The broker's record, by the exact text: a token that was changed on its way is unknown.
        token, state = broker.find_token(value)
        described = "" if token else described_value(value)
        return Outcome(operation, exchanges, value, token, state, described=described)
    returned: Returned | None = answer.value
    calls = [e for e in exchanges if e.endpoint is Endpoint.API]
    if not calls:
        return Outcome(
            operation, exchanges, returned=returned, error=answer.error, changed=answer.changed
        )
    # A client may repeat a call after a 401, so its last attempt decides.
    last = calls[-1]
    own = carrier_of(last.request, broker.profile)
    presented = last.request.headers.get("Authorization") if own is None else own
    return Outcome(
        operation,
        exchanges,
        presented,
        last.token,
        last.token_state,
        returned,
        answer.error,
        answer.changed,
    )
