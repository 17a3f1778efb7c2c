"""What clients have been issued and have asked for: their latest tokens, and when they asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from mockbroker.model.credentials import AccessToken, Credentials
from mockbroker.model.profile import Quota

__all__ = ["IssueHistory"]


class IssueHistory:
    """The latest token of each client and scope, ends of tokens to come, and token requests.

    It belongs to one `TokenStore`, under whose lock it is changed. Times are in Unix seconds.
    """

    def __init__(self) -> None:
        self._latest: dict[tuple[Credentials, str], AccessToken] = {}
        # By number, the moments at which tokens end that a newer one has replaced.
        self._ends: dict[int, float] = {}
        # By client_id, the moments of the last requests, as many as the largest quota has.
        self._moments: dict[str, deque[float]] = {}

    def latest(self, credentials: Credentials, scope: str) -> AccessToken | None:
        """Return the token that a client got last for a scope, whatever its state, or None."""
        return self._latest.get((credentials, scope))

    def add(self, token: AccessToken, previous_ends_at: float | None) -> AccessToken | None:
        """Note a new token; return the one before it. That one ends at the moment given, if any."""
        key = (token.credentials, token.scope)
        previous = self._latest.get(key)
        self._latest[key] = token
        if previous is not None and previous_ends_at is not None:
            # A token that two newer ones have replaced ends when the first of them says.
            self._ends.setdefault(previous.number, previous_ends_at)
        return previous

    def has_ended(self, token: AccessToken, now: float) -> bool:
        """Return whether a token was replaced, and the time that it lived on is over."""
        # Most brokers have none of them, so the usual case is a look at an empty dict.
        return bool(self._ends) and self._ends.get(token.number, now + 1) <= now

    def drop(self, token: AccessToken) -> None:
        """Forget when a token ends, because the token itself is forgotten."""
        self._ends.pop(token.number, None)

    def request(self, client_id: str, quotas: Sequence[Quota], now: float) -> float:
        """Note a token request; return for how many seconds the client must wait, or 0.

        A request that must wait is not noted.
        """
        moments = self._moments.setdefault(client_id, deque())
        # The earliest of the last N requests must be a whole period ago.
        waits = [
            moments[-quota.requests] + quota.period_seconds - now
            for quota in quotas
            if len(moments) >= quota.requests
        ]
        wait = max(waits, default=0)
        if wait > 0:
            return wait
        moments.append(now)
        while len(moments) > max(quota.requests for quota in quotas):
            moments.popleft()
        return 0

    def clear(self) -> None:
        """Forget everything."""
        self._latest.clear()
        self._ends.clear()
        self._moments.clear()
