"""Tokens in Redis, with a replica of them in this process."""

from __future__ import annotations

from mockbroker.broker.tokens import TokenStore
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.value_index import ValueIndex
from mockbroker.redis_state.records import octets, token_of, token_record
from mockbroker.redis_state.replica import Replica, Snapshot
from mockbroker.redis_state.scripts import CLEAR_TOKENS, FORGOTTEN, ISSUE, REVOKE

__all__ = ["SharedTokens"]


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
        is_given: bool = False,
    ) -> AccessToken:
        """Remember a new token and return it; its arguments are those of the base."""
        token = AccessToken(value, 0, issuer, credentials, scope, issued_at, expires_in)
        [number, was_valid] = self._replica.ask(
            ISSUE,
            token_record(token, is_given=is_given),
            octets(value),
            repr(float(issued_at)),
            repr(float(token.expires_at)),
            octets(f"{credentials.client_id}\0{credentials.client_secret}\0{scope}"),
            int(ends_previous),
            self._limit,
        )
        if was_valid:
            self._warn_of_valid()
        found = self.find(value)
        if found is not None and found.number == number:
            return found
        # Another process has issued the same value since, or the token was forgotten at once.
        return AccessToken(value, number, issuer, credentials, scope, issued_at, expires_in)

    def state_of_missing(self, value: str) -> TokenState:
        """Return FORGOTTEN or, if no process ever issued the value, UNKNOWN."""
        [is_forgotten] = self._replica.ask(FORGOTTEN, octets(value))
        return TokenState.FORGOTTEN if is_forgotten else TokenState.UNKNOWN

    def revoke_all(self) -> None:
        """Revoke every token issued so far, by whichever process."""
        self._replica.ask(REVOKE)

    def clear(self) -> None:
        """Forget every token, also that it was issued, and count from 1 again."""
        self._replica.ask(CLEAR_TOKENS)

    def apply_issued(self, numbered: bytes) -> None:
        """Add a token from its number and record."""
        token, is_given = token_of(numbered)
        self._tokens.put(token.value, token)
        self._given_count += is_given
        self._latest[token.credentials, token.scope] = token

    def apply_dropped(self, value: bytes) -> None:
        """Remove the token of a value."""
        token = self._tokens.get(value.decode("utf-8", "surrogatepass"))
        if token is not None:
            self._tokens.discard(token.value)
            self._ended.pop(token.number, None)

    def apply_ended(self, number: bytes) -> None:
        """Note that the token of a number was ended by its successor."""
        self._ended[int(number)] = None

    def apply_revoked(self, number: bytes) -> None:
        """Note that the tokens up to a number were revoked."""
        self._revoked_count = int(number)

    def apply_cleared(self, _: bytes = b"") -> None:
        """Remove every token."""
        # A new index: a search in another thread goes on in the old one, undisturbed.
        self._tokens = ValueIndex()
        self._latest.clear()
        self._ended.clear()
        self._revoked_count = 0

    def load(self, snapshot: Snapshot) -> None:
        """Replace every token by those of a whole state."""
        self.apply_cleared()
        # Redis lists them in no order. Of each client and scope the last one counts.
        for numbered in sorted(snapshot.tokens, key=lambda record: int(record.split(b":", 1)[0])):
            self.apply_issued(numbered)
        self._ended.update(dict.fromkeys(snapshot.ended))
        self._revoked_count = snapshot.revoked
        # What was masked before may have to be masked otherwise.
        self._given_count += 1
