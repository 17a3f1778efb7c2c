"""Wrong assertions, each with the cause that must be named."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mockbroker import Broker, Credentials
from mockbroker.broker.client_keys import with_new_key
from mockbroker.contract.authentication.signed_assertion import ASSERTION_TYPE

__all__ = ["RIGHT", "WRONG", "WrongAssertion", "claims_for", "form_of", "signed"]

LONGEST = 300


def claims_for(broker: Broker) -> dict[str, Any]:
    """The claims of a right assertion."""
    now, client = broker.clock.now(), broker.credentials.client_id
    return {
        "iss": client,
        "sub": client,
        "aud": broker.audience,
        "iat": now,
        "exp": now + 60,
        "jti": base64.b16encode(str(time.perf_counter_ns()).encode()).decode(),
    }


def signed(
    claims: Mapping[str, Any],
    client: Credentials,
    algorithm: str = "ES256",
    **header: Any,
) -> str:
    """The claims as a JWT, signed with the client's key."""
    # PyJWT refuses to write what a wrong client writes, so the parts are made by hand.
    fields = {"alg": algorithm, "kid": client.key_id, **header}
    kept = {name: value for name, value in fields.items() if value is not None}
    signed_part = f"{encoded(kept)}.{encoded(claims)}"
    key = load_pem_private_key(client.private_key.encode(), None)
    signature = jwt.algorithms.get_default_algorithms()[algorithm].sign(signed_part.encode(), key)
    return f"{signed_part}.{b64(signature)}"


def encoded(members: Mapping[str, Any]) -> str:
    return b64(json.dumps(members).encode())


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def form_of(assertion: str, /, **other: str | None) -> bytes:
    fields = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        **other,
    }
    return urlencode({name: value for name, value in fields.items() if value is not None}).encode()


@dataclass(frozen=True)
class WrongAssertion:
    """How to make a wrong token request, the clause that it breaks, and words of the hint."""

    name: str
    clause: str
    words: tuple[str, ...]
    body: Callable[[Broker], bytes]
    rules: Mapping[str, Any] = field(default_factory=dict)


def _claims(clause: str, **wrong: tuple[dict[str, Any], str]) -> list[WrongAssertion]:
    """Wrong claims by name: what to change, by a number of seconds from now, and the words."""
    made = []
    for name, (changes, words) in wrong.items():

        def body(broker: Broker, changes: dict[str, Any] = changes) -> bytes:
            claims = claims_for(broker)
            for claim, value in changes.items():
                claims[claim] = value(claims) if callable(value) else value
            kept = {claim: value for claim, value in claims.items() if value is not None}
            return form_of(signed(kept, broker.credentials))

        made.append(WrongAssertion(name.replace("_", " "), clause, (words,), body))
    return made


def _instead(name: str, words: str, value: str) -> WrongAssertion:
    """Something else in place of the assertion."""
    return WrongAssertion(name, "assertion.sent", (words,), lambda _: form_of(value))


def _changed(name: str, words: str, change: Callable[[str], str]) -> WrongAssertion:
    """A right assertion that was changed afterwards, so that it cannot be read."""

    def body(broker: Broker) -> bytes:
        return form_of(change(signed(claims_for(broker), broker.credentials)))

    return WrongAssertion(name, "assertion.sent", (words,), body)


def _form(name: str, words: str, clause: str = "assertion.sent", **other: Any) -> WrongAssertion:
    """A right assertion with other parameters beside it."""

    def body(broker: Broker) -> bytes:
        return form_of(signed(claims_for(broker), broker.credentials), **other)

    return WrongAssertion(name, clause, (words,), body)


def _algorithm(name: str, words: str, alg: object, signature: bytes = b"x") -> WrongAssertion:
    """An assertion whose header has another algorithm, with that signature."""

    def body(broker: Broker) -> bytes:
        header = {"kid": broker.credentials.key_id} | ({} if alg is None else {"alg": alg})
        return form_of(f"{encoded(header)}.{encoded(claims_for(broker))}.{b64(signature)}")

    return WrongAssertion(name, "assertion.signature", (words,), body)


