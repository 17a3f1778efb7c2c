"""Likely mistakes in an Authorization header for Basic: its place, its scheme, what it holds.

A header may have several mistakes; each is named. Mistakes in the decoded pair are named by
`mockbroker.contract.authentication.pair_hints`, as for any other method.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator
from difflib import get_close_matches

from mockbroker.contract.authentication.header_value import (
    HeaderValue,
    read_credentials,
    read_scheme,
)
from mockbroker.contract.authentication.pair_hints import left_in, mistakes_in_pair
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.authorization import (
    Authorization,
    basic_payload,
    carries,
    decode_leniently,
    from_base64,
    is_standard_base64,
)
from mockbroker.model.credentials import Credentials, same_text
from mockbroker.model.forms import unquoted_plus
from mockbroker.model.masking import header_name, scheme_name
from mockbroker.model.placeholders import placeholder_in, stands_for_nothing
from mockbroker.model.token_request import TokenRequest

__all__ = [
    "is_right",
    "meant_pair",
    "mistakes_in_header",
    "what_follows_basic",
    "without_header",
]

_LEAST_PART = 6
"""The length in characters from which a part of the Base64 text is recognized."""
_HEADER = "the Authorization header"
# Printable ASCII with a colon in it, and perhaps a line feed at its end.
_PAIR = re.compile(rb"[\x21-\x7e]+:[\x21-\x7e]+\s*")
_NOT_TEXT = (
    "the header decodes to bytes that are not text: encode client_id:client_secret, not a hash or "
    "an encrypted value"
)
_CALL = re.compile(r"(?:to)?_?base_?64\w*\s*\(.*\)?", re.IGNORECASE)
_NEAR_NAMES = ("authorization", "authorisation", "authentication", "authenticate", "auth")
_OWN_NAMES = frozenset({"clientid", "clientsecret", "apikey", "apisecret", "username", "password"})


def is_right(octets: bytes | None, expected: TokenExpectation) -> bool:
    """Return whether the octets are the credentials of any registered client."""
    encoding = expected.profile.basic_encoding
    return any(carries(octets, pair, encoding) for pair in expected.credentials)


def _payloads(expected: TokenExpectation) -> list[bytes]:
    """Return the octets that Basic encodes for each registered client."""
    return [basic_payload(c, expected.profile.basic_encoding) for c in expected.credentials]


def _is_payload(octets: bytes, expected: TokenExpectation) -> bool:
    """Return whether the octets are exactly what Basic encodes for a registered client."""
    return any(same_text(octets, payload) for payload in _payloads(expected))


# Without a header


def without_header(request: TokenRequest) -> str:
    """Recognize credentials in the body, in the URL, under another name, or nowhere."""
    if "body" in request.places_of_secret:
        return (
            "the credentials are in the body (client_secret_post); this broker takes them as "
            "Basic in the Authorization header: look for a setting such as auth_method or "
            "client_secret_basic"
        )
    if "URL" in request.places_of_secret:
        return "the credentials are in the URL; send them as Basic in the Authorization header"
    return (
        _misnamed_header(request)
        or _in_own_headers(request)
        or _in_host(request)
        or "no Authorization header was sent; send Basic with Base64 of client_id:client_secret"
    )


def _misnamed_header(request: TokenRequest) -> str:
    """Recognize a header for the credentials under another name."""
    for name, value in request.message.headers:
        plain = name.lower().replace("_", "-").removeprefix("x-").removeprefix("http-")
        is_near = plain in _NEAR_NAMES or get_close_matches(plain, _NEAR_NAMES[:1], cutoff=0.8)
        if is_near or value.lower().startswith("basic "):
            return f"the header is named {header_name(name)!r}; its name is Authorization"
    return ""


def _in_own_headers(request: TokenRequest) -> str:
    """Recognize credentials in header fields of their own."""
    names = [
        header_name(name)
        for name, _ in request.message.headers
        if re.sub(r"[^a-z]", "", name.lower()).removeprefix("x") in _OWN_NAMES
    ]
    if not names:
        return ""
    where = f"header field {names[0]}" if len(names) == 1 else f"header fields {', '.join(names)}"
    return f"the credentials are in the {where}; send them as Basic in the Authorization header"


def _in_host(request: TokenRequest) -> str:
    """Recognize credentials in the host of the URL."""
    if "@" not in (request.message.headers.get("Host") or ""):
        return ""
    return (
        "the credentials are in the host of the URL (id:secret@host), and the client did not "
        "make Basic of them; send them in the Authorization header"
    )


# The whole header


def mistakes_in_header(authorization: Authorization, expected: TokenExpectation) -> Iterator[str]:
    """Yield the likely mistakes in a header, from its beginning to its end."""
    if authorization.is_scheme("Basic"):
        yield from _mistakes_after_scheme(authorization.rest, expected)
        return
    whole = authorization.whole
    found = read_scheme(whole)
    if found:
        mistake, rest = found
        yield from [mistake] if mistake else []
        yield from _mistakes_after_scheme(rest, expected)
        return
    placeholder = placeholder_in(whole) or placeholder_in(whole.partition(" ")[0])
    # The name of this scheme is the name of a setting as well.
    if placeholder and not authorization.is_scheme("ApiKey"):
        yield left_in(_HEADER, placeholder)
        return
    yield _wrong_scheme(authorization, expected)
    # A token or a key after another scheme is not a pair that could have mistakes of its own.
    if _holds_pair(authorization.rest, expected):
        yield from _mistakes_after_scheme(authorization.rest, expected)


def _holds_pair(encoded: str, expected: TokenExpectation) -> bool:
    """Return whether the text is Base64 of a pair, perhaps with mistakes in it."""
    if decode_leniently(encoded) is None:
        return False
    value = read_credentials(encoded, lambda octets: is_right(octets, expected))
    return not value.is_final and _PAIR.fullmatch(value.octets or b"") is not None


def what_follows_basic(authorization: Authorization) -> str | None:
    """Return what follows the word Basic, however it is written; None without that word.

    Base64 of a pair after another scheme, or without a scheme, counts as well.
    """
    if authorization.is_scheme("Basic"):
        return authorization.rest
    found = read_scheme(authorization.whole)
    if found:
        return found[1]
    octets = decode_leniently(authorization.rest)
    return authorization.rest if octets is not None and _PAIR.fullmatch(octets) else None


def meant_pair(authorization: Authorization) -> tuple[str, str]:
    """Return the id and the secret that a header means, with its mistakes undone."""
    text = what_follows_basic(authorization)
    value = read_credentials(authorization.rest if text is None else text, lambda _: False)
    return ("", "") if value.is_final else value.pair


def _wrong_scheme(authorization: Authorization, expected: TokenExpectation) -> str:
    """Return the mistake in a header that does not begin with the word Basic."""
    whole = authorization.whole.strip()
    is_plain = any(same_text(whole, payload) for payload in _payloads(expected))
    is_id = any(authorization.scheme == known.client_id for known in expected.credentials)
    if is_plain or is_id:
        return (
            "the scheme is missing, and the credentials are not encoded: send Basic and the "
            "Base64 text of client_id:client_secret"
        )
    if not authorization.scheme:
        octets = decode_leniently(authorization.rest)
        if octets is not None and (_is_payload(octets, expected) or _PAIR.fullmatch(octets)):
            return "the scheme is missing: write `Basic ` before the Base64 text"
        return "the Authorization header names no scheme: it must start with `Basic `"
    if authorization.is_scheme("Bearer"):
        return "Bearer is for API calls with a token; request the token itself with Basic"
    if authorization.is_scheme("ApiKey"):
        return "ApiKey is for API keys; request the token with Basic and the client's credentials"
    return f"the scheme is {scheme_name(authorization.scheme)!r}; request the token with Basic"


# What follows the scheme


def _mistakes_after_scheme(text: str, expected: TokenExpectation) -> Iterator[str]:
    """Yield the likely mistakes in the Base64 text, and in the pair that it holds."""
    whole = _whole_text(text, expected)
    if whole:
        yield whole
        return
    value = read_credentials(text, lambda octets: is_right(octets, expected))
    form = _form_of_base64(value)
    if form:
        yield form
    yield from value.mistakes
    if value.octets is None or value.is_final or is_right(value.octets, expected):
        return
    yield from _mistakes_in_octets(value, expected)


def _whole_text(text: str, expected: TokenExpectation) -> str:
    """Recognize text that holds no credentials at all, and right Base64 that was changed."""
    placeholder = placeholder_in(text)
    if placeholder:
        return left_in(_HEADER, placeholder)
    if stands_for_nothing(text):
        return f"the credentials are the word {text.strip()!r}: were they set?"
    if _CALL.fullmatch(text.strip()):
        return (
            "the header has the name of a function, such as Base64(…), in place of its result: "
            "encode client_id:client_secret"
        )
    sent = text.strip()
    if sent.startswith(("$(", "`")):
        return (
            "a command of a shell was sent in place of its output: in single quotes it is not run; "
            "write it in double quotes"
        )
    changes = (_changed(sent, payload) for payload in _payloads(expected))
    return next(filter(None, changes), "") or _one_of_two(sent, expected)


def _changed(sent: str, payload: bytes) -> str:
    """Recognize the Base64 text of that payload although it was cut or changed."""
    right = base64.b64encode(payload).decode()
    bare = right.rstrip("=")
    if sent in {right, bare}:
        return ""
    if sent.lower() == right.lower():
        return "upper and lower case of the Base64 text were changed; it has both"
    if sent == right + right:
        return "the Base64 text is there twice"
    # Cut at a group of four, it decodes to a pair whose secret was cut: that has other causes.
    if _LEAST_PART <= len(sent) < len(bare) and len(sent) * 2 >= len(bare):
        if bare.startswith(sent) and len(sent) % 4:
            return f"the Base64 text was cut: {len(bare) - len(sent)} characters are missing"
        if right.endswith(sent) or bare.endswith(sent):
            return "the beginning of the Base64 text is missing"
    is_same = same_text(decode_leniently(sent.replace(" ", "+")) or b"", payload)
    if is_same and " " in sent and not same_text(decode_leniently(sent) or b"", payload):
        return "each + in the Base64 text became a space: it was form-decoded"
    return ""


def _one_of_two(sent: str, expected: TokenExpectation) -> str:
    """Recognize a client_id or a secret alone, without Base64."""
    for known in expected.credentials:
        parts = {"client_id": known.client_id, "secret": known.client_secret}
        for name, part in parts.items():
            if same_text(sent, part):
                return (
                    f"the {name} alone was sent, and it is not encoded: Basic takes Base64 of "
                    "client_id:client_secret"
                )
    return ""


def _form_of_base64(value: HeaderValue) -> str:
    """Return what is wrong with the form of the Base64 text: lines, alphabet, padding."""
    encoded = value.encoded.strip(" ")
    if not encoded or is_standard_base64(encoded):
        return ""
    if re.fullmatch(r"\S+?(?:\s|%0[AaDd]|\\[nr])+", encoded):
        return "a line feed follows the Base64 text: strip what the encoder prints"
    if re.search(r"\s|%0[AaDd]|\\n", encoded):
        return (
            "the Base64 text is broken into lines: encoders for mail wrap at 76 characters; use "
            "an encoder that does not (`base64 -w0`)"
        )
    # Words are Base64 without padding as well: other hints explain them.
    if value.octets is None or value.is_final or b":" not in value.octets:
        return ""
    if re.search(r"[-_]", encoded):
        return "the Base64 text uses the URL-safe alphabet (- and _); Basic takes + and /"
    return "the Base64 text lost its padding: its length must be a multiple of 4, filled up with ="


# The decoded octets


def _mistakes_in_octets(value: HeaderValue, expected: TokenExpectation) -> Iterator[str]:
    """Yield the likely mistakes in the pair that a header holds."""
    octets = value.octets or b""
    mistake = (
        _no_colon(octets, expected)
        or _percent_encoded(octets, expected)
        or _other_charset(octets, expected)
    )
    if mistake:
        yield mistake
        return
    if not value.pair[0].isprintable() or "\ufffd" in value.pair[0]:
        yield _NOT_TEXT
        return
    pair = value.pair
    if expected.profile.basic_encoding == "form":
        pair = (unquoted_plus(pair[0]), unquoted_plus(pair[1]))
    if expected.profile.basic_encoding == "base64":
        pair = (from_base64(pair[0]), from_base64(pair[1]))
    yield from mistakes_in_pair(pair, expected)


def _no_colon(octets: bytes, expected: TokenExpectation) -> str:
    """Recognize a single value in place of the pair, and another separator."""
    if b":" in octets:
        return ""
    text = octets.decode("utf-8", "replace")
    if _is_payload(unquoted_plus(text).encode(), expected):
        return (
            "the whole pair was percent-encoded, and the colon with it: encode "
            "client_id:client_secret to Base64 as it is"
        )
    for known in expected.credentials:
        client_id = known.client_id.encode("utf-8", "surrogatepass")
        secret = known.client_secret.encode("utf-8", "surrogatepass")
        if octets == client_id:
            return (
                "the header decodes to the client_id alone, without a colon and the secret: "
                "encode client_id:client_secret"
            )
        if same_text(octets, secret):
            return (
                "the header decodes to the secret alone, without the client_id and a colon: "
                "encode client_id:client_secret"
            )
        if secret and octets.startswith(client_id) and octets.endswith(secret):
            return (
                "the header decodes to id and secret without a colon between them: encode "
                "client_id:client_secret"
            )
    if "\ufffd" in text or not text.isprintable():
        return _NOT_TEXT
    placeholder = placeholder_in(text)
    if placeholder:
        return left_in(_HEADER, placeholder)
    return "the header decodes to text without a colon: encode client_id:client_secret"


def _percent_encoded(octets: bytes, expected: TokenExpectation) -> str:
    """Recognize form-urlencoding that the profile does not use, or that is missing.

    Credentials that are the same in both encodings are right in either.
    """
    is_raw = expected.profile.basic_encoding == "raw"
    client_id, _, secret = octets.decode("utf-8", "replace").partition(":")
    unquoted_pair = f"{unquoted_plus(client_id)}:{unquoted_plus(secret)}"
    for pair in expected.credentials:
        plain = f"{pair.client_id}:{pair.client_secret}"
        if expected.profile.basic_encoding == "base64":
            mistake = _each_in_base64((client_id, secret), pair)
            if mistake:
                return mistake
            continue
        if is_raw and same_text(unquoted_pair, plain):
            return (
                # Correct by the RFC, but this provider differs: the hint says so, or the user would
                # doubt the RFC.
                "the credentials were percent-encoded before Base64 (as RFC 6749, 2.3.1, says); "
                "this broker takes them as they are"
            )
        if not is_raw and same_text(f"{client_id}:{secret}", plain):
            return (
                "the credentials went into Base64 as they are; this broker wants each of them "
                "form-urlencoded first (RFC 6749, 2.3.1)"
            )
    return ""


def _each_in_base64(sent: tuple[str, str], known: Credentials) -> str:
    """Recognize an id or a secret that is not encoded to Base64 once, where each has to be."""
    times = tuple(
        next((n for n in range(3) if same_text(_decoded(part, n), right)), None)
        for part, right in zip(sent, (known.client_id, known.client_secret), strict=True)
    )
    wanted = "this broker wants each of them encoded to Base64 first, and the pair encoded again"
    hints: dict[tuple[int | None, ...], str] = {
        (0, 0): f"id and secret are joined as they are; {wanted}",
        (0, 1): f"the id is not encoded to Base64, only the secret; {wanted}",
        (1, 0): f"the secret is not encoded to Base64, only the id; {wanted}",
        (2, 2): "id and secret are encoded to Base64 twice before they are joined; encode each of "
        "them once, and the pair again",
        (2, 1): "the id is encoded to Base64 twice before the colon; encode it once",
        (1, 2): "the secret is encoded to Base64 twice after the colon; encode it once",
    }
    return hints.get(times, "")


def _decoded(text: str, times: int) -> str:
    """Return the text after it was decoded from Base64 that many times."""
    for _ in range(times):
        text = from_base64(text)
    return text


def _other_charset(octets: bytes, expected: TokenExpectation) -> str:
    """Recognize right credentials in another charset, or in UTF-8 twice."""
    # What the client sent as Latin-1, read as Latin-1 and encoded as UTF-8, is what it should have
    # sent.
    if _is_payload(octets.decode("latin-1").encode(), expected):
        return "the credentials are encoded as Latin-1; encode them as UTF-8 before Base64"
    for payload in _payloads(expected):
        if same_text(octets, payload.decode("latin-1").encode()):
            return "the credentials are encoded as UTF-8 twice; encode them once"
        composed = unicodedata.normalize("NFC", octets.decode("utf-8", "replace"))
        if same_text(composed, payload):
            return "accented letters of the credentials are decomposed (NFD); send them as NFC"
    return ""
