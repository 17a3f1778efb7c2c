"""A method of client authentication reads back what it makes."""

from __future__ import annotations

import base64
import json
import shlex
from urllib.parse import urlencode

import pytest

from mockbroker import Broker, Credentials, Profile
from mockbroker.cli.explain import read_pasted
from mockbroker.contract.authentication import METHODS, ClientCertificateMethod, PrivateKeyJwt
from mockbroker.contract.authentication.certificate import SelfSignedTlsClientAuth, TlsClientAuth
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.model.messages import Headers, Request
from mockbroker.model.profile_parts import ParameterNames
from mockbroker.model.token_request import TokenRequest

# An assertion is signed for one broker and one moment: tests/broker/test_assertions.py has them. A
# certificate is that of a connection: tests/broker/test_client_certificates.py.
WITHOUT_SECRET = (PrivateKeyJwt, ClientCertificateMethod)
WITH_SECRET = [method for method in METHODS if not isinstance(method, WITHOUT_SECRET)]
PAIR = Credentials("shop 1", "a:b%c+d&ö")
OTHER = Credentials("shop 1", "another")
FORM = "application/x-www-form-urlencoded"


def sent(method, credentials):
    """A token request with these credentials, as the method sends them."""
    fields = {"Content-Type": FORM, **method.headers(credentials)}
    parameters = {"grant_type": "client_credentials", **method.parameters(credentials)}
    body = urlencode(parameters).encode()
    target = f"/t?{urlencode(method.url_parameters(credentials))}".rstrip("?")
    return TokenRequest.of(Request("POST", target, Headers.of(fields.items()), body))


def by_curl(method, credentials):
    """The same as a curl command sends it, as `serve` shows one."""
    options = ("-d", "grant_type=client_credentials", *method.curl_options(credentials))
    url = f"http://b/t?{urlencode(method.url_parameters(credentials))}".rstrip("?")
    return TokenRequest.of(read_pasted((shlex.join(["curl", *options, url])).encode()).request)


@pytest.mark.parametrize("method", WITH_SECRET, ids=lambda method: type(method).__name__)
@pytest.mark.parametrize("make", [sent, by_curl])
def test_a_method_reads_back_what_it_makes(method, make):
    request = make(method, PAIR)
    assert method.is_used_in(request)
    assert method.presents(request, PAIR)
    # A public client has no secret that could be read back, or be wrong.
    is_public = method.name == "none"
    assert method.presents(request, OTHER) is is_public
    assert is_public or method.claimed(request) == PAIR
    assert method.claimed(request).client_id == PAIR.client_id


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_a_request_without_credentials_claims_none(method):
    request = TokenRequest.of(Request("POST", "/t", Headers.of([("Content-Type", FORM)]), b"a=1"))
    assert not method.is_used_in(request)
    assert not method.presents(request, PAIR)
    assert method.claimed(request) is None
    assert method.client_ids_in(request) == frozenset()


def test_an_example_of_an_assertion_has_a_placeholder_for_it():
    request = sent(PrivateKeyJwt(), PAIR)
    assert PrivateKeyJwt().is_used_in(request)
    assert request.values("client_assertion") == ("${ASSERTION}",)
    assert by_curl(PrivateKeyJwt(), PAIR).body == request.body


@pytest.mark.parametrize("method", [TlsClientAuth(), SelfSignedTlsClientAuth()])
def test_an_example_with_a_certificate_names_its_files(method):
    client = Credentials("shop 1", "", certificate_file="a b.pem", key_file="a.key")
    assert sent(method, client).values("client_id") == ("shop 1",)
    assert by_curl(method, client).body == sent(method, client).body
    assert method.curl_options(client)[:4] == ("--cert", "a b.pem", "--key", "a.key")
    assert method.curl_options(PAIR)[:4] == ("--cert", "client.pem", "--key", "client.key")


HEADERS = Profile(
    name="acme",
    client_authentication="header",
    parameter_names=ParameterNames(client_id="X-Id", client_secret="X-Secret"),
)


@pytest.mark.parametrize(
    ("fields", "body", "words"),
    [
        ({}, "", "no credentials were sent; send X-Id and X-Secret in header fields"),
        ({"X-Secret": "s"}, "", "the request has X-Secret but no X-Id"),
        ({"X-Id": "shop", "X-Secret": "wrong"}, "", "with another secret"),
        ({}, "client_secret=s", "the credentials are in the body; send X-Id and X-Secret in"),
        ({"Authorization": "Basic c2hvcDpz"}, "", "are in the Authorization header"),
        ({"X-Id": "shop", "X-Secret": "s"}, "client_secret=s", "the credentials are sent twice"),
    ],
)
def test_a_mistake_with_credentials_in_header_fields_is_named(fields, body, words):
    broker = Broker(profile=HEADERS, credentials=Credentials("shop", "s"))
    request = Request(
        "POST",
        HEADERS.token_path,
        Headers.of({"Content-Type": FORM, **fields}.items()),
        f"grant_type=client_credentials&{body}".encode(),
    )
    answer = broker.handle(request, "http://broker").response
    assert answer.status >= 400
    assert words in json.loads(answer.body)["hint"]


TWICE = Profile(name="twice", basic_encoding="base64")
PLAIN = "Basic " + base64.b64encode(b"shop:s3cr:et").decode()
OTHER_SECRET = "Basic " + base64.b64encode(b"c2hvcA==:b3RoZXI=").decode()


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (PLAIN, "each of them encoded to Base64 first, and the pair encoded again"),
        (OTHER_SECRET, "with another secret"),
    ],
)
def test_a_pair_that_is_not_in_base64_twice_is_named(field, words):
    broker = Broker(profile=TWICE, credentials=Credentials("shop", "s3cr:et"))
    fields = [("Content-Type", FORM), ("Authorization", field)]
    body = b"grant_type=client_credentials"
    request = Request("POST", TWICE.token_path, Headers.of(fields), body)
    answer = broker.handle(request, "http://broker").response
    assert answer.status == 401
    assert words in json.loads(answer.body)["hint"]
    [clause] = [each for each in CATALOGUE if each.id == "basic.credentials"]
    assert "each encoded to Base64 first" in clause.for_profile(TWICE).title
