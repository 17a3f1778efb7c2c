"""The secrets and tokens of a broker, and masking them in strings and breaches.

Everything that leaves the broker as text goes through it: logs, journal files, reports, messages of
assertions, and error responses that quote a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mockbroker.broker.clients import ClientRegistry
from mockbroker.broker.tokens import TokenStore
from mockbroker.model.breach import Breach
from mockbroker.model.masking import mask

__all__ = ["KnownSecrets"]


class KnownSecrets:
    """The secrets and tokens of one broker; thread-safe."""

    def __init__(self, clients: ClientRegistry, tokens: TokenStore) -> None:
        self._clients = clients
        self._tokens = tokens

    def masked(self, text: str) -> str:
        """Return the string with every secret and every token replaced.

        They are found in any usual encoding. The cost does not grow with the number of tokens.
        """
        # The registry and the index are read at each call: both change while the broker runs.
        return mask(text, self._clients.registered, self._tokens.index)

    def masked_breaches(self, breaches: Sequence[Breach]) -> tuple[Breach, ...]:
        """Return the breaches with each of their strings `masked`.

        A response quotes what the client sent, which may be a secret in the wrong place.
        """
        return tuple(
            replace(
                breach,
                what=self.masked(breach.what),
                expected=self.masked(breach.expected),
                hint=self.masked(breach.hint),
            )
            for breach in breaches
        )
