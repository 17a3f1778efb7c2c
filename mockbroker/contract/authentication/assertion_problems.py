"""What is wrong with an assertion: one table of problems for judges and hints.

A problem has the part of the assertion that is wrong, which decides the clause, and a hint on the
likely mistake. The parts are looked at in order; those that depend on one that is wrong are not.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from typing import cast

from mockbroker.contract.authentication.problem import Problem
from mockbroker.contract.authentication.public_keys import fits, public_keys_in
from mockbroker.contract.authentication.signed_assertion import (
    ASSERTION_TYPE,
    SignedAssertion,
    assertion_in,
    verifying_key,
)
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.credentials import Credentials
from mockbroker.model.masking import shown
from mockbroker.model.placeholders import placeholder_in, stands_for_nothing
from mockbroker.model.token_request import TokenRequest

__all__ = ["SLACK_SECONDS", "Part", "problems_in"]

SLACK_SECONDS = 5
"""The room that a clock which is off needs at least, in seconds."""
_MILLISECONDS_FROM = 1e11
"""A number of seconds that large is a date beyond the year 5000; milliseconds passed it in 1973."""
_LARGEST = 1e18
_TWO_INTEGERS_OCTETS = {"ES256": 64, "ES384": 96}


class Part(enum.Enum):
    """The part of client authentication by an assertion that is wrong."""

    SENT = enum.auto()
    SIGNATURE = enum.auto()
    KEY_ID = enum.auto()
    ISSUER = enum.auto()
    AUDIENCE = enum.auto()
    LIFETIME = enum.auto()
    JTI = enum.auto()
    CLOCK = enum.auto()


def problems_in(request: TokenRequest, expected: TokenExpectation) -> tuple[Problem, ...]:
    """Return the problems of the assertion in a request, at most one of each part."""
    sent = _sending(request)
    assertion = assertion_in(request)
    if assertion is None or sent is not None:
        return (sent,) if sent else ()
    client = _client(assertion, expected)
    found = (
        *_of_signature(assertion, client, expected),
        _issuer(request, assertion, expected),
        _audience(assertion, expected),
        _lifetime(assertion, expected),
        _jti(assertion, expected),
        _clock(assertion, expected),
    )
    return tuple(problem for problem in found if problem)


def _client(assertion: SignedAssertion, expected: TokenExpectation) -> Credentials | None:
    """Return the client that the assertion names by ``iss`` or ``sub``; None if unknown."""
    names = {assertion.text("iss"), assertion.text("sub")}
    return next((each for each in expected.credentials if each.client_id in names), None)


# The parameters

_WANTED = "client_assertion and client_assertion_type in the body, once each"


def _sending(request: TokenRequest) -> Problem | None:
    """Find parameters that are missing, repeated, elsewhere, or not an assertion at all."""
    types, values = request.values("client_assertion_type"), request.values("client_assertion")
    if not values:
        return Problem(Part.SENT, *_without_assertion(request))
    if len(values) > 1:
        what = f"client_assertion is in the body {len(values)} times"
        return Problem(Part.SENT, what, _WANTED, f"{what}; send it once")
    if assertion_in(request) is None:
        hint = _not_a_jwt(values[0])
        return Problem(Part.SENT, "client_assertion is not a signed JWT", "a signed JWT", hint)
    if types != (ASSERTION_TYPE,):
        what, hint = _wrong_type(types)
        return Problem(Part.SENT, what, f"client_assertion_type={ASSERTION_TYPE}, once", hint)
    return None


def _without_assertion(request: TokenRequest) -> tuple[str, str, str]:
    """Return what a request has in place of the assertion, what was expected, and a hint."""
    takes = "this broker takes a signed assertion (private_key_jwt)"
    advice = f"{takes}: send {_WANTED}"
    if "client_assertion" in request.names_in_query:
        what = "client_assertion is in the URL, not in the body"
        return what, _WANTED, "client_assertion is in the query of the URL; send it in the body"
    if "client_assertion" in (request.json or {}):
        what = "client_assertion is in a JSON body"
        return what, _WANTED, "the body is JSON; send the parameters as a form"
    if request.values("assertion"):
        what = "the body has assertion, not client_assertion"
        hint = (
            "the parameter is named assertion, as for the grant of RFC 7523, 2.1; client "
            "authentication (2.2) names it client_assertion"
        )
        return what, _WANTED, hint
    if request.places_of_secret:
        what = f"the client sent a client_secret in the {' and '.join(request.places_of_secret)}"
        return what, _WANTED, f"a client_secret was sent; {advice}"
    if request.authorizations:
        what = "the credentials are in the Authorization header"
        return what, _WANTED, f"an Authorization header was sent (client_secret_basic); {advice}"
    return "the body has no client_assertion", _WANTED, f"no client_assertion was sent; {advice}"


def _wrong_type(types: tuple[str, ...]) -> tuple[str, str]:
    """Return what is wrong with client_assertion_type, and a hint."""
    if len(types) > 1:
        what = f"client_assertion_type is in the body {len(types)} times"
        return what, f"{what}; send it once"
    right = f"client_assertion_type must be {ASSERTION_TYPE}"
    if not types:
        return "the body has no client_assertion_type", f"client_assertion_type is missing; {right}"
    sent, what = types[0], f"client_assertion_type is {shown(types[0])!r}"
    causes = (
        ("%3A" in sent or "%3a" in sent, "client_assertion_type was percent-encoded twice"),
        ("saml2" in sent, "client_assertion_type is that of SAML"),
        ("grant-type:jwt-bearer" in sent, "client_assertion_type is the name of a grant"),
        (sent.strip(" \"'\r\n\t") == ASSERTION_TYPE, "quotes or white space are around the type"),
        (not sent, "client_assertion_type is empty"),
    )
    cause = next((cause for fits_, cause in causes if fits_), what)
    return what, f"{cause}; {right}"


def _not_a_jwt(value: str) -> str:
    """Recognize what was sent in place of a JWT. The hint quotes nothing: it may be a key."""
    plain = value.strip()
    placeholder = placeholder_in(plain)
    causes: tuple[tuple[object, str], ...] = (
        (not plain, "client_assertion is empty; was it made?"),
        (
            "PRIVATE KEY" in plain,
            "client_assertion is the private key itself in PEM: replace that key, and send a JWT",
        ),
        ("-----BEGIN" in plain, "client_assertion is a key or certificate in PEM; send a JWT"),
        (
            '"kty"' in plain or '"keys"' in plain,
            "client_assertion is a JSON Web Key; send a JWT that is signed with the private key",
        ),
        (plain.startswith("{"), "client_assertion is JSON; encode and sign it as a JWT"),
        (placeholder, f"a placeholder is left in client_assertion: {placeholder}"),
        (stands_for_nothing(plain), "client_assertion is a word for a missing value"),
        (plain.lower().startswith("bearer "), "client_assertion begins with Bearer; remove it"),
        (plain[:2] in {"b'", 'b"'}, "client_assertion was bytes, written as b'…': decode it"),
        (plain != value or re.search(r"\s", plain), "client_assertion has white space in it"),
        (plain[0:1] in {'"', "'"}, "client_assertion has quotes around it; remove them"),
        (plain.count(".") == 4, "client_assertion is encrypted (five parts); send a signed JWT"),  # noqa: PLR2004 - parts of a JWE
        (
            plain.count(".") == 1,
            "client_assertion has two parts: the signature is missing, or was cut off",
        ),
        (
            "=" in plain or "+" in plain or "/" in plain,
            "client_assertion has standard Base64 or padding; a JWT has Base64 for URLs without it",
        ),
    )
    return next(
        (hint for found, hint in causes if found),
        "client_assertion is not a JWT; expected three parts of Base64 for URLs, joined by dots",
    )


# The signature and its key


def _of_signature(
    assertion: SignedAssertion, client: Credentials | None, expected: TokenExpectation
) -> Iterator[Problem]:
    """Find another algorithm, a signature that no key verifies, and another ``kid``."""
    accepted = ", ".join(expected.profile.assertion.algorithms)
    if assertion.algorithm not in expected.profile.assertion.algorithms:
        what, hint = _wrong_algorithm(assertion.header.get("alg"))
        yield Problem(
            Part.SIGNATURE, what, f"one of {accepted}", f"{hint}; this broker takes {accepted}"
        )
        return
    if "crit" in assertion.header:
        # RFC 7515, 4.1.11: who does not understand an extension that is named there "MUST" reject.
        what = "the header has crit, which names extensions that must be understood"
        hint = "the broker knows no extension that crit can name; leave crit out"
        yield Problem(Part.SIGNATURE, what, "a header without crit", hint)
        return
    # An unknown client has no key; the issuer's problem says so. Without the keys of any client, as
    # in `mockbroker explain`, no signature can be checked.
    if client is None or not client.public_keys:
        return
    key = verifying_key(assertion, client, expected.profile.assertion.algorithms)
    if key is None:
        what = "the signature is not that of a registered key of the client"
        hint = _wrong_signature(assertion, client, expected)
        yield Problem(Part.SIGNATURE, what, "a signature by the client's private key", hint)
    elif problem := _wrong_key_id(assertion, key.key_id, client):
        yield problem


def _wrong_algorithm(algorithm: object) -> tuple[str, str]:
    """Return what is wrong with an algorithm that the profile does not accept, and a hint."""
    if not isinstance(algorithm, str):
        return "the header has no alg", "the header of the assertion has no alg"
    what = f"the assertion's alg is {shown(algorithm)!r}"
    if algorithm.lower() == "none":
        return what, "alg is none: the assertion is not signed; sign it with the private key"
    if algorithm.startswith("HS"):
        hint = (
            f"alg is {shown(algorithm)}: the assertion is signed with a shared secret "
            "(client_secret_jwt); sign it with the private key"
        )
        return what, hint
    return what, f"alg is {shown(algorithm)!r}"


def _wrong_signature(
    assertion: SignedAssertion, client: Credentials, expected: TokenExpectation
) -> str:
    """Recognize why no key of the client verifies the signature."""
    algorithm = assertion.algorithm
    others = (each for each in expected.credentials if each.client_id != client.client_id)
    owner = next((each for each in others if verifying_key(assertion, each, [algorithm])), None)
    if owner is not None:
        names = f"client {owner.client_id!r}, not of {client.client_id!r}"
        return f"the signature is by the key of {names}"
    keys = public_keys_in(client.public_keys, client.key_id)
    if not any(fits(key, algorithm) for key in keys):
        kinds = " and ".join(sorted({key.kind for key in keys}))
        return f"alg is {algorithm}, but the registered keys are of type {kinds}"
    octets = _TWO_INTEGERS_OCTETS.get(algorithm)
    if octets and len(assertion.signature) != octets and assertion.signature[:1] == b"\x30":
        return (
            f"the signature is in DER; a JWS has two integers of {octets // 2} octets instead "
            "(RFC 7518, 3.4)"
        )
    if not assertion.signature:
        return "the signature is empty; sign the assertion with the private key"
    if octets and len(assertion.signature) != octets:
        return f"the signature has {len(assertion.signature)} octets; {algorithm} has {octets}"
    return (
        "the signature fits no registered key of the client: is it another private key, or was the "
        "assertion changed after it was signed?"
    )


def _wrong_key_id(assertion: SignedAssertion, verified: str, client: Credentials) -> Problem | None:
    """Find a ``kid`` that is not that of the key which verifies the signature."""
    ids = sorted({key.key_id for key in public_keys_in(client.public_keys, client.key_id)} - {""})
    sent = assertion.key_id
    # A key that was registered without an id has none to compare.
    if not verified or sent == verified:
        return None
    known = ", ".join(map(shown, ids))
    if not sent:
        hint = f"the header has no kid; the key that signed it is {shown(verified)!r}"
        return Problem(Part.KEY_ID, "the header has no kid", f"kid {shown(verified)!r}", hint)
    what = f"the header's kid is {shown(sent)!r}"
    if sent in ids:
        hint = f"kid is {shown(sent)!r}, but the key {shown(verified)!r} signed the assertion"
    else:
        hint = f"kid {shown(sent)!r} is unknown; the registered keys are {known}"
    return Problem(Part.KEY_ID, what, f"kid {shown(verified)!r}", hint)


# The claims


def _issuer(
    request: TokenRequest, assertion: SignedAssertion, expected: TokenExpectation
) -> Problem | None:
    """Find ``iss``, ``sub`` and the parameter client_id that are not one registered client_id."""
    wanted = "iss and sub that are both the client_id"
    issuer, subject = assertion.text("iss"), assertion.text("sub")
    ids = [each.client_id for each in expected.credentials]

    def found(what: str, hint: str) -> Problem:
        return Problem(Part.ISSUER, what, wanted, hint)

    for name, value in (("iss", issuer), ("sub", subject)):
        if not value:
            what = f"the assertion has no {name}"
            return found(what, f"{what}; it must be the client_id")
    if issuer != subject:
        what = f"iss is {shown(issuer)!r} and sub is {shown(subject)!r}"
        return found(what, f"{what}; both must be the client_id")
    if ids and issuer not in ids:
        what = f"iss and sub are {shown(issuer)!r}, which is not a registered client_id"
        is_url = issuer.startswith(("https://", "http://"))
        hint = "they are a URL: were iss and aud swapped?" if is_url else "is it another client's?"
        return found(what, f"{what}; {hint}")
    named = request.values("client_id")
    if any(value != issuer for value in named):
        what = f"the parameter client_id is {shown(named[0])!r}, but iss is {shown(issuer)!r}"
        return found(what, f"{what}; they must be the same")
    if not named and expected.profile.assertion.client_id_required:
        what = "the body has no client_id"
        return found(what, f"{what}, which profile {expected.profile.name} requires")
    return None


def _audience(assertion: SignedAssertion, expected: TokenExpectation) -> Problem | None:
    """Find an ``aud`` that is missing or not the profile's."""
    value = assertion.claims.get("aud")
    values = value if isinstance(value, list) else [value]
    wanted = expected.audiences
    kind = expected.profile.assertion.audience
    name = "the URL of the token endpoint" if kind == "token_endpoint" else "the issuer's URL"
    if value is None or not values:
        return Problem(
            Part.AUDIENCE, "the assertion has no aud", f"aud is {name}", f"aud is missing: {name}"
        )
    # RFC 7523, 3: aud is a string or an array, and one value of it must be the server.
    if not wanted or any(each in wanted for each in values):
        return None
    # JSON can have half of a surrogate pair, which no response can.
    readable = (str(each).encode("utf-8", "backslashreplace").decode() for each in values)
    text = ", ".join(map(shown, readable))
    what, right = f"aud is {text}", f"{wanted[0]} ({name})"
    hint = f"aud is {text}; it must be {wanted[0]}, {name}{_why_audience(text, wanted[0])}"
    return Problem(Part.AUDIENCE, what, right, hint)


