"""Each likely mistake, on the raw bytes of a request, and the hint that names it."""

from __future__ import annotations

import base64
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.contract.hints import hint_for_api_call, hints_for_token_request
from mockbroker.model.credentials import Credentials
from mockbroker.model.messages import Headers, Request
from mockbroker.model.profile import AUTOGRAB, RFC6749, Profile
from mockbroker.model.token_request import TokenRequest

ID, SECRET = "client-1", "ss?>~>>cret/%"
KNOWN = Credentials(ID, SECRET)
OTHER = Credentials("client-2", "another-s3cret")
UMLAUT = Credentials("client-3", "pässwörd")
BLANKS = Credentials("client-4", " padded-s3cret ")
EXPECTATION = TokenExpectation(AUTOGRAB, AUTOGRAB.token_path, (KNOWN, OTHER, UMLAUT, BLANKS))
FORM = "application/x-www-form-urlencoded"
GRANT = b"grant_type=client_credentials"


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


RIGHT = "Basic " + b64(f"{ID}:{SECRET}")


def parsed(raw: bytes) -> Request:
    """A request from the bytes as they come over the wire."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    fields = (line.partition(":") for line in lines)
    return Request(
        method, target, Headers.of((name, value.strip(" ")) for name, _, value in fields), body
    )


def raw(
    authorization: str | None = RIGHT,
    content_type: str | None = FORM,
    body: bytes = GRANT,
    line: str = "POST /auth-broker/request-token HTTP/1.1",
) -> bytes:
    fields = {"Authorization": authorization, "Content-Type": content_type}
    head = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def hint(request: bytes, profile: Profile = AUTOGRAB) -> str:
    expectation = TokenExpectation(profile, profile.token_path, EXPECTATION.credentials)
    return "; ".join(hints_for_token_request(TokenRequest.of(parsed(request)), expectation))


POST = Profile(name="post", client_authentication=("post",))

MISTAKES = {
    "id ends in a line feed": (
        raw("Basic " + b64(f"{ID}\n:{SECRET}")),
        "an id that ends in a line feed",
    ),
    "secret ends in a line feed": (raw("Basic " + b64(f"{ID}:{SECRET}\n")), "`echo` instead of"),
    "URL-safe alphabet": (
        raw("Basic " + base64.urlsafe_b64encode(b"client-1:s3cr?t>~?~/%").decode()),
        "URL-safe alphabet",
    ),
    "padding lost": (raw("Basic " + b64("client-2:another-s3cret").rstrip("=")), "padding"),
    "wrapped lines": (
        raw("Basic " + b64(f"{ID}:{SECRET}")[:8] + " " + b64(f"{ID}:{SECRET}")[8:]),
        "broken into lines",
    ),
    "encoded twice": (raw("Basic " + b64(b64(f"{ID}:{SECRET}"))), "encoded twice"),
    "not encoded": (raw(f"Basic {ID}:{SECRET}"), "not encoded"),
    "swapped": (raw("Basic " + b64(f"{SECRET}:{ID}")), "swapped"),
    "another client's secret": (
        raw("Basic " + b64(f"{ID}:another-s3cret")),
        "belongs to another client",
    ),
    "wrong secret": (raw("Basic " + b64(f"{ID}:nothing-like-it")), "with another secret"),
    "stripped secret": (raw("Basic " + b64("client-4:padded-s3cret")), "was it stripped?"),
    "empty secret": (raw("Basic " + b64(f"{ID}:")), "the secret is empty"),
    "unknown client": (raw("Basic " + b64("nobody:nothing")), "no client with that client_id"),
    "no colon": (raw("Basic " + b64("client-1")), "without a colon"),
    "white space": (raw("Basic " + b64(f" {ID}:{SECRET} ")), "white space around"),
    "quotes": (raw("Basic " + b64(f'"{ID}":"{SECRET}"')), "quotes around"),
    "percent-encoded": (raw("Basic " + b64(f"{ID}:{quote_plus(SECRET)}")), "percent-encoded"),
    "Latin-1": (raw("Basic " + b64("client-3:pässwörd".encode("latin-1"))), "Latin-1"),
    "scheme missing": (raw(b64(f"{ID}:{SECRET}")), "the scheme is missing"),
    "Bearer": (raw("Bearer " + b64(f"{ID}:{SECRET}")), "Bearer is for API calls"),
    "ApiKey": (raw("ApiKey 1234"), "ApiKey is for API keys"),
    "another scheme": (raw("Digest abc"), "the scheme is 'Digest'"),
    "no header": (raw(None), "no Authorization header was sent"),
    "in the body": (
        raw(None, body=GRANT + b"&client_id=client-1&client_secret=s3cr"),
        "client_secret_post",
    ),
    "in the body as well": (raw(body=GRANT + b"&client_secret=s3cr"), "sent twice"),
    "in the URL": (
        raw(None, line="POST /auth-broker/request-token?client_secret=s3cr HTTP/1.1"),
        "the credentials are in the URL",
    ),
    "JSON with a form header": (raw(body=b'{"grant_type": "client_credentials"}'), "says form"),
    "JSON": (
        raw(content_type="application/json", body=b'{"grant_type": "client_credentials"}'),
        "the body is JSON; send a form",
    ),
    "form with a JSON header": (raw(content_type="application/json"), "says JSON"),
    "no content type": (raw(content_type=None), f"send Content-Type: {FORM}"),
    "grant in the query": (
        raw(body=b"", line="POST /request-token?grant_type=client_credentials HTTP/1.1"),
        "grant_type is in the query",
    ),
    "literal braces": (raw(body=b"{ grant_type: client_credentials }"), "literally"),
    "no grant": (raw(body=b"scope=read"), "the body must be grant_type"),
    "GET": (raw(line="GET /request-token HTTP/1.1"), "use POST to request a token, not GET"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_named(mistake):
    request, words = MISTAKES[mistake]
    assert words in hint(request)


def test_right_request_needs_no_hint():
    assert hint(raw()) == ""


def test_raw_credentials_where_form_encoding_is_wanted():
    assert "form-urlencoded first" in hint(raw(), RFC6749)


def test_header_where_the_body_is_wanted():
    assert "send client_id and client_secret in the body" in hint(raw(None), POST)
    assert "client_secret_post" in hint(raw(), POST)


def posted(**parameters: str) -> bytes:
    fields = {"grant_type": "client_credentials", **parameters}
    return raw(None, body=urlencode(fields).encode())


POSTED = {
    "in the URL": (
        raw(None, line="POST /request-token?client_secret=x HTTP/1.1"),
        "the credentials are in the URL",
    ),
    "no id": (posted(client_secret=SECRET), "but no client_id"),
    "unknown client": (posted(client_id="x", client_secret="y"), "no client with that"),
    "another id": (posted(client_id="x", client_secret=SECRET), "but the client_id is 'x'"),
    "empty secret": (posted(client_id=ID, client_secret=""), "the secret is empty"),
    "another client's secret": (
        posted(client_id=ID, client_secret="another-s3cret"),
        "belongs to another client",
    ),
    "swapped": (posted(client_id=SECRET, client_secret=ID), "id and secret are swapped"),
    "white space": (posted(client_id=ID, client_secret=f" {SECRET}"), "white space around"),
    "white space around the id": (
        posted(client_id=f"{ID}\n", client_secret=SECRET),
        "white space around",
    ),
    "quotes": (posted(client_id=ID, client_secret=f'"{SECRET}"'), "quotes around"),
    "wrong secret": (posted(client_id=ID, client_secret="nothing-like-it"), "with another secret"),
    "twice": (
        raw(body=posted(client_id=ID, client_secret=SECRET).partition(b"\r\n\r\n")[2]),
        "the credentials are sent twice",
    ),
}


@pytest.mark.parametrize("mistake", POSTED)
def test_mistake_in_the_body_is_named(mistake):
    request, words = POSTED[mistake]
    assert words in hint(request, POST)


def test_right_credentials_in_the_body_need_no_hint():
    assert hint(posted(client_id=ID, client_secret=SECRET), POST) == ""


@given(st.sampled_from(sorted(MISTAKES)))
def test_no_hint_holds_a_secret(mistake):
    said = hint(MISTAKES[mistake][0])
    assert not [c for c in EXPECTATION.credentials if c.client_secret in said]


TOKEN = "abcDEF123-._~+/x="
CALLS = {
    "no header": ([], "no Authorization header was sent"),
    "an API key header": ([("X-Api-Key", "1")], "an API key was sent"),
    "two headers": ([("Authorization", f"Bearer {TOKEN}")] * 2, "more than one Authorization"),
    "no scheme": ([("Authorization", TOKEN)], "the scheme is missing"),
    "empty token": ([("Authorization", "Bearer")], "the token is empty"),
    "no known scheme": ([("Authorization", "nonsense")], "names no scheme"),
    "lower case": ([("Authorization", f"bearer {TOKEN}")], "was token_type copied?"),
    "Basic": ([("Authorization", RIGHT)], "Basic is for the token endpoint"),
    "ApiKey": ([("Authorization", f"ApiKey {TOKEN}")], "ApiKey is for API keys"),
    "another scheme": ([("Authorization", f"MAC {TOKEN}")], "it should be Bearer"),
    "None": ([("Authorization", "Bearer None")], "access_token was not found"),
    "undefined": ([("Authorization", "Bearer undefined")], "access_token was not found"),
    "twice": ([("Authorization", f"Bearer Bearer {TOKEN}")], "occurs twice"),
    "two tokens": ([("Authorization", f"Bearer {TOKEN}, Bearer {TOKEN}")], "joined by a comma"),
    "whole answer": ([("Authorization", 'Bearer {"access_token": "x"}')], "the whole answer"),
    "quoted": ([("Authorization", f'Bearer "{TOKEN}"')], "quotes or white space"),
    "bytes": ([("Authorization", f"Bearer {TOKEN.encode()}")], "was bytes"),
    "Base64": ([("Authorization", "Bearer " + b64(TOKEN))], "encoded in Base64"),
    "credentials": ([("Authorization", RIGHT.replace("Basic", "Bearer"))], "client's credentials"),
    "percent-encoded": (
        [("Authorization", "Bearer " + TOKEN.replace("+", "%2B").replace("=", "%3D"))],
        "percent-encoded",
    ),
}


@pytest.mark.parametrize("mistake", CALLS)
def test_mistake_in_a_call_is_named(mistake):
    fields, words = CALLS[mistake]
    request = Request("GET", "/v2/vehicle/1", Headers.of(fields))
    said = hint_for_api_call(request, ApiExpectation({TOKEN}, (KNOWN,)))
    assert words in said
    assert TOKEN not in said


def test_token_in_the_query_is_named():
    request = Request("GET", f"/v2/vehicle/1?access_token={TOKEN}")
    assert "in the query" in hint_for_api_call(request, ApiExpectation({TOKEN}, (KNOWN,)))


def test_signed_call_needs_no_hint():
    request = Request("GET", "/v2", Headers.of([("Authorization", f"Bearer {TOKEN}")]))
    assert hint_for_api_call(request, ApiExpectation({TOKEN}, (KNOWN,))) == ""
