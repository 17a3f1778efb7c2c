"""The same request, byte by byte, is judged by what a test has changed since it came first.

The broker remembers how it judged a request. Each change must be seen by the very next one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from mockbroker import Broker, Credentials, Fault, Profile
from mockbroker.broker import judgements
from mockbroker.broker.client_keys import with_new_key
from mockbroker.model.assertion_rules import AssertionRules
from mockbroker.model.certificate_rules import CERTIFICATE_METHODS
from mockbroker.model.messages import Headers, Request
from mockbroker.model.token_request import TokenRequest
from tests.broker.client_certificates import der_of, own_certificate
from tests.broker.stores import BOTH
from tests.broker.wires import connect, read_answer, token_request
from tests.broker.wrong_assertions import claims_for, form_of, request_with, signed

STORES = BOTH
ORIGIN = "http://broker"
_, SELF_SIGNED = CERTIFICATE_METHODS


@contextmanager
def sending(broker: Broker) -> Iterator[Callable[[], int]]:
    """What sends the same bytes on one connection and returns the status."""
    sent = token_request(broker, body=b"grant_type=client_credentials")
    with connect(broker) as sock:

        def send() -> int:
            sock.sendall(sent)
            return int(read_answer(sock).split()[1])

        assert [send(), send()] == [200, 200]
        assert broker.journal[-1].breaches == ()
        yield send


@pytest.fixture
def send(broker: Broker) -> Iterator[Callable[[], int]]:
    with sending(broker) as send:
        yield send


def breached(broker: Broker) -> set[str]:
    return {breach.clause_id for breach in broker.journal[-1].breaches}


def test_a_removed_client_is_unknown_at_once(broker, send):
    broker.register("other", "0ther")
    broker.remove("shop")
    assert (send(), breached(broker)) == (401, {"basic.credentials"})
    assert broker.journal[-1].credentials is None
    broker.register("shop", "s3cr:et")
    assert (send(), breached(broker)) == (200, set())


def test_a_rotated_secret_counts_at_once(broker, send):
    broker.register("shop", "an0ther")
    assert (send(), breached(broker)) == (401, {"basic.credentials"})


def test_a_secret_rotated_by_the_control_api_counts_at_once(broker, send):
    url = f"{broker.control_url}/clients/shop/secret"
    assert requests.put(url, json={"client_secret": "an0ther"}, timeout=20).ok
    assert (send(), breached(broker)) == (401, {"basic.credentials"})


def test_a_profile_set_by_the_control_api_counts_at_once():
    # In memory only: the brokers of a shared state keep the profile that they began with.
    with (
        Broker(credentials=Credentials("shop", "s3cr:et")).running() as broker,
        sending(broker) as send,
    ):
        url = f"{broker.control_url}/settings"
        assert requests.patch(url, json={"profile": "rfc6749"}, timeout=20).ok
        assert send() == 404
        assert requests.patch(url, json={"profile": "autograb"}, timeout=20).ok
        assert (send(), breached(broker)) == (200, set())


def test_a_profile_that_differs_in_one_field_counts_at_once(broker, send):
    broker.profile = dataclasses.replace(broker.profile, parameters={"audience": "api"})
    assert (send(), breached(broker)) == (400, {"request.parameters"})


def test_a_reset_counts_at_once(broker, send):
    broker.register("shop", "an0ther")
    assert send() == 401
    broker.reset()
    assert (send(), breached(broker)) == (200, set())


def test_strictness_faults_and_lifetime_count_at_once(broker, send):
    broker.register("shop", "an0ther")
    broker.strict = False
    assert (send(), breached(broker)) == (200, {"basic.credentials"})
    broker.script(Fault.status(503))
    assert (send(), breached(broker)) == (503, {"basic.credentials"})
    broker.expires_in = 7
    assert send() == 200
    assert broker.tokens[-1].expires_in == 7


def test_the_scope_counts_at_once(broker, send):
    broker.profile = dataclasses.replace(broker.profile, scope_required=True, example_scope="a")
    assert (send(), breached(broker)) == (400, {"request.scope"})


def test_the_settings_of_scope_count_at_once(new_broker):
    with new_broker(credentials=None).running() as broker:
        client = broker.credentials
        data = {"grant_type": "client_credentials", "scope": "a"}

        def send() -> int:
            auth = (client.client_id, client.client_secret)
            return requests.post(broker.token_url, data=data, auth=auth, timeout=20).status_code

        assert (send(), breached(broker)) == (200, {"request.no-extra-parameters"})
        broker.scope = "a"
        assert (send(), breached(broker)) == (200, set())
        broker.scope = "b"
        assert (send(), breached(broker)) == (400, {"request.scope"})


def test_a_new_secret_is_masked_at_once(broker):
    assert broker.masked("it is an0ther-secret") == "it is an0ther-secret"
    broker.register("other", "an0ther-secret")
    assert broker.masked("it is an0ther-secret") == "it is <secret>"


def test_a_token_that_a_test_chose_is_masked_at_once(broker, send):
    assert broker.masked("it is a-chosen-token") == "it is a-chosen-token"
    broker.token_values = lambda: "a-chosen-token"
    assert send() == 200
    assert broker.masked("it is a-chosen-token") == "it is <token>"


def profile_of_assertions() -> Profile:
    rules = AssertionRules(algorithms=("ES256",), jti_required=False)
    method = "private_key_jwt"
    return Profile(
        name="signed", token_path="/token", client_authentication=method, assertion=rules
    )


def test_an_assertion_expires_and_its_key_may_be_replaced(new_broker):
    broker = new_broker(profile=profile_of_assertions())
    broker.mounted_at(ORIGIN, "")
    claims = claims_for(broker)
    del claims["jti"]  # or it would be accepted only once
    request = request_with(broker, form_of(signed(claims, broker.credentials)))

    def breaches() -> set[str]:
        broker.handle(request, ORIGIN)
        return breached(broker)

    assert [breaches(), breaches()] == [set(), set()]
    client = broker.credentials
    other = with_new_key(client, "ES256", number=9)
    # Credentials that differ in their keys only are equal.
    keys = {"public_keys": other.public_keys, "key_id": other.key_id}
    assert broker.register(client.client_id, client.client_secret, **keys) == client
    assert breaches() == {"assertion.signature"}
    keys = {"public_keys": client.public_keys, "key_id": client.key_id}
    broker.register(client.client_id, client.client_secret, **keys)
    assert breaches() == set()
    broker.clock.advance(120)
    assert breaches() == {"assertion.lifetime"}


def test_a_client_and_its_certificate_may_change_at_once(new_broker):
    broker = new_broker(profile=Profile(name="mtls", client_authentication=SELF_SIGNED))
    broker.mounted_at(ORIGIN, "")
    client, other = broker.credentials, own_certificate("other")
    fields = Headers((("Content-Type", "application/x-www-form-urlencoded"),))
    body = f"grant_type=client_credentials&client_id={client.client_id}".encode()

    def status(der: bytes) -> int:
        # The certificate is that of the connection: the bytes of the request are the same.
        path = broker.profile.token_path
        request = Request("POST", path, fields, body, certificate=der)
        return broker.handle(request, ORIGIN).response.status

    own = der_of(client.certificate)
    assert [status(own), status(other.der), status(own)] == [200, 401, 200]
    # Credentials that differ in their certificate only are equal.
    secret = client.client_secret
    assert broker.register(client.client_id, secret, certificate=other.pem) == client
    assert [status(own), status(other.der)] == [401, 200]


def test_only_the_latest_short_requests_are_remembered(broker, monkeypatch):
    read: list[bytes] = []
    monkeypatch.setattr(TokenRequest, "of", counted(TokenRequest.of, read))
    form = "grant_type=client_credentials&x="

    def send(value: str) -> None:
        requests.post(broker.token_url, data=form + value, timeout=20)

    for _ in range(2):
        send("a")
    assert len(read) == 1
    for number in range(judgements.REMEMBERED_COUNT):
        send(f"{number}")
    send("a")
    assert len(read) == judgements.REMEMBERED_COUNT + 2
    read.clear()
    for _ in range(2):
        send("a" * judgements.REMEMBERED_CHARACTERS)
    assert len(read) == 2


def counted(of: Callable[..., TokenRequest], read: list[bytes]) -> Callable[..., TokenRequest]:
    """What takes a request apart and notes its body."""

    def noting(message: Request, profile: Profile) -> TokenRequest:
        read.append(message.body)
        return of(message, profile)

    return noting