def _why_audience(sent: str, wanted: str) -> str:
    """Return why an ``aud`` differs from the wanted one, as the end of a sentence."""
    if sent.rstrip("/") == wanted.rstrip("/"):
        return ": the slash at the end matters"
    if wanted.startswith(sent.rstrip("/") + "/"):
        return ", with its path"
    if sent.partition("://")[2] == wanted.partition("://")[2]:
        return ": http and https differ"
    return ""


def _lifetime(assertion: SignedAssertion, expected: TokenExpectation) -> Problem | None:
    """Find times that are missing, malformed, past, too far ahead, or not yet reached."""
    rules = expected.profile.assertion
    for name in ("exp", "nbf", "iat"):
        problem = _malformed_time(name, assertion.claims)
        if problem is not None:
            return problem
    expiry = _seconds(assertion.claims, "exp")
    issued = _seconds(assertion.claims, "iat")
    longest, leeway = rules.longest_life_seconds, rules.leeway_seconds
    wanted = f"an exp at most {longest:g} s ahead"
    # Without the broker's time, as in `mockbroker explain`, the client's own says how long it is.
    now = issued if expected.received_at is None else expected.received_at
    if expiry is None or now is None:
        return None
    if expiry <= now - leeway:
        late = f"the assertion expired {now - expiry:.0f} s ago"
        hint = f"{late}: it was kept too long, or the client's clock is slow"
        return Problem(Part.LIFETIME, late, wanted, hint)
    if expiry > now + longest + leeway:
        what = f"exp is {expiry - now:.0f} s ahead"
        hint = f"{what}; the longest life here is {longest:g} s, so set exp to now + {longest:g}"
        return Problem(Part.LIFETIME, what, wanted, hint)
    for name in ("nbf", "iat"):
        begin = _seconds(assertion.claims, name)
        if begin is not None and begin > now + leeway:
            what = f"{name} is {begin - now:.0f} s ahead of the broker's clock"
            hint = f"{what}: the client's clock is fast by about that, or {name} is in local time"
            return Problem(Part.LIFETIME, what, f"an {name} that has passed", hint)
    return None


