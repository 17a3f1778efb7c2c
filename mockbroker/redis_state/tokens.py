"""Tokens in Redis, with a replica of them in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

from mockbroker.broker.tokens import TokenStore
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.profile import Quota
from mockbroker.model.value_index import ValueIndex
from mockbroker.redis_state.records import octets, token_of, token_record
from mockbroker.redis_state.replica import Replica, Snapshot
from mockbroker.redis_state.scripts import (
    CLEAR_TOKENS,
    END,
    FORGOTTEN,
    ISSUE,
    READ,
    REQUEST,
    REVOKE,
)

__all__ = ["SharedTokens"]

_HOW = {TokenState.REVOKED: "revoked", TokenState.EXPIRED: "expired"}
_STATES = {how.encode(): state for state, how in _HOW.items()}


class SharedTokens(TokenStore):
    """The tokens of brokers that share a state; it has the limit and the rules of a `TokenStore`.

    Redis numbers the tokens and decides which one is forgotten. Lookups read the replica. The
    methods named ``apply`` are called by the replica only, one at a time.
    """

    def __init__(self, replica: Replica, limit: int) -> None:
        super().__init__(limit)
        self._replica = replica

    def issue(
        self,
        value: str,
        *,
        issuer: str,
        credentials: Credentials,
        scope: str,
        issued_at: float,
        expires_in: float,
        ends_previous: bool = False,
        overlap_seconds: float = 0,
        is_given: bool = False,
        bound_to: str = "",
    ) -> AccessToken:
        """Remember a new token and return it; its arguments are those of the base."""
        token = AccessToken(value, 0, issuer, credentials, scope, issued_at, expires_in, bound_to)
        # Each replica ends the previous token by itself then, at the moment in the record.
        is_delayed = ends_previous and overlap_seconds > 0
        [number, was_valid] = self._replica.ask(
            ISSUE,
            token_record(
                token,
                is_given=is_given,
                previous_ends_at=issued_at + overlap_seconds if is_delayed else None,
            ),
            octets(value),
            repr(float(issued_at)),
            repr(float(token.expires_at)),
            octets(f"{credentials.client_id}\0{credentials.client_secret}\0{scope}"),
            int(ends_previous and not is_delayed),
            self._limit,
        )
        if was_valid:
            self._warn_of_valid()
        return replace(token, number=number)

    def request(self, client_id: str, quotas: Sequence[Quota], now: float) -> float:
        """Note a token request to any process; its arguments are those of the base."""
        limits = [repr(float(n)) for q in quotas for n in (q.requests, q.period_seconds)]
        [wait] = self._replica.ask(REQUEST, octets(client_id), repr(float(now)), *limits)
        return float(wait)

    def state_of_missing(self, value: str) -> TokenState:
        """Return FORGOTTEN or, if no process ever issued the value, UNKNOWN."""
        [is_forgotten] = self._replica.ask(FORGOTTEN, octets(value))
        return TokenState.FORGOTTEN if is_forgotten else TokenState.UNKNOWN

    def revoke_all(self) -> None:
        """Revoke every token issued so far, by whichever process."""
        self._replica.ask(REVOKE)

    def end(self, token: AccessToken, state: TokenState) -> None:
        """End a token before its time in all processes; its arguments are those of the base."""
        self._replica.ask(END, octets(token.value), token.number, _HOW[state])

    def snapshot(self) -> tuple[AccessToken, ...]:
        """Return the tokens that Redis remembers at this moment, the oldest first."""
        self._replica.ask(READ)
        tokens = filter(None, map(self.find, self.index))
        return tuple(sorted(tokens, key=attrgetter("number")))

    def clear(self) -> None:
        """Forget every token, also that it was issued, and count from 1 again."""
        self._replica.ask(CLEAR_TOKENS)

    def apply_issued(self, numbered: bytes) -> None:
        """Add a token from its number and record."""
        token, is_given, previous_ends_at = token_of(numbered)
        self._tokens.put(token.value, token)
        self._done_by_test["given"] += is_given
        self._history.add(token, previous_ends_at)

    def apply_dropped(self, value: bytes) -> None:
        """Remove the token of a value."""
        token = self._tokens[value.decode("utf-8", "surrogatepass")]
        self._tokens.discard(token.value)
        self._ended.pop(token.number, None)
        self._history.drop(token)

    def apply_ended(self, ending: bytes) -> None:
        """Note how the token of a number was ended before its time."""
        number, _, how = ending.partition(b":")
        self._ended[int(number)] = _STATES.get(how, TokenState.REVOKED)
        self._done_by_test["ended"] += how in _STATES

    def apply_revoked(self, number: bytes) -> None:
        """Note that the tokens up to a number were revoked."""
        self._revoked_count = int(number)
        self._done_by_test["ended"] += 1

    def apply_cleared(self, _: bytes = b"") -> None:
        """Remove every token."""
        # A new index: a search in another thread goes on in the old one, undisturbed.
        self._tokens = ValueIndex()
        self._history.clear()
        self._ended.clear()
        self._revoked_count = 0

    def load(self, snapshot: Snapshot) -> None:
        """Replace every token by those of a whole state."""
        self.apply_cleared()
        # Redis lists them in no order. Of each client and scope the last one counts.
        for numbered in sorted(snapshot.tokens, key=lambda record: int(record.split(b":", 1)[0])):
            self.apply_issued(numbered)
        for ending in snapshot.endings:
            self.apply_ended(ending)
        self._revoked_count = snapshot.revoked
        # What was masked before may have to be masked otherwise.
        self._done_by_test["given"] += 1
