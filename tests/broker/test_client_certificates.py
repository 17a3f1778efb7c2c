"""A broker recognizes clients by the certificate of their connection, and binds tokens to it."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import ssl
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue

import click
import jwt
import pytest
import requests

from mockbroker import Broker, Credentials, Profile, Server, throw_away_certificate
from mockbroker.broker.client_keys import with_new_key
from mockbroker.broker.profiles import load_profiles
from mockbroker.cli.console import banner
from mockbroker.cli.explain import explain
from mockbroker.cli.further_issuers import make_issuers
from mockbroker.cli.made_broker import make_broker
from mockbroker.cli.observed_app import app_environment
from mockbroker.cli.published_files import published
from mockbroker.cli.serve import listening
from mockbroker.contract import clauses
from mockbroker.contract.authentication.client_certificate import thumbprint_of
from mockbroker.model.certificate_rules import CERTIFICATE_METHODS, CertificateRules
from mockbroker.model.messages import Headers, Request
from mockbroker.model.metadata import Metadata
from tests.broker.client_certificates import der_of, own_certificate
from tests.broker.serving import serve_settings
from tests.broker.stores import BOTH

STORES = BOTH
ORIGIN = "https://broker"
ISSUED, SELF_SIGNED = CERTIFICATE_METHODS


def profile_with(method=ISSUED, **changes):
    return Profile(**{"name": "mtls", "client_authentication": method, **changes})


def mounted(broker: Broker) -> Broker:
    broker.mounted_at(ORIGIN, "")
    return broker


def token_request(broker: Broker, der, body: str | None = None, *headers) -> Request:
    fields = (("Content-Type", "application/x-www-form-urlencoded"), *headers)
    client_id = broker.credentials.client_id
    form = f"grant_type=client_credentials&client_id={client_id}" if body is None else body
    path = broker.profile.token_path
    return Request("POST", path, Headers(fields), form.encode(), certificate=der)


def sent(broker: Broker, der, body: str | None = None, *headers):
    """The exchange for a token request over a connection with that certificate."""
    broker.handle(token_request(broker, der, body, *headers), ORIGIN)
    return broker.journal[-1]


def called(broker: Broker, token, der):
    """The exchange for a call of the API over a connection with that certificate."""
    fields = Headers((("Authorization", f"Bearer {token.value}"),))
    broker.handle(Request("GET", "/v2/vehicle/1", fields, certificate=der), ORIGIN)
    return broker.journal[-1]


def ids_and_hints(exchange):
    ids = [breach.clause_id for breach in exchange.breaches]
    return ids, "\n".join(hint for breach in exchange.breaches for hint in breach.hints)


@pytest.mark.parametrize("method", CERTIFICATE_METHODS)
def test_the_certificate_that_the_broker_made_gets_a_token(method):
    broker = mounted(Broker(profile=profile_with(method)))
    exchange = sent(broker, der_of(broker.credentials.certificate))
    assert exchange.breaches == ()
    assert exchange.response.status == 200
    assert exchange.credentials == broker.credentials


def form(**parameters):
    return "&".join(f"{name}={value}" for name, value in parameters.items())


SHOP = form(grant_type="client_credentials", client_id="shop")
STRANGE = own_certificate("strange")
RENEWED = own_certificate("shop")

WRONG = {
    "none": (b"", SHOP, "certificate.presented", "no client certificate was presented"),
    "a secret in its place": (
        b"",
        SHOP + "&client_secret=s3cr3t-of-the-shop",
        "certificate.presented",
        "it has a secret in its place",
    ),
    "another client's": (
        STRANGE.der,
        SHOP,
        "certificate.presented",
        "that of CN=strange, and the client's is that of CN=shop",
    ),
    "a renewed one": (
        RENEWED.der,
        SHOP,
        "certificate.presented",
        "another certificate of CN=shop is registered: after a renewal",
    ),
    "one of an unknown client": (
        STRANGE.der,
        form(grant_type="client_credentials", client_id="other"),
        "certificate.presented",
        "register the certificate of CN=strange",
    ),
    "one of a client without": (
        STRANGE.der,
        form(grant_type="client_credentials", client_id="plain"),
        "certificate.presented",
        "has no registered certificate",
    ),
    "no client_id": (
        None,
        "grant_type=client_credentials",
        "certificate.client-id",
        "no client_id",
    ),
    "two client_ids": (
        None,
        SHOP + "&client_id=shop",
        "certificate.client-id",
        "client_id 2 times",
    ),
    "the id of another": (
        None,
        form(grant_type="client_credentials", client_id="plain"),
        "certificate.client-id",
        "that of client shop, and client_id is plain",
    ),
    "a secret beside it": (
        None,
        SHOP + "&client_secret=s3cr3t-of-the-shop",
        "certificate.only",
        "sent twice; send them by the certificate",
    ),
    "an assertion beside it": (
        None,
        SHOP + "&client_assertion=a.b.c",
        "certificate.only",
        "sent twice; send them by the certificate",
    ),
}


@pytest.mark.parametrize("method", CERTIFICATE_METHODS)
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_breaks_one_clause_and_its_hint_names_the_cause(method, name):
    der, body, clause, words = WRONG[name]
    broker = mounted(Broker(profile=profile_with(method), credentials=Credentials("shop", "")))
    # A client with keys of its own gets no certificate.
    keys = with_new_key(Credentials("plain", ""), "ES256").public_keys
    assert broker.register("plain", public_keys=keys).certificate == ""
    own = der_of(broker.credentials.certificate)
    exchange = sent(broker, own if der is None else der, body)
    ids, hints = ids_and_hints(exchange)
    assert ids == [clause]
    assert words in hints
    assert exchange.response.status in {400, 401}
    assert "s3cr3t" not in hints


def test_an_authorization_header_beside_the_certificate_is_refused():
    broker = mounted(Broker(profile=profile_with()))
    der = der_of(broker.credentials.certificate)
    exchange = sent(broker, der, None, ("Authorization", "Basic c2hvcDp4"))
    assert ids_and_hints(exchange)[0] == ["certificate.only"]
    assert exchange.response.status == 400


def test_an_authority_may_renew_a_certificate_by_its_subject():
    authority = own_certificate("Acme CA", is_authority=True)
    other = own_certificate("Other CA", is_authority=True)
    first = own_certificate("shop", issuer=authority)
    broker = mounted(Broker(profile=profile_with()))
    broker.credentials = broker.register("shop", certificate=first.pem + authority.pem)
    assert broker.credentials.private_key == ""
    renewed = own_certificate("shop", issuer=authority)
    assert sent(broker, first.der).breaches == ()
    assert sent(broker, renewed.der).breaches == ()
    for wrong in (
        own_certificate("else", issuer=authority),
        own_certificate("shop", issuer=other),
        own_certificate("shop"),
        # The name of the authority without its key.
        own_certificate("shop", issuer=own_certificate("Acme CA", is_authority=True)),
    ):
        assert ids_and_hints(sent(broker, wrong.der))[0] == ["certificate.presented"]


def test_a_self_signed_certificate_is_not_replaced_by_one_that_it_has_issued():
    own = own_certificate("shop", is_authority=True)
    broker = mounted(Broker(profile=profile_with(SELF_SIGNED)))
    broker.credentials = broker.register("shop", certificate=own.pem)
    issued = own_certificate("shop", issuer=own)
    assert sent(broker, own.der).breaches == ()
    assert ids_and_hints(sent(broker, issued.der))[0] == ["certificate.presented"]


def test_a_client_without_a_subject_is_recognized_by_its_alternative_names():
    authority = own_certificate("Acme CA", is_authority=True)
    names = ("b.shop.example", "a.shop.example")
    first = own_certificate("", issuer=authority, alternative=names)
    broker = mounted(Broker(profile=profile_with()))
    broker.credentials = broker.register("shop", certificate=first.pem + authority.pem)
    renewed = own_certificate("", issuer=authority, alternative=names[::-1])
    assert sent(broker, renewed.der).breaches == ()
    other = own_certificate("", issuer=authority, alternative=("c.shop.example",))
    _, hints = ids_and_hints(sent(broker, other.der))
    assert "is that of <DNSName" not in hints
    assert "is that of c.shop.example, and the client's" in hints


@pytest.mark.parametrize("client_id", ["x" * 65, "", "a\nb", "\ud800", "ключ"])
def test_any_client_id_gets_a_certificate(client_id):
    broker = Broker(profile=profile_with(), credentials=Credentials(client_id, ""))
    assert broker.credentials.certificate.startswith("-----BEGIN CERTIFICATE-----")


def test_another_secret_renews_the_certificate():
    broker = Broker(profile=profile_with(), credentials=Credentials("shop", "a"))
    first = broker.credentials.certificate
    assert broker.register("shop", "a").certificate == first
    assert broker.register("shop", "b").certificate != first


BAD_CERTIFICATES = {
    "a word": ("something", "is not PEM"),
    "a cut file": ("-----BEGIN CERTIFICATE-----\nMFkw", "is malformed"),
    "a key": ("-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----", "is not PEM"),
    "half a surrogate": ("\ud800", "is not PEM"),
}


@pytest.mark.parametrize("name", BAD_CERTIFICATES)
def test_a_certificate_that_cannot_be_read_is_one_sentence(name):
    text, words = BAD_CERTIFICATES[name]
    with pytest.raises(ValueError, match=f"certificate of client 'shop': the certificate {words}"):
        Broker().register("shop", certificate=text)


# Bound tokens


@pytest.mark.parametrize("changes", [{}, {"token_format": "jwt"}], ids=["opaque", "jwt"])
def test_a_token_is_bound_to_the_certificate_of_its_request(new_url, changes):
    url = new_url()
    first = mounted(Broker(profile=profile_with(**changes), state=url))
    # Another process with the same state; in memory there is only one.
    second = mounted(Broker(profile=profile_with(**changes), state=url)) if url else first
    assert second.credentials.certificate_file == first.credentials.certificate_file
    der = der_of(first.credentials.certificate)
    token = sent(first, der).token
    assert token.bound_to == thumbprint_of(der)
    if changes:
        claims = jwt.decode(token.value, options={"verify_signature": False})
        assert claims["cnf"] == {"x5t#S256": thumbprint_of(der)}
    assert called(second, token, der).response.status == 200
    for other, words in ((b"", "without a client certificate"), (STRANGE.der, "with another")):
        exchange = called(second, token, other)
        ids, hints = ids_and_hints(exchange)
        assert ids == ["certificate.api"]
        assert "the token is bound to" in hints
        assert exchange.response.status == 401
        challenge = exchange.response.headers.get("WWW-Authenticate")
        assert 'error="invalid_token"' in challenge
        assert words in json.loads(exchange.response.body)["message"]


def test_a_profile_may_leave_tokens_unbound():
    rules = CertificateRules(bound_tokens=False)
    broker = mounted(Broker(profile=profile_with(certificate=rules)))
    token = sent(broker, der_of(broker.credentials.certificate)).token
    assert token.bound_to == ""
    assert called(broker, token, b"").response.status == 200


def test_a_client_with_a_secret_may_bind_its_tokens():
    broker = mounted(Broker(profile=profile_with(("basic", ISSUED))))
    client = broker.credentials
    basic = requests.auth._basic_auth_str(client.client_id, client.client_secret)
    body = "grant_type=client_credentials"
    plain = sent(broker, b"", body, ("Authorization", basic))
    bound = sent(broker, der_of(client.certificate), body, ("Authorization", basic))
    assert (plain.breaches, bound.breaches) == ((), ())
    assert called(broker, plain.token, b"").response.status == 200
    assert called(broker, bound.token, b"").response.status == 401


def test_the_same_token_is_issued_again_to_the_same_certificate_only(new_url):
    authority = own_certificate("Acme CA", is_authority=True)
    first, second = (own_certificate("shop", issuer=authority) for _ in range(2))
    profile = profile_with(token_policy="same")
    broker = mounted(Broker(profile=profile, state=new_url()))
    broker.credentials = broker.register("shop", certificate=first.pem + authority.pem)
    numbers = [sent(broker, own.der).token.number for own in (first, first, second, second)]
    assert numbers == [1, 1, 2, 2]


def test_a_lenient_broker_answers_a_bound_token_without_its_certificate():
    broker = mounted(Broker(profile=profile_with(), strict=False))
    token = sent(broker, der_of(broker.credentials.certificate)).token
    exchange = called(broker, token, b"")
    assert exchange.response.status == 200
    assert ids_and_hints(exchange)[0] == ["certificate.api"]


# Over TLS


def test_a_client_gets_a_token_and_calls_the_api_over_tls():
    with Broker(profile=profile_with()).running() as broker:
        pair = (broker.credentials.certificate_file, broker.credentials.key_file)
        form = {"grant_type": "client_credentials", "client_id": broker.credentials.client_id}
        kwargs = {"verify": broker.ca_file, "timeout": 5}
        assert broker.token_url.startswith("https://127.0.0.1:")
        assert Path(pair[1]).stat().st_mode & 0o777 == 0o600
        answer = requests.post(broker.token_url, data=form, cert=pair, **kwargs)
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        url = f"{broker.api_url}/vehicle/1"
        assert requests.get(url, headers=headers, cert=pair, **kwargs).status_code == 200
        assert requests.get(url, headers=headers, **kwargs).status_code == 401
        refused = requests.post(broker.token_url, data=form, **kwargs)
        assert refused.status_code == 401
        assert "no client certificate was presented" in refused.json()["hint"]
        # The control API needs no certificate.
        setup = requests.post(broker.control_url + "/setup", json={}, **kwargs).json()
        assert f"--cert {pair[0]} --key {pair[1]}" in setup["curl"]
        assert f"KEY_FILE={pair[1]}" in setup["environment"]


def test_an_unknown_certificate_fails_the_handshake_and_is_logged(tmp_path, caplog):
    own = own_certificate("shop")
    with Broker(profile=profile_with(SELF_SIGNED)).running() as broker:
        form = {"grant_type": "client_credentials", "client_id": "shop"}
        kwargs = {"cert": own.files(tmp_path), "verify": broker.ca_file, "timeout": 5, "data": form}
        # The client sees the alert of TLS, and no reset.
        refused = pytest.raises(requests.exceptions.SSLError, match=r"(?i)unknown.ca")
        with caplog.at_level(logging.WARNING), refused:
            requests.post(broker.token_url, **kwargs)
        broker.register("shop", certificate=own.pem)
        assert requests.post(broker.token_url, **kwargs).status_code == 200
        # TLS accepts it still; the broker does not.
        broker.remove("shop")
        assert requests.post(broker.token_url, **kwargs).status_code == 401
    [record] = caplog.records
    said = record.getMessage()
    assert "the client's certificate is not accepted" in said
    assert "expected one that is registered" in said


def test_a_server_with_a_log_of_its_own_reports_an_unknown_certificate_there(tmp_path, caplog):
    told: SimpleQueue[str] = SimpleQueue()
    broker = Broker(profile=profile_with())
    with Server(tls=throw_away_certificate(tmp_path), on_refused=told.put) as server:
        server.mount(broker)
        cert = own_certificate("shop", days=1).files(tmp_path)
        with pytest.raises(requests.ConnectionError):
            requests.post(broker.token_url, cert=cert, verify=broker.ca_file, timeout=5)
        assert told.get(timeout=5).startswith("the client's certificate is not accepted (")
    assert caplog.records == []


def test_only_a_profile_with_certificates_asks_for_one(tmp_path):
    own = own_certificate("shop")
    with Broker().running(tls=throw_away_certificate(tmp_path)) as broker:
        kwargs = {"cert": own.files(tmp_path), "verify": broker.ca_file, "timeout": 5}
        assert requests.get(broker.api_url, **kwargs).status_code == 401
        broker.profile = profile_with()
        with pytest.raises(requests.ConnectionError):
            requests.get(broker.api_url, **kwargs)
        broker.profile = "autograb"
        assert requests.get(broker.api_url, **kwargs).status_code == 401


def test_a_process_removes_the_files_of_its_clients_at_its_end():
    code = (
        "from mockbroker import Broker, Profile\n"
        "from mockbroker.broker.client_certificates import remove_files\n"
        "remove_files()  # there are none yet\n"
        f"broker = Broker(profile=Profile(name='a', client_authentication={ISSUED!r}))\n"
        "import os\n"
        "if not os.fork():\n"
        "    raise SystemExit\n"
        "os.wait()\n"
        "path = broker.credentials.key_file\n"
        "print(path, os.path.exists(path))\n"
    )
    done = subprocess.run(  # noqa: S603 - the test's own program
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    path, existed = done.stdout.split()
    assert existed == "True"
    assert not Path(path).parent.exists()


def test_a_context_that_demands_certificates_is_left_as_it_is(tmp_path):
    own = own_certificate("shop")
    tls = throw_away_certificate(tmp_path)
    tls.context.verify_mode = ssl.CERT_REQUIRED
    tls.context.load_verify_locations(cadata=own.pem)
    with Broker().running(tls=tls) as broker:
        kwargs = {"verify": broker.ca_file, "timeout": 5}
        assert requests.get(broker.api_url, cert=own.files(tmp_path), **kwargs).status_code == 401
        with pytest.raises(requests.ConnectionError):
            requests.get(broker.api_url, **kwargs)


def test_traffic_shows_which_clauses_on_certificates_are_kept():
    broker = mounted(Broker(profile=profile_with()))
    der = der_of(broker.credentials.certificate)
    chapter = {clause.id for clause in clauses.certificate.CLAUSES}
    called(broker, sent(broker, der).token, der)
    broker.assert_conforms()
    assert chapter.isdisjoint({*broker.observed().breaches, *broker.observed().never_reached})
    other = mounted(Broker(profile=profile_with(), strict=False))
    sent(other, b"")
    assert set(other.observed().breaches) == {"certificate.presented"}
    assert chapter - {"certificate.presented"} <= set(other.observed().never_reached)


def test_brokers_with_the_same_client_and_state_share_its_certificate(new_url):
    url, shop = new_url(), Credentials("shop", "s3cr:et")
    first = mounted(Broker(profile=profile_with(), credentials=shop, state=url))
    second = mounted(Broker(profile=profile_with(), credentials=shop, state=url))
    first.register("shop", "another")
    renewed = first.registered[0].certificate
    third = mounted(Broker(profile=profile_with(), credentials=shop, state=url))
    for broker in (second, third) if url else ():
        assert broker.registered[0].certificate == renewed
    third.reset()
    assert third.credentials.client_secret == "s3cr:et"


# Elsewhere


def test_explain_judges_what_a_pasted_request_shows():
    text = (
        "POST /auth-broker/request-token HTTP/1.1\r\nHost: broker\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type=client_credentials"
    )
    said = "\n".join(explain(text.encode(), profile_with()).lines())
    assert "the body has no client_id" in said
    assert "no client certificate" not in said


def test_rules_come_from_a_file(tmp_path):
    path = tmp_path / "profiles.toml"
    path.write_text(
        f'[profiles.a]\nclient_authentication = "{SELF_SIGNED}"\n'
        "[profiles.a.certificate]\nbound_tokens = false\n"
    )
    profile = load_profiles(path)["a"]
    assert profile.certificate_method == SELF_SIGNED
    assert not profile.certificate.bound_tokens
    with pytest.raises(ValueError, match=re.escape("bound_tokens")):
        CertificateRules(bound_tokens="yes")  # type: ignore[arg-type]


# The command


@pytest.fixture
def mutual_toml(tmp_path):
    path = tmp_path / "mutual.toml"
    path.write_text(f'[profiles.mutual]\nclient_authentication = "{ISSUED}"\n')
    return path


def test_serve_speaks_tls_and_writes_certificate_and_key(mutual_toml, tmp_path):
    settings = serve_settings(
        mutual_toml,
        "mutual",
        cert_out=tmp_path / "client.pem",
        key_out=tmp_path / "client.key",
        ca_out=tmp_path,
    )
    with listening(settings) as (broker, server), server, published(settings, broker):
        client = broker.credentials
        assert (tmp_path / "client.pem").read_text() == client.certificate
        assert (tmp_path / "client.key").read_text() == client.private_key
        assert broker.ca_file == str(tmp_path / "ca.pem")
        said = banner(broker)
        variables = app_environment(broker, ())
        assert variables["CERTIFICATE_FILE"] == client.certificate_file
        assert variables["KEY_FILE"] == client.key_file
        assert f"curl --cacert {broker.ca_file} --cert {client.certificate_file} --key " in said
    assert not (tmp_path / "client.pem").exists()
    assert f"private key    {client.key_file}" in said
    assert "client_secret" not in said
    assert "PRIVATE" not in said
    assert {"KEY_ID", "AUDIENCE"}.isdisjoint(variables)


def test_serve_takes_the_certificate_of_a_file(mutual_toml, tmp_path):
    own = own_certificate("shop")
    (tmp_path / "own.pem").write_text(own.pem)
    settings = serve_settings(mutual_toml, "mutual", client_cert=tmp_path / "own.pem")
    broker = mounted(make_broker(settings))
    assert sent(broker, own.der).breaches == ()
    assert "--cert client.pem --key client.key" in banner(broker)
    for option, words in (("cert_out", "no certificate"), ("key_out", "no key")):
        asked = dataclasses.replace(settings, **{option: tmp_path / "out"})
        with pytest.raises(click.ClickException, match=words), published(asked, broker):
            pass


def test_a_further_issuer_with_certificates_needs_tls(mutual_toml):
    settings = serve_settings(mutual_toml, "rfc6749", issuers=(("/shop", "mutual"),))
    with pytest.raises(click.UsageError, match=r"--issuer /shop: .* needs TLS; add --tls"):
        make_issuers(settings)
    assert set(make_issuers(dataclasses.replace(settings, tls=True))) == {"/shop"}


def test_metadata_names_the_method_and_says_that_tokens_are_bound():
    broker = mounted(Broker(profile=profile_with(metadata=Metadata())))
    path = "/.well-known/oauth-authorization-server"
    members = json.loads(broker.handle(Request("GET", path), ORIGIN).response.body)
    assert members["token_endpoint_auth_methods_supported"] == [ISSUED]
    assert members["tls_client_certificate_bound_access_tokens"] is True
