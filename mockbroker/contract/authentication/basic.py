"""HTTP Basic (RFC 7617), with the credentials as they are or form-urlencoded first.

The two variants share everything but the encoding. The hints name the
mistakes that clients make with Basic.
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from collections.abc import Mapping

from mockbroker.contract.authentication.altered_pair import altered
from mockbroker.contract.authentication.method import AuthenticationMethod, Hint
from mockbroker.contract.authentication.pair_hints import (
    UNKNOWN_CLIENT,
    another_secret,
    on_pair,
    sent_twice,
    surrounded,
    swapped,
)
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.authorization import (
    BasicEncoding,
    basic_payload,
    carries,
    decode_leniently,
    is_standard_base64,
)
from mockbroker.model.credentials import Credentials, same_text
from mockbroker.model.forms import unquoted_plus
from mockbroker.model.masking import scheme_name
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = ["Basic", "BasicForm", "BasicRaw"]


class Basic(AuthenticationMethod):
    """HTTP Basic: one Authorization header with Base64 of client_id:client_secret.

    ``encoding`` says whether id and secret are form-urlencoded before they are joined.
    """

    name = "basic"
    chapter = "basic"
    place = "in the Authorization header"
    encoding: BasicEncoding

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
        """Return the pair in the header, read as Base64 of any kind or as plain text.

        White space around id and secret is removed. Without an id it returns None.
        """
        authorization = request.authorization
        if authorization is None:
            return None
        octets = request.decoded
        text = (authorization.rest.encode() if octets is None else octets).decode(
            "utf-8", "replace"
        )
        client_id, _, secret = text.strip().partition(":")
        pair = (client_id.strip(), secret.strip())
        if self.encoding == "form":
            pair = (unquoted_plus(pair[0]), unquoted_plus(pair[1]))
        return Credentials(*pair) if pair[0] else None

    def client_ids_in(self, request: TokenRequest) -> frozenset[str]:
        """Return the part before the colon, decoded by each charset that clients use."""
        decoded = request.decoded
        if decoded is None:
            return frozenset()
        # The id is usually ASCII, and the same in both; a secret in Latin-1 must not hide it.
        texts = (decoded.decode(charset, "replace") for charset in ("utf-8", "latin-1"))
        return frozenset(text.partition(":")[0].strip() for text in texts)

    def headers(self, credentials: Credentials) -> Mapping[str, str]:
        """Return the Authorization header."""
        encoded = base64.b64encode(basic_payload(credentials, self.encoding)).decode()
        return {"Authorization": f"Basic {encoded}"}

    def parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """Return no parameters: the body holds no credentials."""
        del credentials
        return {}

    def curl_options(self, credentials: Credentials) -> tuple[str, ...]:
        """Return curl's ``-u``, which encodes the pair to Base64 without form-urlencoding it."""
        pair = (credentials.client_id, credentials.client_secret)
        if self.encoding == "form":
            pair = (urllib.parse.quote_plus(pair[0]), urllib.parse.quote_plus(pair[1]))
        return ("-u", ":".join(pair))


def _encoded(request: TokenRequest) -> str:
    """Return what follows the scheme in the first header; empty without a header."""
    return request.authorization.rest if request.authorization else ""


def _pair(request: TokenRequest) -> tuple[str, str]:
    """Return the id and the secret to which the header decodes."""
    # At the first colon. RFC 7617, 2: a user-id that contains a colon is invalid, a password may
    # have colons.
    client_id, _, secret = (request.decoded or b"").decode("utf-8", "replace").partition(":")
    return client_id, secret


def _is_payload(octets: bytes | None, expected: TokenExpectation) -> bool:
    """Return whether these are the octets that Basic encodes for a registered client."""
    # Byte for byte: `carries` would accept other spellings of the form encoding, which would hide
    # what this hint is about.
    payloads = (basic_payload(c, expected.profile.basic_encoding) for c in expected.credentials)
    return octets is not None and any(same_text(octets, payload) for payload in payloads)


def _is_right(request: TokenRequest, expected: TokenExpectation) -> bool:
    """Return whether the header decodes to the credentials of any registered client."""
    encoding = expected.profile.basic_encoding
    return any(carries(request.decoded, pair, encoding) for pair in expected.credentials)


