"""The command line, run as a program."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

GRANT = {"grant_type": "client_credentials"}
MAIN = (sys.executable, "-c", "from mockbroker.cli import main; main()")


def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [*MAIN, *arguments], input=text, capture_output=True, text=True, timeout=30, check=False
    )


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A broker in a process of its own, and the banner that it printed."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*MAIN, "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        banner = ""
        while "curl" not in banner:
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            banner += line
        yield process, banner
    finally:
        process.kill()
        process.communicate()


def token_url(banner: str) -> str:
    found = re.search(r"token URL +(\S+)", banner)
    assert found
    return found[1]


def test_serve_with_tls_names_the_ca_file_that_clients_must_trust():
    with serving("--tls", "--client", "shop:secret") as (process, banner):
        found = re.search(r"CA +(\S+)", banner)
        assert found
        assert f"curl --cacert {found[1]}" in banner
        url = token_url(banner)
        answer = requests.post(url, GRANT, auth=("shop", "secret"), verify=found[1], timeout=5)
        assert answer.status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            requests.post(url, GRANT, auth=("shop", "secret"), timeout=5)
        process.terminate()
        assert process.wait(10) == 0
    assert not Path(found[1]).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_where_and_for_whom_and_stops_cleanly(number):
    with serving("--client", "shop:s3cr:et", "--client", "other:x") as (process, banner):
        assert "client_secret  s3cr:et" in banner
        url = token_url(banner)
        idle = socket.create_connection(("127.0.0.1", int(re.findall(r":(\d+)/", url)[0])))
        answer = requests.post(url, data=GRANT, auth=("shop", "s3cr:et"), timeout=5)
        assert answer.status_code == 200
        assert requests.post(url, data=GRANT, auth=("other", "wrong"), timeout=5).status_code == 401
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)
        idle.close()
    assert (process.returncode, errors) == (0, "")
    assert "token #1, ok" in output
    assert "MUST basic.credentials" in output
    assert "stopped after 2 requests" in output
    assert answer.json()["access_token"] not in output
    assert "\x1b[" not in output


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("profile", ["autograb", "rfc6749"])
def test_the_curl_command_of_the_banner_works(profile):
    with serving("--client", "shop:it's 100% $HOME", "--profile", profile) as (_, banner):
        command = re.findall(r"curl .*", banner)[0]
        shown = subprocess.run(  # noqa: S602 - as a reader pastes it
            command,
            shell=True,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    assert json.loads(shown.stdout)["token_type"] == "bearer"


def test_serve_leniently_with_a_profile_of_ones_own(tmp_path):
    config = tmp_path / "brokers.toml"
    config.write_text('[profiles.acme]\ntoken_path = "/oauth/token"\n')
    settings = ("--config", str(config), "--profile", "acme", "--lenient", "--expires-in", "60")
    with serving(*settings) as (_, banner):
        assert token_url(banner).endswith("/oauth/token")
        assert requests.post(token_url(banner), timeout=5).json()["expires_in"] == 60


def test_the_journal_file_has_a_line_for_all_that_came_and_no_secret(tmp_path):
    file = tmp_path / "journal.jsonl"
    file.write_text('{"kept": "what was there"}\n')
    with serving("--client", "shop:s3cr:et", "--journal", str(file)) as (process, banner):
        url = token_url(banner)
        token = requests.post(url, data=GRANT, auth=("shop", "s3cr:et"), timeout=5).json()
        token = token["access_token"]
        requests.post(url, json={"client_secret": "mistyped"}, timeout=5)
        api = url.partition("/auth-broker")[0] + "/v2/vehicle/1"
        requests.get(api, headers={"Authorization": f"Bearer {token}"}, timeout=5)
        with socket.create_connection(("127.0.0.1", int(re.findall(r":(\d+)/", url)[0]))) as sock:
            sock.sendall(b"what is this?\r\n\r\n")
            while sock.recv(65536):
                pass
        process.terminate()
        output, errors = process.communicate(timeout=10)
    kept, good, bad, call, refused = map(json.loads, file.read_text().splitlines())
    assert kept == {"kept": "what was there"}
    assert (good["number"], good["client_id"], good["breaches"]) == (1, "shop", [])
    assert good["response"]["status"] == 200
    assert ["Authorization", "Basic <masked>"] in good["request"]["headers"]
    assert "basic.scheme" in [breach["clause"] for breach in bad["breaches"]]
    assert (call["endpoint"], call["token_state"]) == ("api", "valid")
    assert "no HTTP that can be read" in refused["refused"]
    assert "400: the request is no HTTP that can be read" in output
    assert "stopped after 3 requests" in output
    for secret in (token, "s3cr:et", "mistyped", "c2hvcDpzM2NyOmV0"):
        assert secret not in file.read_text() + output + errors


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_journal_file_that_cannot_be_written_any_more_is_told_once():
    with serving("--journal", "/dev/full") as (process, banner):
        for _ in range(2):
            assert requests.get(token_url(banner), timeout=5).status_code == 405
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert errors == "mockbroker: the journal ends here: No space left on device\n"


def test_a_client_that_does_not_trust_the_certificate_is_told_of():
    with serving("--tls") as (process, banner):
        with pytest.raises(requests.exceptions.SSLError):
            requests.post(token_url(banner), verify=True, timeout=5)
        plain = token_url(banner).replace("https:", "http:")
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.post(plain, timeout=5)
        process.terminate()
        output, _ = process.communicate(timeout=10)
    assert "the client does not trust the certificate" in output
    assert "the client speaks plain HTTP, and this port speaks TLS: write https://" in output


def test_a_taken_port_is_one_clear_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 4
    assert "in use" in done.stderr
    assert "--port 0" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("serve", "--port", "99999"), "99999"),
        (("serve", "--nonsense"), "--nonsense"),
        (("serve", "--client", "nocolon"), "ID:SECRET"),
        (("serve", "--client", "a:1", "--client", "b:2", "--client", "a:3"), "'a' is given twice"),
        (("serve", "--journal", "/nowhere/x.jsonl"), "No such file"),
        (("serve", "--expires-in", "-1"), "-1"),
        (("serve", "--config", "/nowhere/x.toml"), "cannot read"),
        (("serve", "--profile", "nope"), "no profile 'nope'"),
        (("serve", "--host", "no.such.host.invalid", "--port", "0"), "cannot listen"),
        (("nonsense",), "nonsense"),
        (("explain",), "nothing to explain"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_status_4(arguments, words):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_clauses_lists_the_catalogue():
    rows = json.loads(run("clauses", "--json").stdout)
    text = run("clauses").stdout
    assert rows[0]["id"] == "request.method"
    assert all(row["id"] in text for row in rows)
    assert {"id", "level", "title", "sources", "passive", "why", "mend"} == set(rows[0])


def test_a_clause_is_told_with_why_it_is_there_and_how_a_client_is_mended():
    told = run("clauses", "refresh.ahead").stdout
    assert "refresh.ahead: refreshes before expiry" in told
    assert "Why: " in told
    assert "To mend it: " in told
    assert "refresh.latency" not in told


def test_what_names_no_clause_is_told():
    done = run("clauses", "refresh.behind")
    assert (done.returncode, done.stdout) == (4, "")
    assert "no clause matches 'refresh.behind'" in done.stderr


def test_explain_finds_nothing_wrong_with_a_good_command():
    curl = "curl -u shop:s3cr:et \\\n -d grant_type=client_credentials http://h/request-token"
    assert "Nothing is wrong" in run("explain", text=curl).stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            (
                "POST /request-token HTTP/1.1\nHost: h\nAuthorization: Basic c2hvcDpzM2NyZXQK\n"
                "Content-Type: application/x-www-form-urlencoded\n\n"
                "grant_type=client_credentials\n"
            ),
            "line feed",
        ),
        ("curl -u shop:s3 --json '{\"a\": 1}' http://h/request-token", "request.content-type"),
        ("curl -u shop:s3 -XGET http://h/request-token", "request.method"),
        ("curl -H 'Authorization: ApiKey abcdefghijkl' http://h/v2/vehicle/1", "signing.bearer"),
        ("curl -G -d access_token=abcdefghijkl http://h/v2/vehicle/1", "signing.header-only"),
    ],
)
def test_explain_says_what_is_wrong(text, words):
    done = run("explain", "--client", "shop:s3cret", text=text)
    assert done.returncode == 0
    assert words in done.stdout
    assert "s3cret" not in done.stdout


@pytest.mark.parametrize("text", ["hello", "curl", "curl 'open", "curl -H", "curl -H x http://h"])
def test_explain_says_when_it_cannot_read_the_text(text):
    done = run("explain", text=text)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("lifetime", ["inf", "nan", "-1"])
def test_a_lifetime_that_is_none_is_a_usage_error(lifetime):
    done = run("serve", f"--expires-in={lifetime}")
    assert done.returncode == 4
    assert "finite number of seconds" in done.stderr
    assert "Traceback" not in done.stderr
