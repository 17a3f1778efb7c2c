"""Client credentials as parameters of the token request (RFC 6749, 2.3.1).

Providers call it client_secret_post. RFC 6749 does not recommend it, but many offer nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import ClassVar

from mockbroker.contract.authentication.method import AuthenticationMethod
from mockbroker.contract.authentication.pair_hints import (
    is_plausible,
    mistakes_in_pair,
    sent_twice,
)
from mockbroker.contract.body_hints import mistake_in_body
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.credentials import Credentials, same_text
from mockbroker.model.masking import shown
from mockbroker.model.profile import ParameterNames, Profile
from mockbroker.model.token_request import TokenRequest

_LONGEST_NAME = 40
"""The length in characters up to which a name may be a near miss."""

__all__ = ["Body", "HeaderFields", "PublicClient", "Query"]


class Body(AuthenticationMethod):
    """client_id and client_secret as parameters of the body, by the profile's names.

    If a profile accepts several methods and a request uses several, the profile's order decides.
    """

    name = "post"
    chapter = "post"
    place = "in the body"
    where: ClassVar[str] = "body"
    """The place of the credentials, as a noun."""
    expected = "{id} and {secret} in the body, as they were registered, once each"

    def __init__(self, profile: Profile | None = None) -> None:
        self._names = ParameterNames() if profile is None else profile.parameter_names
        self._is_form = profile is None or profile.body == "form"
        self.expected = type(self).expected.format(
            id=self._names.client_id, secret=self._names.client_secret
        )

    def for_profile(self, profile: Profile) -> AuthenticationMethod:
        """Return the method with the profile's names, and for its form of the body."""
        return type(self)(profile)

    def is_used_in(self, request: TokenRequest) -> bool:
        """Return whether the place has a client_secret.

        A client_id alone does not count: public clients and other methods send it, too.
        """
        return self.where in request.places_of_secret

    def presents(self, request: TokenRequest, credentials: Credentials) -> bool:
        """Return whether the place has exactly these credentials, once each."""
        # Once each, because RFC 6749, 3.2 forbids repeated parameters.
        ids = self._values(request, "client_id")
        secrets = self._values(request, "client_secret")
        if ids != (credentials.client_id,) or len(secrets) != 1:
            return False
        return same_text(secrets[0], credentials.client_secret)

    def _values(self, request: TokenRequest, name: str) -> tuple[str, ...]:
        """Return every value of a parameter at the method's place."""
        return request.values(name)

    def _sent(self, request: TokenRequest) -> tuple[str, str]:
        """Return the first client_id and the first client_secret; empty if missing."""
        pairs = (self._values(request, name) for name in ("client_id", "client_secret"))
        client_id, secret = (values[0] if values else "" for values in pairs)
        return client_id, secret

    def claimed(self, request: TokenRequest) -> Credentials | None:
        """Return the first client_id and the first client_secret of the place."""
        pair = self._sent(request)
        return Credentials(*pair) if is_plausible(pair) else None

    def client_ids_in(self, request: TokenRequest) -> frozenset[str]:
        """Return each client_id that is a parameter of the body or of the query.

        A client that puts its id into the URL by mistake is recognized as well.
        """
        return frozenset((*request.values("client_id"), *request.values_in_url("client_id")))

    def mistakes(self, request: TokenRequest, expected: TokenExpectation) -> Iterator[str]:
        """Yield the likely mistakes in the place of the credentials and in the pair."""
        if request.misnamed:
            yield from self._misnamed(request, expected)
            return
        profile = expected.profile
        found_body = mistake_in_body(request, profile) if request.message.body.strip() else None
        # Without a grant_type no clause on the body has the hint on its form.
        if found_body and self.where == "body" and profile.grant_type is False:
            yield found_body.hint
            return
        elsewhere = self._elsewhere(request)
        if elsewhere:
            yield elsewhere
            return
        if profile.body == "form" and request.json is not None:
            return  # the hint on JSON explains it
        if profile.body == "json" and request.json is None:
            return  # the hint on the form explains it
        if not self._values(request, "client_id"):
            lack = (
                f"the {self.where} has {self._names.client_secret} but no {self._names.client_id}"
            )
            yield self._near_names(request) or lack
        else:
            yield from self._repeated(request)
            yield from mistakes_in_pair(self._sent(request), expected)
        if request.authorizations or set(request.places_of_secret) - {self.where}:
            yield sent_twice(self.place)

    def _misnamed(self, request: TokenRequest, expected: TokenExpectation) -> Iterator[str]:
        """Yield the hint on credentials by the RFC's names where the profile has its own."""
        for name in ("client_id", "client_secret"):
            own = getattr(self._names, name)
            if name in request.misnamed and own != name:
                yield f"the parameter is named {name}; profile {expected.profile.name} has {own}"

    def _repeated(self, request: TokenRequest) -> Iterator[str]:
        """Yield the hint on an id or a secret that is in its place several times."""
        for name, own in self._own_names.items():
            times = len(self._values(request, name))
            if times > 1:
                yield f"{own} is in the {self.where} {times} times; send it once"

    @property
    def _own_names(self) -> dict[str, str]:
        """The profile's names of the id and of the secret by those of the RFC."""
        names = self._names
        return {"client_id": names.client_id, "client_secret": names.client_secret}

    def _near_names(self, request: TokenRequest) -> str:
        """Recognize an id or a secret by a name that is nearly the right one."""
        noun, names = self._sent_names(request)
        letters = {_letters(name): name for name in names if len(name) <= _LONGEST_NAME}
        for own in self._own_names.values():
            if own in names:
                continue
            near = get_close_matches(_letters(own), letters, n=1, cutoff=0.85)
            if near:
                return f"the {noun} is named {shown(letters[near[0]])!r}; its name is {own}"
        return ""

    def _sent_names(self, request: TokenRequest) -> tuple[str, Collection[str]]:
        """Return what the method calls the place of the id, and the names that the request has."""
        return "parameter", sorted(request.names_in_body | request.names_in_query)

    def _elsewhere(self, request: TokenRequest) -> str:
        """Recognize credentials at another place, in the header, or nowhere."""
        names = f"{self._names.client_id} and {self._names.client_secret}"
        if self.where in request.places_of_secret:
            return ""
        if request.places_of_secret:
            found = request.places_of_secret[0]
            return f"the credentials are in the {found}; send {names} {self.place}"
        if request.authorizations:
            return (
                "the credentials are in the Authorization header (client_secret_basic); this "
                f"broker takes {names} {self.place}: look for a setting such as auth_method or "
                "client_secret_post"
            )
        near = self._near_names(request)
        return near or f"no credentials were sent; send {names} {self.place}"

    def headers(self, credentials: Credentials) -> Mapping[str, str]:
        """Return no header fields: no header holds credentials."""
        del credentials
        return {}

    def parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """Return the two parameters by the profile's names."""
        return {
            self._names.client_id: credentials.client_id,
            self._names.client_secret: credentials.client_secret,
        }

    def curl_options(self, credentials: Credentials) -> tuple[str, ...]:
        """Return curl's ``--data-urlencode`` for the parameters of a form; nothing otherwise."""
        if not self._is_form:
            return ()
        pairs = (f"{name}={value}" for name, value in self.parameters(credentials).items())
        return tuple(word for pair in pairs for word in ("--data-urlencode", pair))