def _malformed_time(name: str, claims: Mapping[str, object]) -> Problem | None:
    """Find a time that is missing, not a number, or in milliseconds."""
    wanted = "a NumericDate, in seconds since 1970"
    value = claims.get(name)
    if value is None:
        if name != "exp":
            return None
        what = "the assertion has no exp"
        return Problem(Part.LIFETIME, what, wanted, f"{what}; an assertion must expire")
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # Python's JSON has integers of any size, which no float can hold, and NaN.
    if not is_number or not -_LARGEST < cast("float", value) < _LARGEST:
        what = f"{name} is not a number"
        kind = "a string" if isinstance(value, str) else "of another type"
        return Problem(Part.LIFETIME, what, wanted, f"{name} is {kind}; it must be {wanted}")
    if cast("float", value) >= _MILLISECONDS_FROM:
        what = f"{name} is in milliseconds"
        return Problem(Part.LIFETIME, what, wanted, f"{what}; divide it by 1000")
    return None


def _seconds(claims: Mapping[str, object], name: str) -> float | None:
    """Return a time in Unix seconds; None if it is missing or malformed."""
    value = claims.get(name)
    is_time = _malformed_time(name, claims) is None and value is not None
    return float(cast("float", value)) if is_time else None


def _jti(assertion: SignedAssertion, expected: TokenExpectation) -> Problem | None:
    """Find a ``jti`` that is missing, not a string, or used before."""
    wanted = "a jti of its own for each assertion"
    value = assertion.claims.get("jti")
    if value is None:
        if not expected.profile.assertion.jti_required:
            return None
        hint = "the assertion has no jti; add a random one, such as a UUID, to each assertion"
        return Problem(Part.JTI, "the assertion has no jti", wanted, hint)
    if not isinstance(value, str) or not value:
        what = "jti is not a string" if value != "" else "jti is empty"
        return Problem(Part.JTI, what, wanted, f"{what}; it must be a string, such as a UUID")
    if expected.is_replayed:
        hint = (
            "an assertion with that jti was used before: make a new assertion for each token "
            "request, also to repeat a request that failed"
        )
        return Problem(Part.JTI, "the jti was used before", wanted, hint)
    return None


def _clock(assertion: SignedAssertion, expected: TokenExpectation) -> Problem | None:
    """Find times that leave no room for a clock that is off by some seconds."""
    now, expiry = expected.received_at, _seconds(assertion.claims, "exp")
    if now is None or expiry is None:
        return None
    left = expiry - now
    # An assertion that has expired is a problem of its lifetime.
    if -expected.profile.assertion.leeway_seconds < left < SLACK_SECONDS:
        what = f"exp is only {left:.1f} s ahead"
        hint = f"{what}: a clock that is off by that makes it expire; use a minute or more"
        return Problem(Part.CLOCK, what, f"an exp at least {SLACK_SECONDS} s ahead", hint)
    return None
