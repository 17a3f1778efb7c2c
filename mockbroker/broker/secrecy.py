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
from mockbroker.model.credentials import Credentials
from mockbroker.model.masking import mask
from mockbroker.model.remembering import Remembered

__all__ = ["KnownSecrets"]


_REMEMBERED_LENGTH = 1000
_REMEMBERED_COUNT = 256
"""How long the strings are whose masked form is remembered, in characters, and how many."""


class KnownSecrets:
    """The secrets and tokens of one broker; thread-safe."""

    def __init__(self, clients: ClientRegistry, tokens: TokenStore) -> None:
        self._clients = clients
        self._tokens = tokens
        # Logs and journals mask the same paths, field values and hints for each request. Sound,
        # because the result depends on the secrets and on the tokens whose value a test chose, and
        # those are the state. Other tokens that are issued later change no result: their random
        # values were not made yet when the string was.
        self._remembered = Remembered(self._mask, count=_REMEMBERED_COUNT)

    def masked(self, text: str) -> str:
        """Return the string with every secret and every token replaced.

        They are found in any usual encoding. The cost does not grow with the number of tokens.
        """
        # The registry is read at each call: it changes while the broker runs.
        state = (self._clients.registered, self._tokens.given_count)
        if len(text) > _REMEMBERED_LENGTH:
            return self._mask(*state, text)
        return self._remembered.of(*state)(text)

    def _mask(self, registered: tuple[Credentials, ...], _given_count: int, text: str) -> str:
        """Return the masked string; the count says for how long the result holds."""
        return mask(text, registered, self._tokens.index)

    def masked_breaches(self, breaches: Sequence[Breach]) -> tuple[Breach, ...]:
        """Return the breaches with each of their strings `masked`.

        A response quotes what the client sent, which may be a secret in the wrong place.
        """
        return tuple(
            replace(
                breach,
                what=self.masked(breach.what),
                expected=self.masked(breach.expected),
                hints=tuple(map(self.masked, breach.hints)),
            )
            for breach in breaches
        )
