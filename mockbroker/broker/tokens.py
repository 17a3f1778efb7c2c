"""Access tokens: issue, look up, revoke, expire.

The broker looks tokens up by value, as a real one does for opaque tokens; even a signed one is only
a value here.
"""

from __future__ import annotations

import logging
import re
import secrets
import string
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from operator import attrgetter
from typing import Literal

from mockbroker.broker.expiry_queue import ExpiryQueue
from mockbroker.broker.forgotten_tokens import ForgottenValues
from mockbroker.broker.issue_history import IssueHistory
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.profile import Quota
from mockbroker.model.value_index import ValueIndex

__all__ = ["TOKEN_LIMIT", "TokenStore", "random_token"]

_log = logging.getLogger(__name__)

TOKEN_LIMIT = 100_000
"""How many tokens a broker remembers by default. A client that never reuses a token would fill the
memory of a long-running broker."""


_RANDOM_PART = re.compile(r"\{([0-9]+)\}")
_CHARACTERS = string.ascii_letters + string.digits + "-_"


def random_token(shape: str = "") -> str:
    """Return an opaque token of 43 random characters of the b64token alphabet (RFC 6750, 2.1).

    In a ``shape`` such as ``acme_{32}``, so many random characters replace the number in braces.
    """
    if shape:
        return _RANDOM_PART.sub(lambda found: _random_characters(int(found[1])), shape)
    # 256 bits. RFC 6749, 10.10: the probability of guessing a token "MUST be less than or equal to
    # 2^(-128) and SHOULD be less than or equal to 2^(-160)".
    return secrets.token_urlsafe(32)


def _random_characters(count: int) -> str:
    """Return so many random characters."""
    return "".join(secrets.choice(_CHARACTERS) for _ in range(count))