class Query(Body):
    """client_id and client_secret as parameters of the URL's query.

    RFC 6749, 2.3.1 forbids it, because URLs end up in logs. Some providers take nothing else.
    """

    name = "query"
    place = "in the URL"
    where = "URL"
    expected = "{id} and {secret} in the query of the URL, as registered, once each"

    def _values(self, request: TokenRequest, name: str) -> tuple[str, ...]:
        """Return every value of a parameter of the query."""
        return request.values_in_url(name)

    def parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """Return no parameters: the body holds no credentials."""
        del credentials
        return {}

    def url_parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """Return the two parameters by the profile's names."""
        return super().parameters(credentials)


class HeaderFields(Body):
    """client_id and client_secret as header fields by the profile's names, as they are.

    No RFC describes it; providers name the fields ``X-Client-Id`` or ``api-key``.
    """

    name = "header"
    place = "in header fields"
    where = "header"
    expected = "{id} and {secret} in header fields, as registered, once each"

    def is_used_in(self, request: TokenRequest) -> bool:
        """Return whether there is a header field for the secret."""
        return bool(self._values(request, "client_secret"))

    def _values(self, request: TokenRequest, name: str) -> tuple[str, ...]:
        """Return every value of the header field that the profile has for a parameter."""
        return tuple(map(_text, request.message.headers.get_all(self._names.by_rfc_name[name])))

    def _sent_names(self, request: TokenRequest) -> tuple[str, Collection[str]]:
        """Return the names of the header fields."""
        # RFC 9110, 5.1: "Field names are case-insensitive".
        own = {name.lower(): name for name in self._own_names.values()}
        return "header field", [own.get(name.lower(), name) for name, _ in request.message.headers]

    def mistakes(self, request: TokenRequest, expected: TokenExpectation) -> Iterator[str]:
        """Yield the likely mistakes in the place of the credentials and in the pair."""
        if not self.is_used_in(request):
            yield self._elsewhere(request)
        elif not self._values(request, "client_id"):
            lack = f"the request has {self._names.client_secret} but no {self._names.client_id}"
            yield self._near_names(request) or lack
        else:
            yield from self._repeated(request)
            yield from mistakes_in_pair(self._sent(request), expected)
            if request.authorizations or request.places_of_secret:
                yield sent_twice(self.place)

    def parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """Return no parameters: the body holds no credentials."""
        del credentials
        return {}

    def headers(self, credentials: Credentials) -> Mapping[str, str]:
        """Return the two header fields by the profile's names."""
        return super().parameters(credentials)

    def curl_options(self, credentials: Credentials) -> tuple[str, ...]:
        """Return curl's ``-H`` for both header fields."""
        fields = (f"{name}: {value}" for name, value in self.headers(credentials).items())
        return tuple(word for each in fields for word in ("-H", each))


