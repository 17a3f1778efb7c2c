"""Chapter ``basic``: client authentication by HTTP Basic at the token endpoint (RFC 7617).

As in chapter ``request``, each mistake is named by one clause only.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from mockbroker.contract.authentication import (
    Basic,
    recognise,
)
from mockbroker.contract.clause import (
    Clause,
    Flaw,
    Impact,
    Level,
    TokenRequestJudge,
    Wording,
    provider,
    rfc,
)
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.contract.method_chapters import applies_with, judged_by
from mockbroker.contract.preconditions import ANY_TOKEN_REQUEST, is_accepted, token_request_seen
from mockbroker.model.authorization import (
    Authorization,
    decode_leniently,
    is_standard_base64,
    read_authorization,
)
from mockbroker.model.credentials import Credentials, same_text
from mockbroker.model.exchange import Exchange
from mockbroker.model.masking import scheme_name
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = ["BASE64", "CLAUSES", "CREDENTIALS", "NETRC", "ONLY", "SCHEME", "UTF8"]

_ONE_BASIC = "one Authorization header with scheme Basic"


_applies_to = applies_with(Basic)


def _judge_scheme(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find a missing, repeated or other Authorization header.

    Several headers and a wrong scheme are two flaws, because each needs a fix of its own.
    """
    if judged_by(Basic, request, expected) is None:
        return
    count = len(request.authorizations)
    if count != 1:
        yield Flaw(_what_number(request, count), _ONE_BASIC)
    if request.authorization is None:
        return
    scheme = request.authorization.scheme
    if not scheme:
        yield Flaw("the Authorization header names no scheme", _ONE_BASIC)
    elif not request.authorization.is_scheme("Basic"):
        raw = read_authorization(request.message.headers.get("Authorization") or "").scheme
        wanted = f"one Authorization header with scheme {expected.profile.basic_scheme}"
        yield Flaw(f"the Authorization header has scheme {scheme_name(raw)!r}", wanted)


def _what_number(request: TokenRequest, count: int) -> str:
    """Return how many Authorization headers there are, in words.

    Without one, it names the places where the request has credentials instead.
    """
    if count:
        return f"there are {count} Authorization headers"
    places = " and ".join(request.places_of_secret)
    credentials = f", and the credentials are in the {places}" if places else ""
    return f"the Authorization header is missing{credentials}"


def _basic_header(request: TokenRequest) -> Authorization | None:
    """Return the first Authorization header if its scheme is Basic, otherwise None.

    A header of another scheme breaks basic.scheme only: what follows its scheme may be anything,
    such as a token.
    """
    header = request.authorization
    return header if header is not None and header.is_scheme("Basic") else None


def _basic_octets(request: TokenRequest) -> bytes | None:
    """Return the decoded credentials of a Basic header; None if there are none."""
    return None if _basic_header(request) is None else request.decoded