class TokenStore:
    """The tokens of one broker, at most ``limit`` of them; thread-safe.

    Beyond the limit it forgets the oldest of three: the token that expired first, the first that a
    newer one ended, and the first that was revoked. Only if all tokens are valid, it forgets the
    oldest of all, and logs a warning the first time. It recognizes a forgotten token by a
    fingerprint. No operation visits all tokens. Raises ValueError if the limit is less than 1.
    """

    def __init__(self, limit: int = TOKEN_LIMIT) -> None:
        if limit < 1:
            raise ValueError(f"a broker must remember 1 token or more, not {limit}")
        self._limit = limit
        self._tokens: ValueIndex[AccessToken] = ValueIndex()
        # In the order of issue, by number. OrderedDicts, because a dict that is emptied from its
        # front is slow to find its first entry.
        self._oldest: OrderedDict[int, AccessToken] = OrderedDict()
        self._expiries = ExpiryQueue()
        # A client that presents a forgotten token needs other advice than one with an invented
        # token.
        self._forgotten = ForgottenValues()
        self._revoked_count = self._issued_count = 0
        self._history = IssueHistory()
        # How the tokens ended that ended before their time, by number, in the order of their end:
        # REVOKED or EXPIRED.
        self._ended: OrderedDict[int, TokenState] = OrderedDict()
        # What a test did: it gave values, and ended tokens. `clear` does not reset these counts.
        self._done_by_test: Counter[Literal["given", "ended"]] = Counter()
        self._has_warned = False
        self._lock = threading.Lock()

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
        """Remember a new token and return it; a value issued before now means the new token.

        ``issued_at`` is in Unix seconds, ``expires_in`` in seconds. If ``ends_previous``, the
        client's previous token for that scope is revoked, ``overlap_seconds`` after the new one
        is issued. ``is_given`` says that a test chose the value, so that it may have been seen
        before. ``bound_to`` is the thumbprint of the certificate to which the token is bound.
        """
        with self._lock:
            self._issued_count += 1
            number = self._issued_count
            token = AccessToken(
                value, number, issuer, credentials, scope, issued_at, expires_in, bound_to
            )
            # A test may set `token_values` and issue the same value again, as some providers do.
            if value in self._tokens:
                self._drop(self._tokens[value])
            elif len(self._tokens) >= self._limit:
                self._forget(self._most_expendable(issued_at))
            self._tokens.put(value, token)
            # Only now: a thread that reads the new count must find the token in the index.
            self._done_by_test["given"] += is_given
            self._oldest[number] = token
            self._push_expiry(token)
            is_delayed = ends_previous and overlap_seconds > 0
            ends_at = issued_at + overlap_seconds if is_delayed else None
            previous = self._history.add(token, ends_at)
            # A forgotten token is invalid in any case, and its number would never be dropped.
            if ends_previous and not is_delayed and previous and previous.value in self._tokens:
                self._ended[previous.number] = TokenState.REVOKED
            return token

    def request(self, client_id: str, quotas: Sequence[Quota], now: float) -> float:
        """Note a token request; return for how many seconds the quotas make it wait, or 0."""
        with self._lock:
            return self._history.request(client_id, quotas, now)

    def latest(self, credentials: Credentials, scope: str, now: float) -> AccessToken | None:
        """Return the client's latest token for that scope if it is still valid, or None.

        ``now`` is in Unix seconds.
        """
        token = self._history.latest(credentials, scope)
        is_valid = token is not None and self.state(token, now) is TokenState.VALID
        return token if is_valid else None

    def _most_expendable(self, now: float) -> AccessToken:
        """Return the token to forget next; see the class. Needs the lock."""
        oldest = next(iter(self._oldest.values()))
        # `revoke_all` revokes the oldest ones, so the oldest of all is one of them if any is.
        revoked = oldest if oldest.number <= self._revoked_count else None
        number = self._expiries.first_until(now, self._oldest)
        expired = None if number is None else self._oldest[number]
        if revoked is None and expired is None and not self._ended:
            self._warn_of_valid()
            return oldest
        ended = self._oldest[next(iter(self._ended))] if self._ended else None
        dead = [token for token in (revoked, ended, expired) if token is not None]
        return min(dead, key=attrgetter("number"))

    def _warn_of_valid(self) -> None:
        """Log that a valid token is forgotten, if that was not logged before."""
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "the broker forgets valid tokens: it keeps %d, and all of them are valid; "
                "raise token_limit if clients use older ones",
                self._limit,
            )

    def _push_expiry(self, token: AccessToken) -> None:
        """Note when a token expires; needs the lock."""
        self._expiries.push(token.expires_at, token.number)
        self._expiries.remove_dropped(self._oldest, 2 * max(self._limit, len(self._oldest)))

    def _forget(self, token: AccessToken) -> None:
        """Drop a token, and keep its fingerprint; needs the lock."""
        self._drop(token)
        self._forgotten.add(token.value)

    def _drop(self, token: AccessToken) -> None:
        """Remove a token; needs the lock."""
        self._tokens.discard(token.value)
        self._ended.pop(token.number, None)
        self._history.drop(token)
        del self._oldest[token.number]

    def _ended_as(self, token: AccessToken) -> TokenState | None:
        """Return the state of a token that was ended before its time; None for any other."""
        # `revoke_all` moves one number instead of visiting each token: it also holds for tokens
        # that are issued while it runs.
        if token.number <= self._revoked_count:
            return TokenState.REVOKED
        return self._ended.get(token.number)

    def find(self, value: str) -> AccessToken | None:
        """Return the token of that value, whatever its state, or None."""
        # No lock: the index may be read while another thread changes it.
        return self._tokens.get(value)

    def state(self, token: AccessToken, now: float) -> TokenState:
        """Return the state of a token at a time in Unix seconds.

        A token that was dropped, or whose value was issued again, is FORGOTTEN or UNKNOWN.
        """
        # The same value may have been issued again since. Identity is the usual case, and costs
        # less than a comparison.
        found = self._tokens.get(token.value)
        if found is not token and found != token:
            return self.state_of_missing(token.value)
        ended = self._ended_as(token)
        if ended is not None:
            return ended
        if self._history.has_ended(token, now):
            return TokenState.REVOKED
        # `<`: a token is invalid from the very moment of its expiry (see `AccessToken`). Clauses
        # and broker must agree on it.
        return TokenState.VALID if now < token.expires_at else TokenState.EXPIRED

    def state_of_missing(self, value: str) -> TokenState:
        """Return FORGOTTEN or, if the broker never issued the value, UNKNOWN."""
        return TokenState.FORGOTTEN if value in self._forgotten else TokenState.UNKNOWN

    def revoke_all(self) -> None:
        """Revoke every token issued so far."""
        with self._lock:
            self._revoked_count = self._issued_count
            self._done_by_test["ended"] += 1

    def end(self, token: AccessToken, state: TokenState) -> None:
        """End a token before its time: from now on its state is REVOKED or EXPIRED.

        Do nothing if the token was forgotten, or its value was issued again.
        """
        with self._lock:
            if self._tokens.get(token.value) is token:
                self._ended[token.number] = state
                self._done_by_test["ended"] += 1

    def snapshot(self) -> tuple[AccessToken, ...]:
        """Return the tokens remembered at this moment, the oldest first."""
        with self._lock:
            return tuple(self._oldest.values())

    def clear(self) -> None:
        """Forget every token, also that it was issued, and count from 1 again.

        Values issued before are UNKNOWN afterwards, not FORGOTTEN.
        """
        with self._lock:
            # A new index: a search in another thread goes on in the old one, undisturbed.
            self._tokens = ValueIndex()
            self._oldest.clear()
            self._expiries.clear()
            self._forgotten.clear()
            self._history.clear()
            self._ended.clear()
            self._has_warned = False
            self._revoked_count = self._issued_count = 0

    @property
    def endings_count(self) -> int:
        """How often tokens were ended before their time by a test; `clear` does not reset it."""
        return self._done_by_test["ended"]

    @property
    def given_count(self) -> int:
        """How many tokens were issued whose value a test chose; `clear` does not reset it."""
        return self._done_by_test["given"]

    @property
    def index(self) -> ValueIndex[AccessToken]:
        """The tokens remembered, by their values; it changes as tokens come and go."""
        return self._tokens