class PublicClient(Body):
    """A client_id as a parameter, and no secret (RFC 6749, 2.1: a public client)."""

    name = "none"
    place = "by its client_id alone"
    expected = "{id}, as it was registered, once, and no secret"

    def is_used_in(self, request: TokenRequest) -> bool:
        """Return whether there is a client_id and no secret."""
        return bool(request.values("client_id")) and not request.places_of_secret

    def presents(self, request: TokenRequest, credentials: Credentials) -> bool:
        """Return whether there is exactly this client_id, and no secret."""
        ids = request.values("client_id")
        return ids == (credentials.client_id,) and not request.places_of_secret

    def claimed(self, request: TokenRequest) -> Credentials | None:
        """Return the first client_id; its secret is unknown."""
        ids = request.values("client_id")
        has_id = bool(ids and ids[0]) and not request.places_of_secret
        return Credentials(ids[0], "unknown") if has_id else None

    def mistakes(self, request: TokenRequest, expected: TokenExpectation) -> Iterator[str]:
        """Yield the likely mistakes: a secret that nothing asks for, a wrong or repeated id."""
        yield from self._misnamed(request, expected)
        ids = request.values("client_id")
        if request.places_of_secret or request.authorizations:
            yield f"a secret was sent; send {self._names.client_id} alone"
        elif not ids:
            yield f"no {self._names.client_id} was sent"
        elif all(pair.client_id not in ids for pair in expected.credentials):
            yield f"no client with that {self._names.client_id} is registered"
        else:
            yield from self._repeated(request)

    def parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """Return the one parameter by the profile's name."""
        return {self._names.client_id: credentials.client_id}


def _letters(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _text(value: str) -> str:
    """Return a header field as the text that its octets are in UTF-8, or else as it is."""
    # RFC 9110, 5.5: octets beyond ASCII have no meaning of their own; the server reads Latin-1.
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
