"""A broker verifies signed assertions, and names the cause of a refusal."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import click
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from trustme import CA

from mockbroker import Broker, ConfigError, Credentials, Level, Profile
from mockbroker.broker.client_keys import with_new_key
from mockbroker.broker.client_setup import setup_of
from mockbroker.broker.profiles import load_profiles
from mockbroker.cli.console import banner
from mockbroker.cli.explain import explain
from mockbroker.cli.made_broker import make_broker
from mockbroker.cli.observed_app import app_environment
from mockbroker.cli.published_files import published
from mockbroker.contract.authentication.public_keys import public_keys_in
from mockbroker.model.assertion_rules import ALGORITHMS, AssertionRules
from mockbroker.model.masking import secret_forms
from tests.broker.serving import serve_settings
from tests.broker.stores import BOTH
from tests.broker.wrong_assertions import (
    RIGHT,
    WRONG,
    WrongAssertion,
    claims_for,
    encoded,
    form_of,
    request_with,
    signed,
)

STORES = BOTH
ORIGIN = "http://broker"


def profile_with(**rules):
    chosen = {"algorithms": ("ES256",), **rules}
    return Profile(
        name="signed",
        token_path="/token",
        client_authentication="private_key_jwt",
        assertion=AssertionRules(**chosen),
    )


class Stopped:
    """A clock that stands still, so that hints have the same numbers in each run."""

    seconds = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


def mounted(broker: Broker) -> Broker:
    broker.mounted_at(ORIGIN, "")
    return broker


def sent(broker: Broker, body: bytes):
    """The exchange for a token request with that body."""
    broker.handle(request_with(broker, body), ORIGIN)
    return broker.journal[-1]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_wrong_assertion_breaks_one_clause_and_its_hint_names_the_cause(wrong: WrongAssertion):
    broker = mounted(Broker(profile=profile_with(**wrong.rules), clock=Stopped()))
    exchange = sent(broker, wrong.body(broker))
    hints = "\n".join(hint for breach in exchange.breaches for hint in breach.hints)
    assert [breach.clause_id for breach in exchange.breaches] == [wrong.clause]
    assert [words for words in wrong.words if words not in hints] == [], hints
    assert exchange.response.status in {400, 401}
    # The hint quotes neither the assertion nor a key.
    assert broker.credentials.private_key not in hints
    assert "eyJ" not in hints
    assert "MIGH" not in hints


@pytest.mark.parametrize("right", RIGHT, ids=lambda right: right.name)
def test_a_right_assertion_gets_a_token(right: WrongAssertion):
    broker = mounted(Broker(profile=profile_with(**right.rules), clock=Stopped()))
    exchange = sent(broker, right.body(broker))
    assert exchange.breaches == ()
    assert exchange.response.status == 200
    assert exchange.credentials == broker.credentials


def test_a_profile_may_require_the_client_id():
    broker = mounted(Broker(profile=profile_with(client_id_required=True)))
    exchange = sent(broker, form_of(signed(claims_for(broker), broker.credentials)))
    assert "which profile signed requires" in exchange.breaches[0].hints[0]


@pytest.mark.parametrize("seconds", [2, -20])
def test_little_room_for_a_clock_is_advice_and_not_refused(seconds):
    broker = mounted(Broker(profile=profile_with(), clock=Stopped()))
    claims = claims_for(broker) | {"exp": claims_for(broker)["iat"] + seconds}
    exchange = sent(broker, form_of(signed(claims, broker.credentials)))
    assert [breach.clause_id for breach in exchange.breaches] == ["assertion.clock"]
    assert exchange.response.status == 200


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_broker_makes_a_key_for_the_first_algorithm_of_the_profile(algorithm):
    broker = mounted(Broker(profile=profile_with(algorithms=(algorithm,))))
    assertion = signed(claims_for(broker), broker.credentials, algorithm)
    assert sent(broker, form_of(assertion)).breaches == ()


def test_an_assertion_in_a_header_the_query_or_json_has_its_hint():
    broker = mounted(Broker(profile=profile_with()))
    request = request_with(broker, b"grant_type=client_credentials")
    fields = [*request.headers, ("Authorization", "Basic eDp5")]
    header = dataclasses.replace(request, headers=type(request.headers)(tuple(fields)))
    query = dataclasses.replace(request, target=f"{request.target}?client_assertion=a.b.c")
    as_json = dataclasses.replace(request, body=b'{"client_assertion": "a.b.c"}')
    hints = []
    for each in (header, query, as_json):
        broker.handle(each, ORIGIN)
        hints += [hint for breach in broker.journal[-1].breaches for hint in breach.hints]
    said = "\n".join(hints)
    assert "an Authorization header was sent (client_secret_basic)" in said
    assert "client_assertion is in the query of the URL" in said
    assert "send the parameters as a form" in said


def test_other_credentials_beside_an_assertion_are_a_breach():
    broker = mounted(Broker(profile=profile_with()))
    request = request_with(broker, form_of(signed(claims_for(broker), broker.credentials)))
    fields = (*request.headers, ("Authorization", "Basic eDp5"))
    changed = dataclasses.replace(
        request,
        headers=type(request.headers)(fields),
        target=f"{request.target}?client_assertion=a",
    )
    broker.handle(changed, ORIGIN)
    [breach] = broker.journal[-1].breaches
    assert breach.clause_id == "assertion.only"
    assert "an Authorization header and the assertion in the URL" in breach.what
    assert broker.journal[-1].response.status == 400


def test_a_broker_reached_by_another_name_accepts_that_name_as_audience():
    broker = mounted(Broker(profile=profile_with()))
    claims = claims_for(broker) | {"aud": "http://auth:8080/token"}
    request = request_with(broker, form_of(signed(claims, broker.credentials)))
    fields = (*request.headers, ("Host", "auth:8080"))
    broker.handle(dataclasses.replace(request, headers=type(request.headers)(fields)), ORIGIN)
    assert broker.journal[-1].breaches == ()


def test_an_assertion_is_accepted_once(new_url):
    url = new_url()
    first = mounted(Broker(profile=profile_with(), state=url))
    # Another process with the same state; in memory there is only one.
    second = mounted(Broker(profile=profile_with(), state=url)) if url else first
    assert second.credentials.private_key == first.credentials.private_key
    body = form_of(signed(claims_for(first), first.credentials))
    assert sent(first, body).breaches == ()
    assert [b.clause_id for b in sent(second, body).breaches] == ["assertion.jti"]
    first.reset()
    assert sent(second, body).breaches == ()


def test_only_the_latest_uses_are_remembered(new_url, monkeypatch):
    monkeypatch.setattr("mockbroker.broker.used_assertions.REMEMBERED", 2)
    monkeypatch.setattr("mockbroker.redis_state.used_assertions.REMEMBERED", 2)
    broker = mounted(Broker(profile=profile_with(), state=new_url()))
    bodies = [form_of(signed(claims_for(broker), broker.credentials)) for _ in range(3)]
    assert [len(sent(broker, body).breaches) for body in bodies] == [0, 0, 0]
    assert [len(sent(broker, body).breaches) for body in (bodies[2], bodies[0])] == [1, 0]


def test_a_signature_that_does_not_verify_uses_up_no_jti():
    broker = mounted(Broker(profile=profile_with()))
    claims = claims_for(broker)
    stranger = with_new_key(broker.credentials, "ES256", number=9)
    sent(broker, form_of(signed(claims, stranger)))
    assert sent(broker, form_of(signed(claims, broker.credentials))).breaches == ()


def test_a_client_registers_several_keys_and_drops_the_old_one():
    broker = mounted(Broker(profile=profile_with()))
    old = broker.credentials
    new = with_new_key(old, "ES256", number=7)
    both = {"keys": [json.loads(each.public_keys)["keys"][0] for each in (old, new)]}
    broker.register(old.client_id, public_keys=json.dumps(both))
    for each in (old, new):
        assert sent(broker, form_of(signed(claims_for(broker), each))).breaches == ()
    broker.register(old.client_id, public_keys=new.public_keys)
    refused = sent(broker, form_of(signed(claims_for(broker), old)))
    assert [breach.clause_id for breach in refused.breaches] == ["assertion.signature"]


def test_the_key_comes_with_the_profile_and_a_given_key_stays():
    broker = mounted(Broker())
    assert broker.credentials.private_key == ""
    broker.profile = profile_with()
    assert sent(broker, form_of(signed(claims_for(broker), broker.credentials))).breaches == ()
    own = with_new_key(Credentials("shop", ""), "ES256", number=2)
    given = Credentials("shop", "", public_keys=own.public_keys)
    broker = mounted(Broker(profile=profile_with(), credentials=given))
    assert broker.credentials.private_key == ""
    assert sent(broker, form_of(signed(claims_for(broker), own))).breaches == ()


def key_forms() -> dict[str, str]:
    """One key as PEM of each kind, as a JWK and as a set."""
    client = with_new_key(Credentials("shop", ""), "ES256")
    key = load_pem_private_key(client.private_key.encode(), None)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "a private key": client.private_key,
        "a public key": public.decode(),
        "a set": client.public_keys,
        "a JWK": json.dumps(json.loads(client.public_keys)["keys"][0]),
    }


@pytest.mark.parametrize("form", key_forms())
def test_keys_are_read_from_every_usual_form(form):
    keys = public_keys_in(key_forms()[form], "named")
    assert [key.kind for key in keys] == ["ES256"]
    assert keys[0].key_id


def test_a_certificate_has_a_key():
    certificate = CA().cert_pem.bytes().decode()
    expected = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    [found] = public_keys_in(certificate)
    assert found.key == expected


def encrypted_key() -> str:
    key = load_pem_private_key(key_forms()["a private key"].encode(), None)
    how = BestAvailableEncryption(b"passphrase")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()


def other_curve() -> str:
    key = ec.generate_private_key(ec.SECP521R1()).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


BAD_KEYS = {
    "a word": ("something", "neither a JWK Set nor PEM"),
    "a cut file": ("-----BEGIN PUBLIC KEY-----\nMFkw", "not valid PEM"),
    "a passphrase": (encrypted_key(), "encrypted"),
    "invalid JSON": ('{"keys": [', "not valid JSON"),
    "no list": ('{"keys": 5}', "not a list of objects"),
    "an empty set": ('{"keys": []}', "has no key"),
    "a shared key": ('{"keys": [{"kty": "oct", "k": "c2Vj"}]}', "another kty"),
    "a broken key": (
        '{"kty": "EC", "kid": "a", "crv": "P-256", "x": "a"}',
        "'a' is not a valid EC",
    ),
    "another curve": (other_curve(), "expected RSA, P-256 or P-384"),
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_key_that_cannot_be_used_is_named_in_a_sentence_without_the_key(name):
    text, words = BAD_KEYS[name]
    with pytest.raises(ValueError, match="public_keys of client 'shop'") as error:
        Broker().register("shop", public_keys=text)
    assert words in str(error.value)
    assert "MFkw" not in str(error.value)
    assert "c2Vj" not in str(error.value)


def test_neither_keys_nor_assertions_are_printed():
    broker = mounted(Broker(profile=profile_with()))
    key = broker.credentials.private_key
    assertion = signed(claims_for(broker), broker.credentials)
    sent(broker, form_of(assertion) + b"&x=" + key.encode())
    with pytest.raises(AssertionError) as error:
        broker.assert_conforms(Level.SHOULD)
    said = f"{broker.journal!r} {error.value} {broker.credentials!r}"
    line = key.splitlines()[1]
    assert assertion not in said
    assert line not in said
    assert line not in broker.masked(f"the key is {key}")
    assert line not in broker.masked(json.dumps(key))


def test_explain_reads_an_assertion_and_prints_none():
    broker = mounted(Broker(profile=profile_with()))
    late = claims_for(broker) | {"exp": claims_for(broker)["iat"] + 4000}
    body = form_of(signed(late, broker.credentials)).decode()
    text = (
        "POST /token HTTP/1.1\r\nHost: broker\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}"
    )
    found = explain(text.encode(), profile_with())
    said = "\n".join(found.lines())
    assert "the longest life here is 300 s" in said
    assert "eyJ" not in said


def test_rules_come_from_a_file(tmp_path):
    path = tmp_path / "profiles.toml"
    path.write_text(
        '[profiles.a]\nclient_authentication = "private_key_jwt"\n'
        '[profiles.a.assertion]\nalgorithms = ["RS384"]\naudience = "issuer"\n'
    )
    rules = load_profiles(path)["a"].assertion
    assert (rules.algorithms, rules.audience, rules.longest_life_seconds) == (
        ("RS384",),
        "issuer",
        300,
    )
    path.write_text('[profiles.a.assertion]\nalgorithms = ["HS256"]\n')
    with pytest.raises(ConfigError, match=r"profiles\.a\.assertion\.algorithms.*RS256"):
        load_profiles(path)
    with pytest.raises(ValueError, match="longest_life_seconds"):
        AssertionRules(longest_life_seconds=-1)
    with pytest.raises(ValueError, match="client_assertion"):
        Profile(name="a", parameters={"client_assertion": "x"})


def test_a_broker_without_assertions_loads_no_cryptography():
    code = "import mockbroker, sys; mockbroker.Broker(); print('jwt' in sys.modules)"
    # The code is this test's own.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - see above
    assert done.stdout == "False\n"


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "RS256"])
def test_a_leaked_key_is_found_as_pem_and_as_jwk_and_its_public_half_is_no_leak(algorithm):
    client = with_new_key(Credentials("shop", "s3cret-of-shop"), algorithm)
    made = jwt.algorithms.get_default_algorithms()[algorithm]
    key = load_pem_private_key(client.private_key.encode(), None)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    leaks = [client.private_key, json.dumps(made.to_jwk(key, as_dict=True))]
    forms = secret_forms(client)
    assert [any(form in text for form in forms) for text in leaks] == [True, True]
    harmless = [public.decode(), client.public_keys, client.key_id]
    assert [any(form in text for form in forms) for text in harmless] == [False] * 3


@pytest.fixture
def signed_toml(tmp_path):
    path = tmp_path / "signed.toml"
    path.write_text(
        '[profiles.signed]\nclient_authentication = "private_key_jwt"\n'
        '[profiles.signed.assertion]\nalgorithms = ["ES256"]\n'
    )
    return path


def test_serve_writes_the_key_into_a_file_and_prints_its_id(signed_toml, tmp_path):
    settings = serve_settings(signed_toml, "signed", key_out=tmp_path / "key.pem")
    broker = mounted(make_broker(settings))
    with published(settings, broker):
        assert (tmp_path / "key.pem").read_text() == broker.credentials.private_key
        assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "key.pem").exists()
    shown = banner(broker)
    assert f"key id         {broker.credentials.key_id}" in shown
    assert "audience       http://broker/auth-broker/request-token" in shown
    assert "client_secret" not in shown
    assert "PRIVATE" not in shown
    variables = app_environment(broker, ())
    assert variables["KEY_ID"] == broker.credentials.key_id
    assert "PRIVATE" not in repr(variables)


def test_serve_takes_the_keys_of_a_file(signed_toml, tmp_path):
    own = with_new_key(Credentials("shop", ""), "ES256", number=7)
    (tmp_path / "keys.json").write_text(own.public_keys)
    settings = serve_settings(signed_toml, "signed", client_key=tmp_path / "keys.json")
    broker = mounted(make_broker(settings))
    assert sent(broker, form_of(signed(claims_for(broker), own))).breaches == ()
    assert "key id" not in banner(broker)
    keyed = dataclasses.replace(settings, key_out=tmp_path / "key.pem")
    with pytest.raises(click.ClickException, match="has made no key"), published(keyed, broker):
        pass


ODD = [
    None,
    True,
    0,
    -1,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "\ud800",
    "x" * 5000,
    [],
    {},
    [[1]],
]


@pytest.mark.parametrize("name", ["alg", "kid", "iss", "sub", "aud", "exp", "iat", "nbf", "jti"])
def test_odd_values_are_refused_and_never_an_error(name):
    broker = mounted(Broker(profile=profile_with(), clock=Stopped()))
    for odd in ODD:
        header = {"alg": "ES256", "kid": broker.credentials.key_id}
        claims = claims_for(broker)
        (header if name in {"alg", "kid"} else claims)[name] = odd
        right = signed(claims, broker.credentials)
        assertion = right
        if name in {"alg", "kid"}:
            assertion = f"{encoded(header)}.{right.partition('.')[2]}"
        exchange = sent(broker, form_of(assertion))
        # What begins may be missing or long past, and any string is a jti.
        is_right = (name in {"iat", "nbf"} and repr(odd) in {"None", "0", "-1"}) or (
            name == "jti" and isinstance(odd, str) and odd != ""
        )
        assert (exchange.response.status == 200) == is_right, ascii(odd)


def test_a_profile_may_accept_a_secret_as_well():
    either = dataclasses.replace(profile_with(), client_authentication=("basic", "private_key_jwt"))
    broker = mounted(Broker(profile=either, credentials=Credentials("shop", "s3cret")))
    assert sent(broker, form_of(signed(claims_for(broker), broker.credentials))).breaches == ()
    request = request_with(broker, b"grant_type=client_credentials")
    fields = (*request.headers, ("Authorization", "Basic c2hvcDpzM2NyZXQ="))
    broker.handle(dataclasses.replace(request, headers=type(request.headers)(fields)), ORIGIN)
    assert broker.journal[-1].breaches == ()


def test_explain_cannot_say_how_long_an_assertion_without_iat_lives():
    broker = mounted(Broker(profile=profile_with()))
    claims = claims_for(broker)
    claims = {name: value for name, value in claims.items() if name != "iat"} | {"exp": 9e9}
    body = form_of(signed(claims, broker.credentials)).decode()
    head = "POST /token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded"
    assert explain(f"{head}\r\n\r\n{body}".encode(), profile_with()).breaches == ()


@pytest.mark.parametrize("body", ["form", "json"])
def test_the_printed_command_takes_an_assertion_from_a_variable_of_the_shell(body):
    profile = dataclasses.replace(
        profile_with(), body=body, parameters={"audience": "$HOME of 'cars'"}
    )
    with Broker(profile=profile).running() as broker:
        command = setup_of(broker).curl
        done = subprocess.run(  # noqa: S603 - the command that a user would paste
            ["/bin/sh", "-c", f"{command} -s"],
            env={**os.environ, "ASSERTION": signed(claims_for(broker), broker.credentials)},
            capture_output=True,
            check=True,
        )
        assert "access_token" in json.loads(done.stdout), broker.journal[-1].breaches
        assert broker.journal[-1].breaches == ()
