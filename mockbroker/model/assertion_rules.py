"""What a provider demands of signed assertions, as data (RFC 7523)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from mockbroker.model.typed_reading import field_problem

__all__ = ["ALGORITHMS", "Algorithm", "AssertionRules"]

Algorithm = Literal["RS256", "PS256", "ES256", "RS384", "ES384"]
ALGORITHMS: tuple[Algorithm, ...] = ("RS256", "PS256", "ES256", "RS384", "ES384")
"""The algorithms that a broker can verify (RFC 7518, 3.1)."""

_Algorithms = Annotated[
    tuple[Algorithm, ...], Meta(min_length=1, description="a list that is not empty")
]
_Seconds = Annotated[
    float,
    Meta(ge=0, le=sys.float_info.max, description="a finite number of seconds, 0 or more"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionRules:
    """The rules of a token endpoint for the assertions of ``private_key_jwt``.

    ``algorithms`` are those that the broker accepts; it makes keys for the first one. ``audience``
    says what ``aud`` must be: the URL of the token endpoint, or that of the issuer, below which the
    token endpoint lies. ``longest_life_seconds`` limits how far ``exp`` may be ahead.
    ``leeway_seconds`` is by how much the client's clock may be off. ``jti_required`` and
    ``client_id_required`` say whether the claim ``jti`` and the parameter ``client_id`` must be
    there; if they are, they are checked anyway.

    Raises ValueError if a value does not fit.
    """

    algorithms: _Algorithms = ALGORITHMS
    audience: Literal["token_endpoint", "issuer"] = "token_endpoint"
    longest_life_seconds: _Seconds = 300
    leeway_seconds: _Seconds = 30
    jti_required: bool = True
    client_id_required: bool = False

    def __post_init__(self) -> None:
        problem = field_problem(self)
        if problem:
            raise ValueError(problem)
        # A program may pass a list; a profile is a value that can be hashed.
        object.__setattr__(self, "algorithms", tuple(self.algorithms))