def _no_header(request: TokenRequest, _: TokenExpectation) -> str:
    """Recognize credentials in the body, in the URL, or nowhere."""
    if request.authorizations:
        return ""
    if "body" in request.places_of_secret:
        return (
            "the credentials are in the body (client_secret_post); this broker takes them as "
            "Basic in the Authorization header: look for a setting such as auth_method or "
            "client_secret_basic"
        )
    if "URL" in request.places_of_secret:
        return "the credentials are in the URL; send them as Basic in the Authorization header"
    return "no Authorization header was sent; send Basic with Base64 of client_id:client_secret"


def _wrong_scheme(request: TokenRequest, expected: TokenExpectation) -> str:
    """Recognize a missing scheme, and the schemes for other purposes."""
    authorization = request.authorization
    if authorization is None or authorization.is_scheme("Basic"):
        return ""
    if not authorization.scheme:
        if _is_payload(decode_leniently(authorization.rest), expected):
            return "the scheme is missing: write `Basic ` before the Base64 text"
        return "the Authorization header names no scheme: it must start with `Basic `"
    if authorization.is_scheme("Bearer"):
        return "Bearer is for API calls with a token; request the token itself with Basic"
    if authorization.is_scheme("ApiKey"):
        return "ApiKey is for API keys; request the token with Basic and the client's credentials"
    return f"the scheme is {scheme_name(authorization.scheme)!r}; request the token with Basic"


def _not_encoded(request: TokenRequest, expected: TokenExpectation) -> str:
    """Recognize credentials that were not encoded to Base64."""
    encoded = _encoded(request)
    # Header values arrive decoded as Latin-1. A pasted request may hold other characters.
    octets = (encoded.encode(charset, "replace") for charset in ("latin-1", "utf-8"))
    # A colon never occurs in Base64, in either alphabet.
    if ":" in encoded or any(_is_payload(each, expected) for each in octets):
        return "the credentials are not encoded: Basic takes Base64 of client_id:client_secret"
    return ""


def _wrapped(request: TokenRequest, expected: TokenExpectation) -> str:
    """Recognize line breaks in the Base64 text, which long secrets get from MIME encoders."""
    if re.search(r"\s", _encoded(request)) and _is_payload(request.decoded, expected):
        return (
            "the Base64 text is broken into lines: encoders for mail wrap at 76 characters; use "
            "an encoder that does not (`base64 -w0`)"
        )
    return ""


def _line_feed(request: TokenRequest, _: TokenExpectation) -> str:
    """Recognize an id or a secret that was read with the line feed at the end of its file."""
    decoded = request.decoded or b""
    # Without a colon the whole text would be taken for the id.
    if _pair(request)[0].endswith(("\n", "\r")) and b":" in decoded:
        part = "an id"
    elif decoded.endswith((b"\n", b"\r")):
        part = "a secret"
    else:
        return ""
    return (
        f"the Authorization header decodes to {part} that ends in a line feed: was it built with "
        "`echo` instead of `printf`, or read from a file?"
    )


def _url_safe(request: TokenRequest, _: TokenExpectation) -> str:
    """Recognize the URL-safe alphabet of Base64."""
    encoded = _encoded(request)
    # A string that is not Base64 at all may have - and _ too; other hints explain it.
    is_standard = is_standard_base64(encoded) or request.decoded is None
    if is_standard or not re.search(r"[-_]", encoded):
        return ""
    return "the Base64 text uses the URL-safe alphabet (- and _); Basic takes + and /"


def _unpadded(request: TokenRequest, expected: TokenExpectation) -> str:
    """Recognize right credentials in Base64 without its padding."""
    # Earlier hints recognize line breaks and the other alphabet, so that only the padding is left.
    if _is_right(request, expected) and not is_standard_base64(_encoded(request)):
        return (
            "the Base64 text lost its padding: its length must be a multiple of 4, filled up with ="
        )
    return ""


def _encoded_twice(request: TokenRequest, expected: TokenExpectation) -> str:
    """Recognize credentials that were encoded to Base64 twice."""
    if request.decoded is None or _is_right(request, expected):
        return ""
    try:
        # Without `validate` the colon of a plain pair would be skipped, and the rest decoded.
        twice = base64.b64decode(request.decoded, validate=True)
    except (binascii.Error, ValueError):
        return ""
    is_twice = _is_payload(twice, expected)
    return "the credentials are encoded twice: encode them to Base64 once" if is_twice else ""


