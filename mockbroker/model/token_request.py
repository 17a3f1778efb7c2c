"""A token request, taken apart once for everything that looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mockbroker.model.authorization import Authorization, decode_leniently, read_authorization
from mockbroker.model.forms import Parameters, body_parameters, json_object, query_parameters
from mockbroker.model.messages import Request

__all__ = ["TokenRequest"]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to the token endpoint and what can be read in it, whether or not it is right.

    ``authorizations`` has every Authorization header, ``body`` and ``query`` the parameters in
    order, ``json`` the members of a body that is a JSON object, or None.
    """

    message: Request
    authorizations: tuple[Authorization, ...]
    body: Parameters
    query: Parameters
    json: Mapping[str, object] | None

    @classmethod
    def of(cls, message: Request) -> TokenRequest:
        """Take a request apart."""
        return cls(
            message,
            tuple(map(read_authorization, message.headers.get_all("Authorization"))),
            body_parameters(message),
            query_parameters(message),
            json_object(message),
        )

    @property
    def authorization(self) -> Authorization | None:
        """The first Authorization header, or None."""
        return self.authorizations[0] if self.authorizations else None

    @property
    def decoded(self) -> bytes | None:
        """What the first Authorization header decodes to in any kind of Base64, or None."""
        return decode_leniently(self.authorizations[0].rest) if self.authorizations else None

    def values(self, name: str) -> tuple[str, ...]:
        """Return every value of a parameter of the body."""
        return tuple(value for key, value in self.body if key == name)

    @property
    def names_in_body(self) -> frozenset[str]:
        """The names in a form or in a JSON object."""
        return frozenset(name for name, _ in self.body) | frozenset(self.json or ())

    @property
    def names_in_query(self) -> frozenset[str]:
        """The names of the query's parameters."""
        return frozenset(name for name, _ in self.query)

    @property
    def places_of_secret(self) -> tuple[str, ...]:
        """Where there is a parameter ``client_secret``: ``body``, ``URL``, both or neither."""
        named = {"body": self.names_in_body, "URL": self.names_in_query}
        return tuple(place for place, names in named.items() if "client_secret" in names)
