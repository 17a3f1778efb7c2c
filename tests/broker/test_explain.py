"""Requests that were pasted, read and explained."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from mockbroker import Profile
from mockbroker.cli.explain import UnreadableRequestError, explain, read_pasted
from mockbroker.cli.pasted_text import MistakeKind, Repair
from mockbroker.model.credentials import Credentials
from mockbroker.model.messages import Request
from mockbroker.model.profile import AUTOGRAB
from tests.broker.programs import run

URL = "http://h/request-token"
SHOP = (Credentials("shop", "s3cret"),)


def read(text: str) -> Request:
    return read_pasted(text.encode()).request


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
    assert read(f"curl {options} {URL}").method == method


def test_a_form_of_parts_is_no_urlencoded_form():
    request = read(f"curl -F grant_type=client_credentials {URL}")
    assert (request.headers.get("Content-Type") or "").startswith("multipart/form-data")
    assert b'name="grant_type"\r\n\r\nclient_credentials\r\n' in request.body


@pytest.mark.parametrize(
    ("options", "header", "value"),
    [
        ("-u shop:s3cr:et", "Authorization", "Basic c2hvcDpzM2NyOmV0"),
        ("--oauth2-bearer t0ken", "Authorization", "Bearer t0ken"),
        ("-A acme/1", "User-Agent", "acme/1"),
        ("--max-time 5 -H 'X-A: b'", "X-A", "b"),
        ("-H $'X-A: b\\tc\\'d'", "X-A", "b\tc'd"),
        ('-H "X-A: \\"b\\" \\$c"', "X-A", '"b" $c'),
        ("-H X-A:\\ b", "X-A", "b"),
        ("-H X-A:$(date)", "X-A", "$(date)"),
        ('-H "X-A: $(date)"', "X-A", "$(date)"),
        ("2>/dev/null -H 'X-A: b' | jq .", "X-A", "b"),
    ],
)
def test_the_headers_are_those_that_curl_would_send(options, header, value):
    assert read(f"curl {URL} {options}").headers.get_all(header) == (value,)


@pytest.mark.parametrize(
    ("option", "body"),
    [
        ("scope=a b&c", b"scope=a+b%26c"),
        ("=a b", b"a+b"),
        ("a b", b"a+b"),
    ],
)
def test_values_are_encoded_as_curl_encodes_them(option, body):
    assert read(f"curl --data-urlencode '{option}' {URL}").body == body


@pytest.mark.parametrize(
    "command",
    [
        f'C:\\Users\\x>curl -u shop:s3cret ^\r\n  -d "a=\\"b\\"" {URL}',
        f'PS C:\\> curl.exe -u shop:s3cret `\n  -d "a=`"b`"" {URL}',
        f"user@host:~/src$ curl -u shop:s3cret \\\n> -d 'a=\"b\"' {URL}",
        f"% sudo curl -u shop:s3cret -d 'a=\"b\"' {URL} > out.json",
        f"TOKEN=$(curl -u shop:s3cret -d 'a=\"b\"' {URL})",
        f"export A=1; curl -u shop:s3cret -d 'a=\"b\"' {URL}".partition("; ")[2],
        "curl http://shop:s3cret@h/request-token -d 'a=\"b\"'",
    ],
)
def test_each_shell_passes_the_same_words(command):
    request = read(command)
    assert (request.method, request.target) == ("POST", "/request-token")
    assert request.headers.get_all("Authorization") == ("Basic c2hvcDpzM2NyZXQ=",)
    assert request.body == b'a="b"'


HEAD = "POST /a HTTP/1.1\r\nHost: h\r\n"


@pytest.mark.parametrize(
    ("text", "body", "repairs"),
    [
        (f"{HEAD}Content-Length: 3\r\n\r\na=1\r\n", b"a=1", {Repair.FINAL_LINE_FEED}),
        (f"{HEAD}Content-Length: 4\n\na\nb", b"a\r\nb", {Repair.CARRIAGE_RETURNS}),
        (f"{HEAD}\r\na=1", b"a=1", {Repair.CONTENT_LENGTH}),
        (f"{HEAD}\r\na=1\n", b"a=1", {Repair.CONTENT_LENGTH, Repair.FINAL_LINE_FEED}),
        ("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\na=1", b"a=1", {Repair.HOST}),
        ("POST /a\nHost: h\nContent-Length: 3\n\na=1", b"a=1", {Repair.VERSION}),
        ("POST h/a HTTP/1.1\nHost: h\nContent-Length: 3\n\na=1", b"a=1", set()),
        (
            f"{HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n",
            b"a=1",
            {Repair.CARRIAGE_RETURNS},
        ),
        ("POST /a HTTP/2\nHost: h\nContent-Length: 3\n\na=1", b"a=1", {Repair.VERSION}),
        (f"\ufeff{HEAD}Content-Length: 3\r\n\r\na=1", b"a=1", {Repair.BYTE_ORDER_MARK}),
        (f"```http\n{HEAD}Content-Length: 3\r\n\r\na=1\n```\n", b"a=1", {Repair.FENCE}),
        (
            "  POST /a HTTP/1.1\n  Host: h\n  Content-Length: 3\n\n  a=1",
            b"a=1",
            {Repair.INDENTATION},
        ),
        (
            "  POST /a HTTP/1.1\nHost: h\nContent-Length: 3\n\na=1",
            b"a=1",
            {Repair.INDENTATION},
        ),
        (
            "> POST /a HTTP/1.1\n> Host: h\n> Content-Length: 3\n>\n> a=1",
            b"a=1",
            {Repair.QUOTATION},
        ),
        (
            f"{HEAD}Transfer-Encoding: chunked\n\n2\na=\n1;x\n1\n0\n\n",
            b"a=1",
            {Repair.CARRIAGE_RETURNS},
        ),
        (f"{HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n0\r\n\r\n", b"a=1", set()),
        (
            f"{HEAD}Transfer-Encoding: chunked\n\na=1",
            b"a=1",
            {Repair.CHUNKS_REMOVED, Repair.CONTENT_LENGTH},
        ),
        (f"{HEAD}Content-Length: 3\r\n\r\na=1", b"a=1", set()),
    ],
)
def test_what_a_paste_loses_is_restored_and_reported(text, body, repairs):
    pasted = read_pasted(text.encode())
    assert pasted.request.body == body
    assert set(pasted.repairs) == repairs
    assert pasted.mistakes == ()


def test_text_in_utf_16_is_read():
    pasted = read_pasted("POST /a HTTP/1.1\r\nHost: h\r\n\r\n".encode("utf-16"))
    assert (pasted.request.target, pasted.repairs) == ("/a", (Repair.UTF_16,))


def test_the_output_of_curl_has_no_body_and_none_is_missed():
    text = (
        "*   Trying 127.0.0.1:80...\n"
        "> POST /auth-broker/request-token HTTP/1.1\n> Host: h\n"
        "> Authorization: Basic c2hvcDpzM2NyZXQ=\n> Content-Length: 29\n"
        "> Content-Type: application/x-www-form-urlencoded\n>\n"
        "* upload completely sent off: 29 bytes\n< HTTP/1.1 200 OK\n<\n{}"
    )
    found = explain(text.encode(), AUTOGRAB, SHOP)
    assert found.is_right
    assert "no body" in "\n".join(found.lines())


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (f"{HEAD}a=1", MistakeKind.NO_BLANK_LINE, "blank line"),
        (f"{HEAD}X : 1\r\n\r\n", MistakeKind.BLANK_BEFORE_COLON, "header X"),
        (f"{HEAD}X: 1\r\n  2\r\n\r\n", MistakeKind.FOLDED_HEADER, "line 4"),
        (f"{HEAD}Content-Length: 9\r\n\r\na=1", MistakeKind.WRONG_LENGTH, "waits for the rest"),
        (f"{HEAD}Content-Length: 2\r\n\r\na=1", MistakeKind.WRONG_LENGTH, "cuts it"),
        ("POST http://a:b@h/ HTTP/1.1\nHost: h\n\n", MistakeKind.USERINFO, "id:secret@host"),
        ("POST / HTTP/1.1\nHost: a:b@h\n\n", MistakeKind.USERINFO, "id:secret@host"),
        (f"curl \u2013d a=1 {URL}", MistakeKind.TYPOGRAPHIC_DASH, "dash"),
        (f"curl \u2014data a=1 {URL}", MistakeKind.TYPOGRAPHIC_DASH, "dash"),
        (f"curl -H \u201cX: 1 2\u201d {URL}", MistakeKind.TYPOGRAPHIC_QUOTES, "curly"),
        (f"curl -H \u2018X: 1 2\u2019 {URL}", MistakeKind.TYPOGRAPHIC_QUOTES, "curly"),
        (f"curl \u201c{URL}\u201d", MistakeKind.TYPOGRAPHIC_QUOTES, "curly"),
        (f"curl -s\u00a0{URL}", MistakeKind.HIDDEN_CHARACTER, "non-breaking"),
        (f"curl -s \u200b{URL}", MistakeKind.HIDDEN_CHARACTER, "invisible"),
        (f"curl -d &quot;a=1&quot; {URL}", MistakeKind.ENTITIES, "entities"),
        (f"curl {URL}?a=1&b=2", MistakeKind.UNQUOTED_AMPERSAND, "&"),
        (f"curl -u shop {URL}", MistakeKind.NO_SECRET, "no secret"),
        (f"curl -u a:b -u c:d {URL}", MistakeKind.REPEATED_OPTION, "twice"),
        (f"curl -X GET -d a=1 {URL}", MistakeKind.GET_WITH_DATA, "leave -X out"),
        (f"curl -d a=1 b=2 {URL}", MistakeKind.EXTRA_WORD, "1 further word"),
        (f"C:\\>curl -H 'X: 1' {URL}", MistakeKind.SINGLE_QUOTES, "cmd.exe"),
        (f"curl --digest -u a:b {URL}", MistakeKind.OTHER_AUTHENTICATION, "--digest"),
        ("curl http://${HOST}/request-token", MistakeKind.PLACEHOLDER_IN_HOST, "${HOST}"),
    ],
)
def test_a_mistake_in_a_command_or_a_message_is_named(text, kind, words):
    pasted = read_pasted(text.encode())
    assert [mistake.kind for mistake in pasted.mistakes] == [kind]
    assert words in pasted.mistakes[0].text
    assert not explain(text.encode(), AUTOGRAB).is_right


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
        ("--heaader x", "did you mean --header"),
        ("-sT x", "unknown curl option -T"),
        ("--proto=https", "unknown curl option --proto"),
        ("-H x", "has no colon"),
        ("'open", "closing quotation"),
    ],
)
def test_a_command_that_cannot_be_read_is_refused_with_the_reason(command, message):
    with pytest.raises(UnreadableRequestError, match=message):
        read(f"curl {URL} {command}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("curl http://[::1", "the URL is malformed"),
        ("curl -s", "no URL"),
        ("hello", "not a valid request line"),
        ("http -a shop:s3cret :8080/request-token", "HTTPie"),
        ("wget --user=shop http://h", "wget"),
        ("$ wget --user=shop http://h", "wget"),
        ("Invoke-RestMethod -Uri http://h", "PowerShell"),
        ("const r = await fetch('http://h')", "JavaScript"),
        ("requests.post('http://h', data={})", "Python"),
        ("http://h/request-token", "a URL"),
        ("PS> curl -Method Post -Uri http://h", "alias of Invoke-WebRequest"),
        (" \n", "stdin is empty"),
        ("HTTP/1.1 401 Unauthorized\n\n{}", "a response"),
        ("Authorization: Basic x", "request line is missing"),
        ("grant_type=client_credentials", "a body without its request"),
        ("POST / HTTP/1.1\nHost: h\nX Y: 1\n\n", "a character that the name of a header cannot"),
        ("POST / HTTP/1.1\n x\nHost: h\n\nbody", "continues nothing"),
        ("POST / HTTP/1.1\nHost: h\nnonsense\n\nbody", "has no colon"),
        ("POST / HTTP/1.1\nHost: h\nHost: i\n\n", "several Host"),
        ("POST / HTTP/1.1\nHost: h\nX: \x00\n\n", "NUL character"),
        ("POST / HTTP/1.1\nHost: h\nContent-Length: x\n\n", "Content-Length is not a number"),
        ("POST / HTTP/1.1\nHost: h\nContent-Length: \u00b2\n\n", "Content-Length is not a number"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: gzip\n\n", "other than chunked"),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n9\na\n", "size of a chunk"),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + "9" * 5000 + "\r\n\r\n",
            "malformed HTTP request",
        ),
    ],
)
def test_text_that_cannot_be_read_is_refused_with_the_reason(text, message):
    with pytest.raises(UnreadableRequestError, match=message):
        read_pasted(text.encode())


def test_credentials_that_were_not_sent_are_not_invented():
    raw = b"POST /auth-broker/request-token HTTP/1.1\r\nAuthorization: Basic Y2xpZW50OnNlY3JldA=="
    assert "basic.credentials" not in broken(raw)
    unknown_client = (
        b"POST /auth-broker/request-token HTTP/1.1\r\nAuthorization: Basic OnNlY3JldA=="
    )
    assert "basic.credentials" in broken(unknown_client)


def broken(text: bytes) -> set[str]:
    return {breach.clause_id for breach in explain(text, AUTOGRAB).breaches}


def test_credentials_in_the_body_are_taken_from_there():
    body = "grant_type=client_credentials&client_id=shop&client_secret=hush"
    post = Profile(name="post", client_authentication=("post",))
    found = explain(f"curl -d '{body}' http://h{post.token_path}".encode(), post)
    assert found.is_right
    assert "hush" not in "\n".join(found.lines())


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("shop:s3cret", "client_id 'shop', a secret of 6 characters (letters, digits)"),
        ("shop:a\u00e4 -", "(letters, white space, punctuation, other characters)"),
        ("shop:", "4 characters before the colon, and an empty secret"),
        ("shop:1", "a secret of 1 character (digits)"),
    ],
)
def test_what_a_header_decodes_to_is_shown_without_the_secret(user, words):
    found = explain(f"curl -u '{user}' -d grant_type=client_credentials {URL}".encode(), AUTOGRAB)
    assert words in "\n".join(found.lines())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("Basic c2hvcDpzM2NyZXQ=!", "only the first 16 can be Base64"),
        ("Basic c2hvc", "an incomplete text"),
        ("Basic c2hvcA==", "4 characters of text"),
        ("Basic /////w==", "bytes that are not text"),
        ("Bearer abcdefgh", "8 characters, which Basic does not explain"),
        ("Basic czNjcmV0OnNob3A=", "client_id '<secret>'"),
    ],
)
def test_how_far_a_header_can_be_decoded_is_shown(value, words):
    text = f"POST /request-token HTTP/1.1\nAuthorization: {value}\n\n"
    said = "\n".join(explain(text.encode(), AUTOGRAB, SHOP).lines())
    assert words in said
    assert "s3cret" not in said


def test_the_document_has_the_whole_explanation():
    text = (
        "POST /auth-broker/request-token\nAuthorization: Basic c2hvcDpzM2NyZXQK\n"
        "Content-Type : text/plain\n\ngrant_type=client_credentials"
    )
    done = run("explain", "--json", "--client", "shop:s3cret", text=text)
    assert (done.returncode, done.stderr) == (1, "")
    document = json.loads(done.stdout)
    assert (document["schema"], document["kind"], document["ok"]) == (1, "token-request", False)
    assert document["profile"] == "autograb"
    assert [each["kind"] for each in document["mistakes"]] == ["blank-before-colon"]
    assert {each["clause"]: each["level"] for each in document["breaches"]} == {
        "request.content-type": "MUST",
        "basic.credentials": "MUST",
    }
    assert len(document["hints"]) == 2
    assert document["breaches"][0]["hints"] == document["hints"][1:]
    assert document["decoded"][0]["client_id"] == "shop"
    assert document["decoded"][0]["secret_length"] == 6
    assert document["repairs"] == ["version", "host", "content-length"]
    assert "s3cret" not in done.stdout


def test_a_right_request_is_ok_in_the_document():
    text = f"curl -u shop:s3cret -d grant_type=client_credentials {URL}"
    done = run("explain", "--json", text=text)
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["ok"]
    assert (document["breaches"], document["hints"], document["mistakes"]) == ([], [], [])


def test_another_path_is_accepted_and_noted():
    text = f"curl -u shop:s3cret -d grant_type=client_credentials {URL.replace('request-', '')}"
    found = explain(text.encode(), AUTOGRAB, SHOP)
    assert found.is_right
    assert "The path is /token" in "\n".join(found.lines())
    assert explain(b"POST /v2/vehicle HTTP/1.1\n\n", AUTOGRAB).kind == "api-call"


def test_a_url_may_be_an_option():
    assert read(f"curl -d a=1 --url {URL}").target == "/request-token"


def test_mistakes_of_the_body_method_are_named():
    post = Profile(name="post", client_authentication=("post",))
    url = f"http://h{post.token_path}"
    for data, words in (
        ('{"client_secret": "s3cret"}', "JSON"),
        ("grant_type=client_credentials&client_id=shop&client_secret=s3%E2%80%8Bcret", "invisible"),
    ):
        found = explain(f"curl -d '{data}' {url}".encode(), post, SHOP)
        assert words in "\n".join(found.hints)
        assert "no client_id" not in "\n".join(found.hints)


@pytest.mark.parametrize(
    ("secret", "words"),
    [("p+%2Bw", "form-encoded"), ("other", "another secret"), ("xxxxxxxx", "left in the secret")],
)
def test_a_registered_id_is_not_taken_for_a_placeholder(secret, words):
    post = Profile(name="post", client_authentication=("post",))
    body = urlencode(
        {"grant_type": "client_credentials", "client_id": "client id", "client_secret": secret}
    )
    text = f"curl -d '{body}' http://h{post.token_path}"
    hints = "\n".join(explain(text.encode(), post, (Credentials("client id", "p +w"),)).hints)
    assert words in hints
    assert "left in the client_id" not in hints


@pytest.mark.parametrize(
    ("token", "words"),
    [("{{token}}", "{{token}}"), ("$TOKEN", "$TOKEN"), ("None", "the word 'None'")],
)
def test_a_placeholder_is_not_taken_for_a_token(token, words):
    found = explain(f"curl -H 'Authorization: Bearer {token}' http://h/v2/a".encode(), AUTOGRAB)
    assert words in "\n".join(found.hints)
    assert not found.is_right