def _no_colon(request: TokenRequest, _: TokenExpectation) -> str:
    """Recognize Base64 of a single value, such as the secret alone."""
    if request.decoded is None or b":" in request.decoded:
        return ""
    return "the header decodes to text without a colon: encode client_id:client_secret"


def _percent_encoded(request: TokenRequest, expected: TokenExpectation) -> str:
    """Recognize form-urlencoding that the profile does not use, or that is missing.

    Credentials that are the same in both encodings are right in either.
    """
    if _is_right(request, expected) or request.decoded is None:
        return ""
    is_raw = expected.profile.basic_encoding == "raw"
    sent = _pair(request)
    unquoted_pair = ":".join(map(unquoted_plus, sent))
    for pair in expected.credentials:
        plain = f"{pair.client_id}:{pair.client_secret}"
        if is_raw and same_text(unquoted_pair, plain):
            return (
                # Correct by the RFC, but this provider differs: the hint says so, or the user would
                # doubt the RFC.
                "the credentials were percent-encoded before Base64 (as RFC 6749, 2.3.1, says); "
                "this broker takes them as they are"
            )
        if not is_raw and same_text(":".join(sent), plain):
            return (
                "the credentials went into Base64 as they are; this broker wants each of them "
                "form-urlencoded first (RFC 6749, 2.3.1)"
            )
    return ""


def _latin_1(request: TokenRequest, expected: TokenExpectation) -> str:
    """Recognize right credentials in Latin-1, the default of some HTTP libraries."""
    if request.decoded is None or _is_right(request, expected):
        return ""
    # What the client sent as Latin-1, read as Latin-1 and encoded as UTF-8, is what it should have
    # sent.
    if _is_payload(request.decoded.decode("latin-1").encode("utf-8"), expected):
        return "the credentials are encoded as Latin-1; encode them as UTF-8 before Base64"
    return ""


def _altered(request: TokenRequest, expected: TokenExpectation) -> str:
    """Recognize credentials that a program has changed before it sent them."""
    pair = _pair(request)
    if expected.profile.basic_encoding == "form":
        pair = (unquoted_plus(pair[0]), unquoted_plus(pair[1]))
    if request.decoded is None or _is_right(request, expected):
        return ""
    return altered(pair, expected)


def _unknown_client(request: TokenRequest, expected: TokenExpectation) -> str:
    """Recognize credentials that match no client, for a reason that no earlier hint found."""
    if request.decoded is None or _is_right(request, expected):
        return ""
    return UNKNOWN_CLIENT


def _sent_twice(request: TokenRequest, _: TokenExpectation) -> str:
    """Recognize credentials in a second place.

    It is the last hint, because it also fits requests whose credentials are right.
    """
    if request.authorizations and request.places_of_secret:
        return sent_twice(Basic.place)
    return ""


# The order matters: the first hint that fits is shown. Mistakes of the whole header come before
# those of the Base64 text, and those before mistakes of the decoded pair. A hint may rely on the
# earlier ones: `_unknown_client` fits whenever no other mistake explains the credentials.
_HINTS: tuple[Hint, ...] = (
    _no_header,
    _wrong_scheme,
    _not_encoded,
    _wrapped,
    _line_feed,
    _url_safe,
    _unpadded,
    _encoded_twice,
    _no_colon,
    on_pair(swapped, _pair),
    on_pair(surrounded, _pair),
    _percent_encoded,
    _latin_1,
    _altered,
    on_pair(another_secret, _pair),
    _unknown_client,
    _sent_twice,
)


class BasicRaw(Basic):
    """Basic with the credentials as they are (RFC 7617, 2).

    The vendor's way, and the default of a profile.
    """

    encoding = "raw"
    expected = "client_id:client_secret, encoded to Base64 as they are"
    hints = _HINTS


class BasicForm(Basic):
    """Basic with id and secret form-urlencoded first (RFC 6749, 2.3.1).

    What the RFC asks for. Credentials without special characters are the same in both variants.
    """

    encoding = "form"
    expected = "client_id:client_secret, each form-urlencoded, then encoded to Base64"
    hints = _HINTS
