"""Client credentials in the body of the token request (RFC 6749, 2.3.1).

Providers call it client_secret_post. RFC 6749 does not recommend it, but many offer nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from mockbroker.contract.authentication.altered_pair import altered
from mockbroker.contract.authentication.method import AuthenticationMethod
from mockbroker.contract.authentication.pair_hints import (
    UNKNOWN_CLIENT,
    another_secret,
    client_named,
    on_pair,
    sent_twice,
    surrounded,
    swapped,
)
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.credentials import Credentials, same_text
from mockbroker.model.token_request import TokenRequest

__all__ = ["Body"]


def _not_in_body(request: TokenRequest, _: TokenExpectation) -> str:
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


def _no_client_id(request: TokenRequest, _: TokenExpectation) -> str:
    """Recognize a secret without the id to which it belongs."""
    return "" if request.values("client_id") else "the body has client_secret but no client_id"


def _unknown_client(request: TokenRequest, expected: TokenExpectation) -> str:
    """Recognize a client_id that is not registered; earlier hints have excluded other causes."""
    if client_named(_sent(request)[0], expected) is not None:
        return ""
    return UNKNOWN_CLIENT


def _sent_twice(request: TokenRequest, _: TokenExpectation) -> str:
    """Recognize credentials in a second place."""
    if request.authorizations or "URL" in request.places_of_secret:
        return sent_twice(Body.place)
    return ""


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
    # The first hint that fits is shown; `_unknown_client` relies on the earlier ones.
    hints = (
        _not_in_body,
        _no_client_id,
        on_pair(swapped, _sent),
        on_pair(surrounded, _sent),
        on_pair(altered, _sent),
        on_pair(another_secret, _sent),
        _unknown_client,
        _sent_twice,
    )

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
        client_id, secret = _sent(request)
        return Credentials(client_id, secret) if client_id else None

    def client_ids_in(self, request: TokenRequest) -> frozenset[str]:
        """Return each client_id that is a parameter of the body or of the query.

        A client that puts its id into the URL by mistake is recognized as well.
        """
        return frozenset(v for name, v in (*request.body, *request.query) if name == "client_id")

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