def _der(broker: Broker) -> bytes:
    key = load_pem_private_key(broker.credentials.private_key.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    part = signed(claims_for(broker), broker.credentials).rpartition(".")[0]
    return form_of(f"{part}.{b64(key.sign(part.encode(), ec.ECDSA(hashes.SHA256())))}")


def _by_another_key(broker: Broker) -> bytes:
    stranger = with_new_key(broker.credentials, "ES256", number=9)
    return form_of(signed(claims_for(broker), stranger, kid=broker.credentials.key_id))


def _by_another_client(broker: Broker) -> bytes:
    other = with_new_key(Credentials("other", ""), "ES256", number=8)
    broker.register("other", public_keys=other.public_keys)
    return form_of(signed(claims_for(broker), other, kid=broker.credentials.key_id))


def _with_other_type(broker: Broker) -> bytes:
    curve = with_new_key(broker.credentials, "ES256")
    broker.register(curve.client_id, public_keys=curve.public_keys)
    rsa = with_new_key(curve, "RS256")
    return form_of(signed(claims_for(broker), rsa, "RS256", kid=curve.key_id))


def _with_kid(kid: str | None) -> Callable[[Broker], bytes]:
    return lambda broker: form_of(signed(claims_for(broker), broker.credentials, kid=kid))


def _with_the_other_kid(broker: Broker) -> bytes:
    """Signed with the old key after both were registered, and named by the new one's id."""
    old = broker.credentials
    new = with_new_key(old, "ES256", number=7)
    keys = [json.loads(each.public_keys)["keys"][0] for each in (old, new)]
    broker.register(old.client_id, public_keys=json.dumps({"keys": keys}))
    return form_of(signed(claims_for(broker), old, kid=new.key_id))


def _twice(broker: Broker) -> bytes:
    """The body of a request that was sent before."""
    body = form_of(signed(claims_for(broker), broker.credentials))
    broker.handle(request_with(broker, body), "http://broker")
    return body


def request_with(broker: Broker, body: bytes) -> Any:
    from mockbroker.model.messages import Headers, Request  # noqa: PLC0415 - for this helper only

    fields = [("Content-Type", "application/x-www-form-urlencoded")]
    return Request("POST", broker.profile.own_token_path, Headers.of(fields), body)


def _later(claim: str, seconds: float) -> Callable[[dict[str, Any]], float]:
    return lambda claims: claims[claim] + seconds


PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqG\n-----END PRIVATE KEY-----"


def _in_standard_base64(text: str) -> str:
    """The assertion with the two characters that Base64 for URLs does not have."""
    head, _, signature = text.rpartition(".")
    return f"{head}.{signature[:-4]}++//"


def _with_critical_extension(broker: Broker) -> bytes:
    assertion = signed(claims_for(broker), broker.credentials, crit=["x"], x=1)
    return form_of(assertion)


WRONG: list[WrongAssertion] = [
    WrongAssertion(
        "nothing",
        "assertion.sent",
        ("no client_assertion was sent", "private_key_jwt"),
        lambda _: b"grant_type=client_credentials",
    ),
    WrongAssertion(
        "a secret",
        "assertion.sent",
        ("a client_secret was sent", "private_key_jwt"),
        lambda _: b"grant_type=client_credentials&client_id=x&client_secret=s3cret",
    ),
    WrongAssertion(
        "the grant's parameter",
        "assertion.sent",
        ("named assertion",),
        lambda b: form_of(
            "", client_assertion=None, assertion=signed(claims_for(b), b.credentials)
        ),
    ),
    WrongAssertion(
        "twice in the body",
        "assertion.sent",
        ("2 times; send it once",),
        lambda b: form_of(signed(claims_for(b), b.credentials)) + b"&client_assertion=a.b.c",
    ),
    WrongAssertion(
        "the type twice",
        "assertion.sent",
        ("client_assertion_type is in the body 2 times",),
        lambda b: form_of(signed(claims_for(b), b.credentials)) + b"&client_assertion_type=x",
    ),
    _form("no type", "client_assertion_type is missing", client_assertion_type=None),
    _form("an empty type", "is empty", client_assertion_type=""),
    _form(
        "the type of SAML",
        "that of SAML",
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
    ),
    _form(
        "the name of a grant",
        "the name of a grant",
        client_assertion_type="urn:ietf:params:oauth:grant-type:jwt-bearer",
    ),
    _form("a type encoded twice", "encoded twice", client_assertion_type="urn%3Aietf%3Aparams"),
    _form("a type in quotes", "quotes or white space", client_assertion_type=f'"{ASSERTION_TYPE}"'),
    _form("another type", "'jwt-bearer'", client_assertion_type="jwt-bearer"),
    _instead("PEM", "the private key itself", PEM),
    _instead("a public key", "a key or certificate", "-----BEGIN PUBLIC KEY-----\nMFkw\n"),
    _instead("a JWK", "JSON Web Key", '{"kty": "EC", "crv": "P-256"}'),
    _instead("JSON", "encode and sign it", '{"iss": "shop"}'),
    _instead("a placeholder", "a placeholder is left", "${ASSERTION}"),
    _instead("undefined", "word for a missing value", "undefined"),
    _instead("empty", "is empty", ""),
    _instead("a word", "is not a JWT", "something"),
    _instead("encrypted", "encrypted", "a.b.c.d.e"),
    _instead("parts that are not JSON", "is not a JWT", "YQ.YQ.YQ"),
    _instead("parts that are lists", "is not a JWT", "W10.W10.YQ"),
    _changed("Bearer before it", "begins with Bearer", lambda text: f"Bearer {text}"),
    _changed("bytes of Python", "b'…'", lambda text: f"b'{text}'"),
    _changed("quotes", "quotes around", lambda text: f'"{text}"'),
    _changed("a line feed", "white space", lambda text: f"{text[:30]}\n{text[30:]}"),
    _changed("no signature", "two parts", lambda text: text.rpartition(".")[0]),
    _changed("padding", "standard Base64 or padding", lambda text: f"{text}=="),
    _changed("standard Base64", "standard Base64", _in_standard_base64),
    _algorithm("none", "alg is none", "none", b""),
    _algorithm("a shared secret", "client_secret_jwt", "HS256"),
    _algorithm("no algorithm", "has no alg", None),
    _algorithm("another algorithm", "'EdDSA'", "EdDSA"),
    _algorithm("an empty signature", "the signature is empty", "ES256", b""),
    _algorithm("a cut signature", "has 10 octets", "ES256", b"abcdefghij"),
    WrongAssertion(
        "a critical extension", "assertion.signature", ("crit",), _with_critical_extension
    ),
    WrongAssertion("DER", "assertion.signature", ("in DER",), _der),
    WrongAssertion("another key", "assertion.signature", ("another private key",), _by_another_key),
    WrongAssertion(
        "another client's key",
        "assertion.signature",
        ("the key of client 'other'",),
        _by_another_client,
    ),
    WrongAssertion(
        "a key of another type",
        "assertion.signature",
        ("are of type ES256",),
        _with_other_type,
        {"algorithms": ("RS256", "ES256")},
    ),
    WrongAssertion("no kid", "assertion.key-id", ("has no kid",), _with_kid(None)),
    WrongAssertion("another kid", "assertion.key-id", ("is unknown",), _with_kid("old")),
    WrongAssertion(
        "the kid of another key", "assertion.key-id", ("signed the assertion",), _with_the_other_kid
    ),
    *_claims(
        "assertion.issuer",
        no_iss=({"iss": None}, "has no iss"),
        no_sub=({"sub": None}, "has no sub"),
        iss_and_sub=({"sub": "someone"}, "both must be the client_id"),
        another_client=({"iss": "shop", "sub": "shop"}, "not a registered client_id"),
        swapped=({"iss": "http://broker/token", "sub": "http://broker/token"}, "swapped"),
    ),
    _form("another client_id", "they must be the same", "assertion.issuer", client_id="other"),
    *_claims(
        "assertion.audience",
        no_aud=({"aud": None}, "aud is missing"),
        an_empty_list=({"aud": []}, "aud is missing"),
        slash=({"aud": lambda c: c["aud"] + "/"}, "slash at the end"),
        base_URL=({"aud": "http://broker"}, "with its path"),
        https=({"aud": lambda c: c["aud"].replace("http:", "https:")}, "http and https"),
        another_server=({"aud": "https://login.example.test/token"}, "it must be http://broker"),
        a_number=({"aud": 7}, "aud is 7"),
    ),
    *_claims(
        "assertion.lifetime",
        no_exp=({"exp": None}, "has no exp"),
        expired=({"exp": _later("iat", -100)}, "expired 100 s ago"),
        too_long=({"exp": _later("iat", 3600)}, "3600 s ahead; the longest life here is 300 s"),
        milliseconds=({"exp": lambda c: c["exp"] * 1000}, "divide it by 1000"),
        a_string=({"exp": "soon"}, "exp is a string"),
        a_list=({"iat": [1]}, "iat is of another type"),
        a_boolean=({"nbf": True}, "nbf is of another type"),
        fast_clock=({"nbf": _later("iat", 120)}, "the client's clock is fast"),
        local_time=(
            {"iat": _later("iat", 3600), "exp": _later("exp", 0)},
            "iat is 3600 s ahead",
        ),
    ),
    *_claims(
        "assertion.jti",
        no_jti=({"jti": None}, "has no jti"),
        an_empty_jti=({"jti": ""}, "jti is empty"),
        a_number_as_jti=({"jti": 5}, "jti is not a string"),
    ),
    WrongAssertion("used before", "assertion.jti", ("was used before",), _twice),
    _form("a secret beside it", "sent twice", "assertion.only", client_secret="s3cret"),
]
"""Wrong token requests of clients that sign, or should."""


def _right(name: str, body: Callable[[Broker], bytes], **rules: Any) -> WrongAssertion:
    return WrongAssertion(name, "", (), body, rules)


def _with_claims(**changes: Any) -> Callable[[Broker], bytes]:
    def body(broker: Broker) -> bytes:
        claims = claims_for(broker)
        claims |= {name: v(claims) if callable(v) else v for name, v in changes.items()}
        kept = {name: value for name, value in claims.items() if value is not None}
        return form_of(signed(kept, broker.credentials))

    return body


RIGHT = [
    _right("plain", _with_claims()),
    _right("a list of audiences", _with_claims(aud=lambda c: ["https://x", c["aud"]])),
    _right("fractions", _with_claims(iat=lambda c: c["iat"] + 0.25, exp=lambda c: c["exp"] + 0.5)),
    _right("no iat", _with_claims(iat=None)),
    _right("a fast clock", _with_claims(nbf=lambda c: c["iat"] + 20)),
    _right("no jti where none is needed", _with_claims(jti=None), jti_required=False),
    _right("an extra claim", _with_claims(scope="a")),
    _right(
        "client_id where it is needed",
        lambda b: form_of(signed(claims_for(b), b.credentials), client_id=b.credentials.client_id),
        client_id_required=True,
    ),
    _right("the issuer as audience", _with_claims(), audience="issuer"),
]
"""Right token requests of clients that sign, with the rules of the profile."""
