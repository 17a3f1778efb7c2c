"""What a judge must know beside the request itself."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, field

from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import Profile
from mockbroker.model.value_index import index_of

__all__ = ["ApiExpectation", "TokenDamage", "TokenExpectation"]

_SHORTEST_RECOGNISED = 8
"""Shorter tokens are found by chance in what has nothing to do with them."""


@dataclass(frozen=True, slots=True)
class TokenExpectation:
    """What a token request should be.

    ``token_path`` is the path of the token URL as the broker hands it out, ``credentials`` are
    those of every registered client, ``scope`` is what the client was configured with.
    """

    profile: Profile
    token_path: str
    credentials: tuple[Credentials, ...]
    scope: str = ""


class TokenDamage(enum.Enum):
    """What sets a text apart from the token that it was made of, as the judge says it."""

    SURROUNDED = "the token is surrounded by other characters"
    OTHER_CASE = "upper and lower case of the token were changed"


@dataclass(frozen=True, slots=True)
class ApiExpectation:
    """What a call of the API may carry: the values of the tokens issued, the clients known.

    ``token_values`` is a ValueIndex where there may be many of them: no judge walks it.
    """

    token_values: Collection[str] = field(default=(), repr=False)
    credentials: tuple[Credentials, ...] = ()

    def tokens_in(self, text: str, shortest: int = _SHORTEST_RECOGNISED) -> list[str]:
        """The tokens, of a length from ``shortest`` on, that stand in the text as they are."""
        found = index_of(self.token_values).find(text)
        return [match.value for match in found if match.is_exact and len(match.value) >= shortest]

    def damage_of(self, presented: str) -> TokenDamage | None:
        """What was done to a token so that it became the text presented, if that can be told."""
        for match in index_of(self.token_values).find(presented):
            if len(match.value) >= _SHORTEST_RECOGNISED and match.is_whole:
                return TokenDamage.SURROUNDED if match.is_exact else TokenDamage.OTHER_CASE
        return None