def _judge_base64(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find Base64 in another form than RFC 7617 requires.

    It looks at alphabet, padding and line breaks, not at what was encoded.
    """
    header = _basic_header(request)
    if judged_by(Basic, request, expected) is None or header is None:
        return
    encoded = header.rest.lstrip(" ")  # RFC 9110, 11.4: one space or more
    if not is_standard_base64(encoded):
        yield Flaw(_what_base64(encoded), "standard Base64: padded, in one line, with + and /")


def _what_base64(encoded: str) -> str:
    """Return what is wrong with the encoding, in words."""
    if decode_leniently(encoded) is None:
        return "what follows the scheme is not Base64"
    if any(character.isspace() for character in encoded):
        return "the Base64 text contains white space"
    if "-" in encoded or "_" in encoded:
        return "the Base64 text uses the URL-safe alphabet"
    return "the Base64 text is not padded as it should be"


def _judge_credentials(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find credentials that match no registered client."""
    # Credentials that are not Base64 break basic.base64, those in another charset basic.utf8.
    basic = judged_by(Basic, request, expected)
    if basic is None or _basic_octets(request) is None or _charset_is_wrong(request, expected):
        return
    if not any(basic.presents(request, pair) for pair in expected.credentials):
        what = "the credentials in the Authorization header match no registered client"
        yield Flaw(what, basic.expected)


def _judge_utf8(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find credentials that are right but for their charset."""
    if _charset_is_wrong(request, expected):
        what = "the credentials are not in UTF-8"
        yield Flaw(what, "client_id:client_secret encoded as UTF-8")


def _charset_is_wrong(request: TokenRequest, expected: TokenExpectation) -> bool:
    """Return whether the only mistake in the credentials is their charset."""
    basic, decoded = judged_by(Basic, request, expected), _basic_octets(request)
    if basic is None or decoded is None:
        return False
    if any(basic.presents(request, pair) for pair in expected.credentials):
        return False
    meant = recognise(request, expected)
    # With a single client it is certain which one was meant, even if the id is unreadable.
    if meant is None and len(expected.credentials) == 1:
        meant = expected.credentials[0]
    return meant is not None and _is_in_another_charset(decoded, meant)


def _is_in_another_charset(decoded: bytes, meant: Credentials) -> bool:
    """Return whether the octets are these credentials in another charset or normal form."""
    text = f"{meant.client_id}:{meant.client_secret}"
    # The clause is about characters beyond ASCII; credentials in ASCII cannot break it.
    if text.isascii() or same_text(decoded, text.encode("utf-8", "surrogatepass")):
        return False
    # macOS and some input methods decompose accented letters (NFD), and ASCII fallbacks use NFKD.
    spellings = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKD"))]
    return any(
        same_text(decoded, spelling.encode(charset, errors))
        for spelling in spellings
        for charset in ("latin-1", "cp1252", "ascii", "utf-16", "utf-16-le", "utf-8", "utf-8-sig")
        # HTTP libraries use each of these ways for characters that a charset lacks.
        for errors in ("replace", "ignore", "backslashreplace", "xmlcharrefreplace")
    )


def _judge_only(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find credentials in a second place."""
    # RFC 6749, 2.3: "The client MUST NOT use more than one authentication method in each request."
    if judged_by(Basic, request, expected) is None or not request.authorizations:
        return
    if request.places_of_secret:
        what = f"the credentials are also in the {' and '.join(request.places_of_secret)}"
        yield Flaw(what, "credentials in the Authorization header only")


def _uses_basic(exchange: Exchange) -> bool:
    """Return whether the first Authorization header has the scheme Basic, or the profile's."""
    parts = TokenRequest.of(exchange.request)
    if parts.authorization is None or _basic_header(parts) is not None:
        return parts.authorization is not None
    # An exchange does not name the profile. Its broker has judged the scheme, though.
    return is_accepted(exchange) and all(b.clause_id != SCHEME.id for b in exchange.breaches)


def _shows_credentials(exchange: Exchange) -> bool:
    """Return whether a request has Basic credentials that can be decoded, right or wrong."""
    return _uses_basic(exchange) and TokenRequest.of(exchange.request).decoded is not None


def _needs_utf8(exchange: Exchange) -> bool:
    """Return whether the client has non-ASCII credentials and presented some."""
    pair = exchange.credentials
    beyond_ascii = pair is not None and not (pair.client_id + pair.client_secret).isascii()
    return beyond_ascii and _shows_credentials(exchange)


_CREDENTIALS_SEEN = token_request_seen(
    "no token request with readable credentials in its Authorization header was seen",
    _shows_credentials,
)


def _scheme_words(profile: Profile) -> Wording:
    scheme = profile.basic_scheme
    if scheme == "Basic":
        return {}
    return {
        "title": f"authenticates with exactly one Authorization header, scheme {scheme}",
        "sources": (provider("basic_scheme", "client_authentication"),),
        "why": f"A broker that authenticates clients by the scheme {scheme} sees no client without "
        "the header, even if the secret is right.",
        "fix": f"Send one header, Authorization: {scheme} and the Base64 text of "
        "client_id:client_secret, with every token request, also with one that is repeated.",
    }


def _credential_words(profile: Profile) -> Wording:
    if profile.basic_encoding == "raw":
        return {
            "title": "sends client_id:client_secret exactly, for all printable ASCII credentials "
            "(colon only in the secret)",
            "fix": "Join id, colon and secret as they are, then encode. Do not trim, quote or "
            "expand them.",
        }
    if profile.basic_encoding == "base64":
        return {
            "title": "sends client_id:client_secret exactly, each encoded to Base64 first, for all "
            "printable ASCII credentials",
            "fix": "Encode id and secret to Base64, join them by a colon, then encode again. Do "
            "not trim or expand them.",
        }
    return {
        "title": "sends client_id:client_secret exactly, each form-urlencoded first, for all "
        "printable ASCII credentials",
        "fix": "Form-urlencode id and secret (`urllib.parse.quote_plus`), join them by a colon, "
        "then encode. Do not trim or expand them.",
    }


# RFC 9110, 5.3: a sender MUST NOT repeat a field that is not a list, and Authorization is not one.
SCHEME = Clause(
    id="basic.scheme",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="authenticates with exactly one Authorization header, scheme Basic",
    sources=(provider("client_authentication"), rfc(7617, "2")),
    consequence="the broker does not recognize the client and refuses every token request",
    why="A broker that authenticates clients by HTTP Basic sees no client without the header. It "
    "answers 401 invalid_client, even if the secret is right.",
    fix="Send one header, Authorization: Basic and the Base64 text (`auth=(id, secret)` in "
    "requests and httpx), with every token request, also with one that is repeated.",
    applies_to=_applies_to,
    wording=_scheme_words,
    judge=TokenRequestJudge(_judge_scheme),
    precondition=ANY_TOKEN_REQUEST,
)
# RFC 7617, 2 refers to RFC 4648, 4, the standard alphabet. RFC 4648, 3.1 and 3.2: "MUST NOT add
# line feeds" and "MUST include appropriate pad characters".
BASE64 = Clause(
    id="basic.base64",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="encodes in standard Base64: padded, no line breaks, not the URL-safe alphabet",
    sources=(provider("client_authentication"), rfc(7617, "2")),
    consequence="the broker refuses the credentials as soon as the secret has certain characters",
    why="The URL-safe alphabet, missing padding and line breaks differ from standard Base64 for "
    "some credentials only: the client works until the secret is rotated.",
    fix="Encode with the plain Base64 function of the language (`base64.b64encode`), not with the "
    "URL-safe or the MIME one, and strip nothing.",
    applies_to=_applies_to,
    judge=TokenRequestJudge(_judge_base64),
    precondition=token_request_seen(
        "no token request with Authorization: Basic was seen", _uses_basic
    ),
)
# RFC 6749, 2.3.1: "The client identifier is encoded using the "application/x-www-form-urlencoded"
# encoding algorithm per Appendix B, and the encoded value is used as the username". The vendor and
# many other providers leave that step out, so the profile decides.
CREDENTIALS = Clause(
    id="basic.credentials",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="sends client_id:client_secret exactly, for all printable ASCII credentials (colon only "
    "in the secret); each form-urlencoded first where the profile says so",
    sources=(provider("basic_encoding"), rfc(6749, "2.3.1")),
    consequence="the broker receives wrong credentials and refuses them",
    why="Generated secrets contain characters such as + / = : $ % and spaces. A client that "
    "quotes, trims, splits or expands them works with some secrets and fails with the next one.",
    fix="Join id, colon and secret as they are, then encode. Do not trim, quote or expand them. "
    "Form-urlencode each part first only where the provider follows RFC 6749, 2.3.1.",
    applies_to=_applies_to,
    wording=_credential_words,
    judge=TokenRequestJudge(_judge_credentials),
    precondition=_CREDENTIALS_SEEN,
)
# A SHOULD: RFC 7617, 2.1 lets servers ask for UTF-8 by the charset parameter, but "This information
# is purely advisory."
UTF8 = Clause(
    id="basic.utf8",
    level=Level.SHOULD,
    impact=Impact.COMPATIBILITY,
    title="encodes non-ASCII credentials as UTF-8",
    sources=(rfc(7617, "2.1"),),
    consequence="the broker refuses credentials with characters beyond ASCII",
    why="Credentials beyond ASCII have different bytes in Latin-1 and in UTF-8, and the broker "
    "compares those of UTF-8.",
    fix="Encode to UTF-8 before Base64. Pass bytes to Python's requests, which encodes strings as "
    "Latin-1.",
    applies_to=_applies_to,
    judge=TokenRequestJudge(_judge_utf8),
    precondition=token_request_seen("no credentials beyond ASCII were seen", _needs_utf8),
)
# RFC 6749, 2.3.1: the parameters "can only be transmitted in the request-body and MUST NOT be
# included in the request URI."
ONLY = Clause(
    id="basic.only",
    level=Level.MUST,
    impact=Impact.SECURITY,
    title="does not also put credentials into body or URL",
    sources=(rfc(6749, "2.3"), rfc(6749, "2.3.1")),
    consequence="the client secret also goes into bodies or URLs, and from there into logs",
    why="RFC 6749 forbids two ways of authentication in one request, and strict brokers answer "
    "400. In a URL the secret also ends up in access logs.",
    fix="Send the credentials in the Authorization header only. Switch off the option that also "
    "puts them into the body or the URL.",
    applies_to=_applies_to,
    judge=TokenRequestJudge(_judge_only),
    precondition=_CREDENTIALS_SEEN,
)

# RFC 7617, 2: the client "obtains the user-id and password from the user" of this exchange. Of any
# profile: a header that a library adds by itself also replaces the one with the token.
NETRC = Clause(
    id="basic.netrc",
    level=Level.MUST,
    impact=Impact.SECURITY,
    title="sends the configured credentials and the token, whatever ~/.netrc has for the host",
    sources=(rfc(7617, "2"),),
    consequence="credentials from ~/.netrc replace the configured ones and go to the broker or "
    "the API",
    why="Some HTTP libraries read ~/.netrc and replace the Authorization header by what it has for "
    "the host or by its default entry. The login of a person then goes to the broker and the API.",
    fix="Pass the credentials and the token as the library's own authentication (`auth=` in "
    "requests, also for the API), or switch its look into the environment off (`trust_env`).",
)

CLAUSES = (SCHEME, BASE64, CREDENTIALS, UTF8, ONLY, NETRC)
