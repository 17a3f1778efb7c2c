"""A token request, parsed once for every judge and hint.

A request has a dozen judges and as many hints. Each of them would otherwise decode the same body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mockbroker.model.authorization import Authorization, decode_leniently, read_authorization
from mockbroker.model.forms import Parameters, body_parameters, json_object, query_parameters
from mockbroker.model.messages import Request

__all__ = ["TokenRequest"]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to the token endpoint, valid or not, and its parts (RFC 6749, 4.4.2).

    ``authorizations`` has every Authorization header. ``decoded`` are the decoded credentials of
    the first one, None if they are not Base64. ``body`` and ``query`` have the parameters in
    order. ``json`` has the members of a body that is a JSON object, or is None.

    Parsing never raises: a judge must be able to read whatever a client sends.
    """

    message: Request
    authorizations: tuple[Authorization, ...]
    decoded: bytes | None
    body: Parameters
    query: Parameters
    json: Mapping[str, object] | None

    @classmethod
    def of(cls, message: Request) -> TokenRequest:
        """Parse a request."""
        # All of them: several Authorization headers are a breach of their own, which needs the
        # count.
        authorizations = tuple(map(read_authorization, message.headers.get_all("Authorization")))
        return cls(
            message,
            authorizations,
            decode_leniently(authorizations[0].rest) if authorizations else None,
            body_parameters(message),
            query_parameters(message),
            json_object(message),
        )

    @property
    def authorization(self) -> Authorization | None:
        """The first Authorization header, or None."""
        return self.authorizations[0] if self.authorizations else None

    def values(self, name: str) -> tuple[str, ...]:
        """Return every value of that parameter in the body."""
        return tuple(value for key, value in self.body if key == name)

    @property
    def names_in_body(self) -> frozenset[str]:
        """The names of the body's parameters, or of the members of a JSON object."""
        return frozenset(name for name, _ in self.body) | frozenset(self.json or ())

    @property
    def names_in_query(self) -> frozenset[str]:
        """The names of the query's parameters."""
        return frozenset(name for name, _ in self.query)

    @property
    def places_of_secret(self) -> tuple[str, ...]:
        """The places that have a parameter ``client_secret``: ``body``, ``URL``, both or none."""
        named = {"body": self.names_in_body, "URL": self.names_in_query}
        return tuple(place for place, names in named.items() if "client_secret" in names)
