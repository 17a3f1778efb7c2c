"""Requests that somebody pasted, read and explained."""

from __future__ import annotations

import pytest

from mockbroker import Profile
from mockbroker.cli.explain import explain_text
from mockbroker.cli.pasted_request import UnreadableRequestError, parse_curl, parse_raw
from mockbroker.model.profile import AUTOGRAB

URL = "http://h/request-token"


@pytest.mark.parametrize(
    ("options", "method"),
    [
        ("-F a=b", "POST"),
        ("-I", "HEAD"),
        ("-d ''", "POST"),
        ("--data-raw @name", "POST"),
        ("-G -d a=b", "GET"),
        ("-sSL", "GET"),
        ("-skXPUT", "PUT"),
        ("-sd a=b", "POST"),
        ("-H '-sS: x'", "GET"),
    ],
)
def test_the_method_is_the_one_that_curl_would_choose(options, method):
    assert parse_curl(f"curl {options} {URL}").method == method


def test_a_form_of_parts_is_no_urlencoded_form():
    request = parse_curl(f"curl -F grant_type=client_credentials {URL}")
    assert (request.headers.get("Content-Type") or "").startswith("multipart/form-data")
    assert b'name="grant_type"\r\n\r\nclient_credentials\r\n' in request.body


@pytest.mark.parametrize(
    ("options", "header", "value"),
    [
        ("-u shop:s3cr:et", "Authorization", "Basic c2hvcDpzM2NyOmV0"),
        ("--oauth2-bearer t0ken", "Authorization", "Bearer t0ken"),
        ("-A acme/1", "User-Agent", "acme/1"),
        ("--max-time 5 -H 'X-A: b'", "X-A", "b"),
    ],
)
def test_the_headers_are_those_that_curl_would_send(options, header, value):
    assert parse_curl(f"curl {options} {URL}").headers.get_all(header) == (value,)


@pytest.mark.parametrize(
    ("option", "body"),
    [
        ("scope=a b&c", b"scope=a+b%26c"),
        ("=a b", b"a+b"),
        ("a b", b"a+b"),
    ],
)
def test_values_are_encoded_as_curl_encodes_them(option, body):
    assert parse_curl(f"curl --data-urlencode '{option}' {URL}").body == body


def test_a_body_is_cut_to_its_declared_length():
    head = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
    assert parse_raw(head + b"a=1\r\n").body == b"a=1"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("-d", "curl's option -d has no value"),
        ("-d @body.txt", "in a file"),
        ("--data-binary @body.txt", "in a file"),
        ("--data-urlencode a@body.txt", "in a file"),
        ("--json @body.json", "in a file"),
        ("-F a=@body.txt", "in a file"),
        ("--upload-file x", "unknown curl option --upload-file"),
        ("-sT x", "unknown curl option -T"),
        ("--proto=https", "unknown curl option --proto"),
        ("http://[::1", "the URL is malformed"),
    ],
)
def test_a_command_that_cannot_be_read_is_told_why(command, message):
    with pytest.raises(UnreadableRequestError, match=message):
        parse_curl(f"curl {URL} {command}")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("POST http://[ HTTP/1.1\r\n\r\n", "the URL is malformed"),
        ("POST / HTTP/1.1\r\nContent-Length: ²\r\n\r\n", "expected a number of bytes"),
        (
            "POST / HTTP/1.1\r\nContent-Length: " + "9" * 5000 + "\r\n\r\n",
            "expected a number of bytes",
        ),
    ],
)
def test_a_message_that_cannot_be_read_is_told_why(raw, message):
    with pytest.raises(UnreadableRequestError, match=message):
        parse_raw(raw.encode("latin-1"))


def test_credentials_that_were_not_sent_are_not_invented():
    raw = b"POST /auth-broker/request-token HTTP/1.1\r\nAuthorization: Basic Y2xpZW50OnNlY3JldA=="
    assert "basic.credentials" not in explain_text(raw, AUTOGRAB)
    nobody = b"POST /auth-broker/request-token HTTP/1.1\r\nAuthorization: Basic OnNlY3JldA=="
    assert "basic.credentials" in explain_text(nobody, AUTOGRAB)


def test_credentials_in_the_body_are_taken_from_there():
    body = "grant_type=client_credentials&client_id=shop&client_secret=hush"
    post = Profile(name="post", client_authentication=("post",))
    told = explain_text(f"curl -d '{body}' http://h{post.token_path}".encode(), post)
    assert "basic.credentials" not in told
    assert "hush" not in told
