"""What a judge must know beside the request itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from mockbroker.spec.credentials import Credentials
from mockbroker.spec.profile import Profile

__all__ = ["ApiExpectation", "TokenExpectation"]


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


@dataclass(frozen=True, slots=True)
class ApiExpectation:
    """What a call of the API may carry: the values of the tokens issued, the clients known."""

    token_values: Collection[str] = field(default=(), repr=False)
    credentials: tuple[Credentials, ...] = ()
