"""The facts that a judge needs in addition to the request.

The broker makes them from its settings. `mockbroker explain` makes them from the request itself,
because it knows no settings.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, field

from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import Profile
from mockbroker.model.value_index import index_of

__all__ = ["ApiExpectation", "TokenDamage", "TokenExpectation"]

_SHORTEST_RECOGNISED = 8
"""The length in characters from which a token is recognized; shorter ones occur by chance."""


@dataclass(frozen=True, slots=True)
class TokenExpectation:
    """The values that a token request should have.

    ``token_path`` is the path of the broker's token URL, ``credentials`` are those of every
    registered client, and ``scope`` is the scope that the client was configured with.

    The rest is for assertions. ``received_at`` is in Unix seconds by the broker's clock, None if it
    is unknown. ``audiences`` are the values of ``aud`` that the profile accepts, empty if they are
    unknown. ``is_replayed`` says whether the assertion's ``jti`` was used before.
    """

    profile: Profile
    token_path: str
    credentials: tuple[Credentials, ...]
    scope: str = ""
    received_at: float | None = None
    audiences: tuple[str, ...] = ()
    is_replayed: bool = False


class TokenDamage(enum.Enum):
    """The difference between a presented string and the token from which it was made.

    The values are the words of a message.
    """

    SURROUNDED = "the token is surrounded by other characters"
    OTHER_CASE = "upper and lower case of the token were changed"


@dataclass(frozen=True, slots=True)
class ApiExpectation:
    """The values that a call to the API may carry, and the credentials that it must not.

    ``token_values`` should be a ValueIndex if there may be many: then no judge visits them all.
    ``header`` is the field that carries the token, after the word ``scheme``, which may be empty.
    With ``in_query`` it is a parameter of the URL instead; see `mockbroker.model.api_call`.
    ``bound_to`` is the thumbprint of the certificate to which the call's token is bound; empty if
    it is not bound, or the call has no token.
    """

    # Left out of the repr: the values are tokens.
    token_values: Collection[str] = field(default=(), repr=False)
    credentials: tuple[Credentials, ...] = ()
    header: str = "Authorization"
    scheme: str = "Bearer"
    in_query: bool = False
    bound_to: str = ""

    @classmethod
    def of(
        cls, profile: Profile, token_values: Collection[str], credentials: tuple[Credentials, ...]
    ) -> ApiExpectation:
        """Return what a profile's API expects of a call."""
        header, scheme = profile.api_header, profile.api_scheme
        if profile.api_query:
            header, scheme = profile.api_query, ""
        return cls(token_values, credentials, header, scheme, in_query=bool(profile.api_query))

    @property
    def is_usual(self) -> bool:
        """Whether calls carry tokens as RFC 6750, 2.1 says."""
        return self.header == "Authorization" and self.scheme == "Bearer"

    @property
    def example(self) -> str:
        """The header field or the parameter of a right call, in words."""
        if self.in_query:
            return f"{self.header} with the token in the query of the URL"
        return f"{self.header}: {self.scheme} <token>".replace(":  ", ": ")

    def tokens_in(self, text: str, shortest: int = _SHORTEST_RECOGNISED) -> list[str]:
        """Return the tokens of ``shortest`` characters or more that the string contains.

        Only whole tokens in their own case count; `damage_of` finds others.
        """
        found = index_of(self.token_values).find(text)
        return [match.value for match in found if match.is_exact and len(match.value) >= shortest]

    def damage_of(self, presented: str) -> TokenDamage | None:
        """Return how a token was damaged before it was presented; None if that is unknown.

        An undamaged token counts as surrounded, so callers must look it up first.
        """
        for match in index_of(self.token_values).find(presented):
            # A part of a token is not enough: tokens of one issuer often begin alike, as JWTs do.
            if len(match.value) >= _SHORTEST_RECOGNISED and match.is_whole:
                return TokenDamage.SURROUNDED if match.is_exact else TokenDamage.OTHER_CASE
        return None
