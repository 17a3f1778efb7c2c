"""HTTP Basic (RFC 7617), with the credentials as they are or form-urlencoded first.

The two variants share everything but the encoding.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping

from mockbroker.contract.authentication.basic_hints import (
    meant_pair,
    mistakes_in_header,
    without_header,
)
from mockbroker.contract.authentication.method import AuthenticationMethod
from mockbroker.contract.authentication.pair_hints import is_plausible, sent_twice
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.authorization import BasicEncoding, basic_payload, carries, from_base64
from mockbroker.model.credentials import Credentials
from mockbroker.model.forms import unquoted_plus
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest
from mockbroker.model.typography import QUOTES

__all__ = ["Basic", "BasicBase64", "BasicForm", "BasicRaw"]


class Basic(AuthenticationMethod):
    """HTTP Basic: one Authorization header with Base64 of client_id:client_secret.

    ``encoding`` says whether id and secret are form-urlencoded before they are joined.
    """

    name = "basic"
    chapter = "basic"
    place = "in the Authorization header"
    encoding: BasicEncoding

    def __init__(self, scheme: str = "Basic") -> None:
        self._scheme = scheme

    def for_profile(self, profile: Profile) -> AuthenticationMethod:
        """Return the method with the profile's name of the scheme."""
        return type(self)(profile.basic_scheme)

    def is_accepted_by(self, profile: Profile) -> bool:
        """Return whether the profile uses Basic in this encoding."""
        return super().is_accepted_by(profile) and profile.basic_encoding == self.encoding

    def is_used_in(self, request: TokenRequest) -> bool:
        """Return whether there is an Authorization header.

        A wrong scheme counts: the clause basic.scheme is the one to name that mistake.
        """
        return bool(request.authorizations)

    def presents(self, request: TokenRequest, credentials: Credentials) -> bool:
        """Return whether the header decodes to these credentials."""
        return carries(request.decoded, credentials, self.encoding)

    def claimed(self, request: TokenRequest) -> Credentials | None:
        """Return the pair in the header, read with its mistakes undone.

        White space and quotes around id and secret are removed. It returns None without an id,
        and for placeholders.
        """
        authorization = request.authorization
        if authorization is None:
            return None
        # Quotes may stand around both parts together, or around each of them.
        client_id, _, secret = _unwrapped(":".join(meant_pair(authorization))).partition(":")
        pair = (_unwrapped(client_id), _unwrapped(secret))
        if self.encoding == "form":
            pair = (unquoted_plus(pair[0]), unquoted_plus(pair[1]))
        if self.encoding == "base64":
            pair = (from_base64(pair[0]), from_base64(pair[1]))
        return Credentials(*pair) if is_plausible(pair) else None

    def client_ids_in(self, request: TokenRequest) -> frozenset[str]:
        """Return the part before the colon, decoded by each charset that clients use."""
        decoded = request.decoded
        if decoded is None:
            return frozenset()
        # The id is usually ASCII, and the same in both; a secret in Latin-1 must not hide it.
        texts = (decoded.decode(charset, "replace") for charset in ("utf-8", "latin-1"))
        return frozenset(text.partition(":")[0].strip() for text in texts)

    def mistakes(self, request: TokenRequest, expected: TokenExpectation) -> Iterator[str]:
        """Yield the likely mistakes in the place, the scheme, the Base64 text and the pair."""
        if request.authorization is None:
            yield without_header(request)
            return
        if self._scheme != "Basic" and not request.authorization.is_scheme("Basic"):
            # Such a scheme is compared under the name Basic; see `TokenRequest.authorizations`.
            yield (
                f"profile {expected.profile.name} has the scheme {self._scheme} in place of Basic: "
                f"send Authorization: {self._scheme} and Base64 of client_id:client_secret"
            )
            return
        count = len(request.authorizations)
        if count > 1:
            yield (
                f"there are {count} Authorization headers: does a session, a proxy or an option "
                "add one of its own?"
            )
        yield from mistakes_in_header(request.authorization, expected)
        if request.places_of_secret:
            yield sent_twice(self.place)

    def headers(self, credentials: Credentials) -> Mapping[str, str]:
        """Return the Authorization header."""
        encoded = base64.b64encode(basic_payload(credentials, self.encoding)).decode()
        return {"Authorization": f"{self._scheme} {encoded}"}

    def parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """Return no parameters: the body holds no credentials."""
        del credentials
        return {}

    def curl_options(self, credentials: Credentials) -> tuple[str, ...]:
        """Return curl's ``-u``, which encodes the pair to Base64 without form-urlencoding it."""
        if self._scheme != "Basic":
            return ("-H", f"Authorization: {self.headers(credentials)['Authorization']}")
        # A secret from a command line may have lone surrogates, which curl gets as they came.
        payload = basic_payload(credentials, self.encoding)
        return ("-u", payload.decode("utf-8", "surrogatepass"))


def _unwrapped(text: str) -> str:
    """Return the string without white space, and quotes or angle brackets, around it.

    A quote at one end only may well be part of a secret.
    """
    plain = text.strip()
    while len(plain) > 1 and _WRAPPED.fullmatch(plain):
        plain = plain[1:-1].strip()
    return plain


_WRAPPED = re.compile(rf"<.*>|[{re.escape(QUOTES)}].*[{re.escape(QUOTES)}]", re.DOTALL)


class BasicRaw(Basic):
    """Basic with the credentials as they are (RFC 7617, 2).

    The vendor's way, and the default of a profile.
    """

    encoding = "raw"
    expected = "client_id:client_secret, encoded to Base64 as they are"


class BasicForm(Basic):
    """Basic with id and secret form-urlencoded first (RFC 6749, 2.3.1).

    What the RFC asks for. Credentials without special characters are the same in both variants.
    """

    encoding = "form"
    expected = "client_id:client_secret, each form-urlencoded, then encoded to Base64"


class BasicBase64(Basic):
    """Basic with id and secret encoded to Base64 each, before they are joined and encoded again."""

    encoding = "base64"
    expected = "client_id:client_secret, each encoded to Base64, then encoded to Base64 together"
