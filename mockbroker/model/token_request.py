"""A token request, parsed once for every judge and hint.

A request has a dozen judges and as many hints. Each of them would otherwise decode the same body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from mockbroker.model.authorization import Authorization, decode_leniently, read_authorization
from mockbroker.model.forms import Parameters, body_parameters, json_members, query_parameters
from mockbroker.model.messages import Request
from mockbroker.model.profile import Profile

__all__ = ["TokenRequest"]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to the token endpoint, valid or not, and its parts (RFC 6749, 4.4.2).

    ``authorizations`` has every Authorization header. ``decoded`` are the decoded credentials of
    the first one, None if they are not Base64. ``body`` and ``query`` have the parameters in
    order. ``json`` has the members of a body that is a JSON object, or is None.

    ``parameters`` are those at the place where the profile has them, and ``url_parameters`` those
    of the query, both by the names of RFC 6749. So judges see one form, whatever the provider's is.
    A parameter by the RFC's name where the provider has another is in ``misnamed`` only.
    ``authorizations`` have the scheme Basic where the profile has its own.

    Parsing never raises: a judge must be able to read whatever a client sends.
    """

    message: Request
    authorizations: tuple[Authorization, ...]
    decoded: bytes | None
    body: Parameters
    query: Parameters
    json: Mapping[str, object] | None
    parameters: Parameters
    url_parameters: Parameters
    misnamed: tuple[str, ...] = ()

    @classmethod
    def of(cls, message: Request, profile: Profile | None = None) -> TokenRequest:
        """Parse a request, with its parameters in the profile's form, by default RFC 6749's."""
        # All of them: several Authorization headers are a breach of their own, which needs the
        # count.
        authorizations = tuple(map(read_authorization, message.headers.get_all("Authorization")))
        body, query = body_parameters(message), query_parameters(message)
        pairs = json_members(message)
        members = None if pairs is None else dict(pairs)
        place, names, scheme = ("form", {}, "Basic") if profile is None else _form_of(profile)
        if scheme != "Basic":
            authorizations = tuple(_as_basic(each, scheme) for each in authorizations)
        url_parameters = _renamed(query, names) if names else query
        if place == "query":
            parameters = url_parameters
        else:
            sent = body if place == "form" else _flat(pairs or ())
            parameters = _renamed(sent, names) if names else sent
        return cls(
            message,
            authorizations,
            decode_leniently(authorizations[0].rest) if authorizations else None,
            body,
            query,
            members,
            parameters,
            url_parameters,
            _misnamed((*body, *_flat(pairs or ()), *query), names) if names else (),
        )

    @property
    def authorization(self) -> Authorization | None:
        """The first Authorization header, or None."""
        return self.authorizations[0] if self.authorizations else None

    def has_form_of(self, profile: Profile) -> bool:
        """Return whether the parameters can be judged one by one, because their form is right."""
        if profile.grant_type is not False:
            return bool(self.values("grant_type"))
        return profile.body == "query" or (profile.body == "json") is (self.json is not None)

    def values(self, name: str) -> tuple[str, ...]:
        """Return every value of that parameter, at the profile's place and by the RFC's name."""
        return tuple(value for key, value in self.parameters if key == name)

    def values_in_url(self, name: str) -> tuple[str, ...]:
        """Return every value of that parameter in the query, by the RFC's name."""
        return tuple(value for key, value in self.url_parameters if key == name)

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
        in_body = _SECRET in self.names_in_body or (
            self.parameters is not self.url_parameters and bool(self.values(_SECRET))
        )
        in_url = _SECRET in self.names_in_query or bool(self.values_in_url(_SECRET))
        return ("body",) * in_body + ("URL",) * in_url


_SECRET = "client_secret"  # noqa: S105 - the name of a parameter, not a password


# A process serves a few profiles. Most providers have the names of the RFC, which need no table.
@lru_cache(maxsize=64)
def _form_of(profile: Profile) -> tuple[str, Mapping[str, str], str]:
    """Return the place of parameters, the RFC's names by the profile's own, and Basic's scheme.

    The names are empty if they are the same.
    """
    names = {own: name for name, own in profile.parameter_names.by_rfc_name.items() if own != name}
    return profile.body, names, profile.basic_scheme


def _as_basic(authorization: Authorization, scheme: str) -> Authorization:
    """Return a header with Basic for the profile's scheme, and the profile's scheme for Basic.

    So Basic means the right scheme for every judge, and the word Basic itself is another one.
    """
    if authorization.is_scheme(scheme):
        return Authorization("Basic", authorization.rest)
    if authorization.is_scheme("Basic"):
        return Authorization(scheme, authorization.rest)
    return authorization


def _renamed(parameters: Parameters, names: Mapping[str, str]) -> Parameters:
    """Return the parameters by the RFC's names, without those that a provider does not know."""
    unknown = frozenset(names.values()) - names.keys()
    return tuple((names.get(key, key), value) for key, value in parameters if key not in unknown)


def _misnamed(parameters: Parameters, names: Mapping[str, str]) -> tuple[str, ...]:
    """Return which parameters have the RFC's name where the profile has its own."""
    unknown = frozenset(names.values()) - names.keys()
    return tuple(dict.fromkeys(key for key, _ in parameters if key in unknown))


def _flat(members: tuple[tuple[str, object], ...]) -> Parameters:
    """Return the members of a JSON object as parameters; other values than strings as JSON."""
    return tuple(
        (name, value if isinstance(value, str) else "" if value is None else json.dumps(value))
        for name, value in members
    )
