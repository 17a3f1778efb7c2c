"""What a request shows of how a client authenticates, whatever its profile asks for."""

from __future__ import annotations

import base64

import pytest

from mockbroker import Credentials
from mockbroker.model.messages import Headers, Request
from mockbroker_contract.harness.conventions import basic_encoding_of, client_authentication_of

PAIR = Credentials("a shop", "s3cr%t")


def request(pair=None, body=b"", certificate=None):
    encoded = [] if pair is None else [f"Basic {base64.b64encode(pair.encode()).decode()}"]
    headers = Headers.of(("Authorization", value) for value in encoded)
    return Request("POST", "/token", headers, body, certificate=certificate)


@pytest.mark.parametrize(
    ("sent", "method"),
    [
        (request("a:b"), "basic"),
        (request(body=b"client_secret=x"), "post"),
        (request("a:b", b"client_secret=x"), "both"),
        (request(body=b"client_assertion=x"), "private_key_jwt"),
        (request(certificate=b"DER"), "tls_client_auth"),
        (request(), ""),
    ],
)
def test_the_place_of_the_credentials_names_the_method(sent, method):
    assert client_authentication_of(sent) == method


@pytest.mark.parametrize(
    ("pair", "encoding"),
    [
        ("a shop:s3cr%t", "raw"),
        ("a+shop:s3cr%25t", "form"),
        ("a%20shop:s3cr%25t", "percent"),
        ("other:pair", ""),
    ],
)
def test_the_encoding_is_seen_in_the_decoded_pair(pair, encoding):
    assert basic_encoding_of(request(pair), PAIR) == encoding


def test_what_is_not_standard_base64_shows_no_encoding():
    damaged = Request("POST", "/token", Headers.of([("Authorization", "Basic ?")]), b"")
    assert basic_encoding_of(damaged, PAIR) == ""
