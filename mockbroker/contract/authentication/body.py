"""Client credentials in the body of the token request (RFC 6749, 2.3.1).

Providers call it client_secret_post. RFC 6749 does not recommend it, but many offer nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mockbroker.contract.authentication.method import AuthenticationMethod
from mockbroker.contract.authentication.pair_hints import (
    is_plausible,
    mistakes_in_pair,
    sent_twice,
)
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.credentials import Credentials, same_text
from mockbroker.model.token_request import TokenRequest

__all__ = ["Body"]


def _not_in_body(request: TokenRequest) -> str:
    """Recognize credentials in the URL, in the header, or nowhere."""
    if "body" in request.places_of_secret:
        return ""
    if "URL" in request.places_of_secret:
        return "the credentials are in the URL; send client_id and client_secret in the body"
    if request.authorizations:
        return (
            "the credentials are in the Authorization header (client_secret_basic); this broker "
            "takes client_id and client_secret in the body: look for a setting such as "
            "auth_method or client_secret_post"
        )
    return "no credentials were sent; send client_id and client_secret in the body"


def _sent(request: TokenRequest) -> tuple[str, str]:
    """Return the first client_id and the first client_secret of the form; empty if missing."""
    # Reversed, so that the first of several parameters of one name remains.
    first = dict(reversed(request.body))
    return first.get("client_id", ""), first.get("client_secret", "")


class Body(AuthenticationMethod):
    """client_id and client_secret as parameters of the form.

    If a profile accepts several methods and a request uses several, the profile's order decides.
    """

    name = "post"
    chapter = "post"
    place = "in the body"
    expected = "client_id and client_secret in the body, as they were registered, once each"

    def is_used_in(self, request: TokenRequest) -> bool:
        """Return whether the body has a client_secret.

        A client_id alone does not count: public clients and other methods send it, too.
        """
        return "body" in request.places_of_secret

    def presents(self, request: TokenRequest, credentials: Credentials) -> bool:
        """Return whether the form has exactly these credentials, once each."""
        # Once each, because RFC 6749, 3.2 forbids repeated parameters.
        ids, secrets = request.values("client_id"), request.values("client_secret")
        if ids != (credentials.client_id,) or len(secrets) != 1:
            return False
        return same_text(secrets[0], credentials.client_secret)

    def claimed(self, request: TokenRequest) -> Credentials | None:
        """Return the first client_id and the first client_secret of the form."""
        pair = _sent(request)
        return Credentials(*pair) if is_plausible(pair) else None

    def client_ids_in(self, request: TokenRequest) -> frozenset[str]:
        """Return each client_id that is a parameter of the body or of the query.

        A client that puts its id into the URL by mistake is recognized as well.
        """
        return frozenset(v for name, v in (*request.body, *request.query) if name == "client_id")

    def mistakes(self, request: TokenRequest, expected: TokenExpectation) -> Iterator[str]:
        """Yield the likely mistakes in the place of the credentials and in the pair."""
        elsewhere = _not_in_body(request)
        if elsewhere:
            yield elsewhere
            return
        if request.json is not None:
            return  # the hint on JSON explains it
        if not request.values("client_id"):
            yield "the body has client_secret but no client_id"
        else:
            yield from mistakes_in_pair(_sent(request), expected)
        if request.authorizations or "URL" in request.places_of_secret:
            yield sent_twice(self.place)

    def headers(self, credentials: Credentials) -> Mapping[str, str]:
        """Return no header fields: no header holds credentials."""
        del credentials
        return {}

    def parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """Return the two parameters."""
        return {
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }

    def curl_options(self, credentials: Credentials) -> tuple[str, ...]:
        """Return curl's ``--data-urlencode`` for both parameters."""
        pairs = (f"{name}={value}" for name, value in self.parameters(credentials).items())
        return tuple(word for pair in pairs for word in ("--data-urlencode", pair))
