"""The command line, run as a program."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
import requests

from mockbroker.cli.commands import cli
from mockbroker.cli.streams import escape_unencodable_output
from tests.broker.programs import MAIN, run, serving, token_url

GRANT = {"grant_type": "client_credentials"}


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
    assert "malformed HTTP request" in refused["refused"]
    assert "400: malformed HTTP request" in output
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
    assert errors == (
        "mockbroker: cannot write to the journal (No space left on device); it ends here\n"
    )


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
        (("serve", "--port", "99999"), "must be an integer from 0 to 65535, not '99999'"),
        (("serve", "--port", "x"), "must be an integer from 0 to 65535, not 'x'"),
        (("serve", "--state", "foo"), "the state's URL must be like redis://"),
        (("serve", "--nonsense"), "--nonsense"),
        (("serve", "--client", "nocolon"), "ID:SECRET"),
        (("serve", "--client", "a:1", "--client", "b:2", "--client", "a:3"), "'a' is given twice"),
        (("serve", "--journal", "/nowhere/x.jsonl"), "No such file"),
        (("serve", "--expires-in", "-1"), "-1"),
        (("serve", "--config", "/nowhere/x.toml"), "cannot read"),
        (("serve", "--profile", "nope"), "unknown profile 'nope'"),
        (("serve", "--host", "no.such.host.invalid", "--port", "0"), "cannot listen"),
        (("nonsense",), "nonsense"),
        (("explain",), "stdin is empty"),
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
    assert {"id", "level", "title", "sources", "impact", "passive", "why", "fix"} == set(rows[0])


def test_a_clause_is_shown_with_why_it_is_there_and_how_to_fix_a_client():
    told = run("clauses", "refresh.ahead").stdout
    assert "refresh.ahead: refreshes before expiry" in told
    assert "Why: " in told
    assert "Fix: " in told
    assert "refresh.latency" not in told


def test_what_names_no_clause_is_told():
    done = run("clauses", "refresh.behind")
    assert (done.returncode, done.stdout) == (4, "")
    assert "'refresh.behind' is not the id, chapter or level of a clause; did you" in done.stderr


def test_explain_finds_nothing_wrong_with_a_good_command():
    curl = "curl -u shop:s3cr:et \\\n -d grant_type=client_credentials http://h/request-token"
    done = run("explain", text=curl)
    assert (done.returncode, done.stderr) == (0, "")
    assert "breaks no clause" in done.stdout


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
    assert done.returncode == 1
    assert words in done.stdout
    assert "s3cret" not in done.stdout


@pytest.mark.parametrize("text", ["hello", "curl", "curl 'open", "curl -H", "curl -H x http://h"])
def test_explain_says_when_it_cannot_read_the_text(text):
    done = run("explain", text=text)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.count("\n") == 1


NARROW = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp1252"},
    # tox sets PYTHONIOENCODING, which an empty one undoes.
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""},
]


@pytest.mark.parametrize("variables", NARROW, ids=lambda variables: "-".join(variables.values()))
@pytest.mark.parametrize("command", ["serve", "audit"])
def test_what_the_terminal_cannot_show_is_escaped_and_loses_no_line(tmp_path, command, variables):
    file = tmp_path / "journal.jsonl"
    client, secret = "käse你", "schlüssel"
    given = ("--client", f"{client}:{secret}", "--journal", str(file))
    with serving(*given, command=command, **variables) as (process, banner):
        url = token_url(banner)
        pair = (client.encode(), secret.encode())
        assert requests.post(url, data=GRANT, auth=pair, timeout=5).status_code == 200
        body = "grant_type=client_credentials&%E4%BD%A0=1"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        requests.post(url, data=body, headers=form, auth=pair, timeout=5)
        process.terminate()
        output, errors = process.communicate(timeout=20)
    assert len(file.read_text().splitlines()) == 2
    assert "Traceback" not in errors
    assert "\\u4f60" in banner
    assert "\\u4f60" in output
    assert "token #1, ok" in output


@pytest.mark.parametrize("variables", NARROW, ids=lambda variables: "-".join(variables.values()))
def test_commands_that_only_print_escape_what_the_terminal_cannot_show(variables):
    for arguments in ((), ("--json",), ("request.method",)):
        done = run("clauses", *arguments, **variables)
        assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(run("clauses", "--json", **variables).stdout)
    text = (
        "curl -u shop:s3 -d grant_type=client_credentials -d '%E4%BD%A0=1' http://h/request-token"
    )
    done = run("explain", text=text, **variables)
    assert (done.returncode, done.stderr) == (1, "")
    assert "\\u4f60" in done.stdout
    done = run("clauses", "没有", **variables)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


def test_a_client_that_is_not_utf_8_is_a_usage_error():
    done = subprocess.run(  # noqa: S603 - our own program
        [*MAIN, "serve", "--client", b"k\xe4se:x"], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 4
    assert b"not valid UTF-8" in done.stderr


def test_a_reader_that_goes_away_stops_neither_the_broker_nor_its_journal(tmp_path):
    file = tmp_path / "journal.jsonl"
    with serving("--journal", str(file)) as (process, banner):
        assert process.stdout is not None
        process.stdout.close()
        for _ in range(3):
            assert requests.get(token_url(banner), timeout=5).status_code == 405
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert len(file.read_text().splitlines()) == 3


def test_a_reader_that_was_never_there_does_not_keep_the_broker_from_serving(tmp_path):
    file = tmp_path / "journal.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*MAIN, "serve", "--port", str(port), "--journal", str(file)],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    try:
        assert answer_at(f"http://127.0.0.1:{port}/v2/") == 401
        process.terminate()
        assert process.communicate(timeout=10)[1] == ""
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
    assert len(file.read_text().splitlines()) == 1


def answer_at(url: str) -> int:
    """The status of the first answer there, once somebody listens."""
    retries = requests.adapters.Retry(total=None, connect=12, backoff_factor=0.1)
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
        return session.get(url, timeout=5).status_code


@pytest.mark.skipif(os.name != "posix", reason="needs permissions")
def test_a_journal_file_that_is_made_is_for_its_owner_only(tmp_path):
    file = tmp_path / "journal.jsonl"
    for _ in range(2):
        with serving("--journal", str(file)) as (process, _):
            process.terminate()
            assert process.communicate(timeout=10)[1] == ""
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="needs permissions")
def test_a_journal_file_that_others_may_read_keeps_its_mode_and_is_told_of(tmp_path):
    file = tmp_path / "journal.jsonl"
    file.touch()
    file.chmod(0o640)
    with serving("--journal", str(file)) as (process, _):
        process.terminate()
        errors = process.communicate(timeout=10)[1]
    assert errors == (
        f"mockbroker: other users can read --journal {file} (mode 0640); run chmod 600\n"
    )
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
@pytest.mark.parametrize("there", [True, False])
def test_a_journal_file_that_is_a_symbolic_link_is_refused(tmp_path, there):
    target, link = tmp_path / "target", tmp_path / "link.jsonl"
    if there:
        target.touch()
    link.symlink_to(target)
    done = run("serve", "--journal", str(link))
    assert done.returncode == 4
    assert "it is a symbolic link; name the file that it leads to" in done.stderr
    assert done.stderr.count("\n") == 1
    assert target.exists() == there


@pytest.mark.skipif(os.name != "posix", reason="needs a device")
def test_a_journal_file_may_be_a_device_that_a_link_leads_to(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    with serving("--journal", str(link)) as (process, banner):
        assert requests.get(token_url(banner), timeout=5).status_code == 405
        process.terminate()
        assert process.communicate(timeout=10)[1] == ""


def test_a_directory_is_no_journal_file(tmp_path):
    done = run("serve", "--journal", str(tmp_path))
    assert done.returncode == 4
    assert "directory" in done.stderr


def test_a_host_beyond_loopback_is_warned_of_in_one_line():
    with serving("--host", "0.0.0.0") as (process, banner):  # noqa: S104 - what is warned of
        assert requests.get(token_url(banner), timeout=5).status_code == 405
        process.terminate()
        errors = process.communicate(timeout=10)[1]
    assert "any host that reaches this machine can get tokens" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_a_host_on_loopback_is_not(host):
    with serving("--host", host) as (process, _):
        process.terminate()
        assert process.communicate(timeout=10)[1] == ""


@pytest.mark.parametrize("lifetime", ["inf", "nan", "-1"])
def test_a_lifetime_that_is_none_is_a_usage_error(lifetime):
    done = run("serve", f"--expires-in={lifetime}")
    assert done.returncode == 4
    assert "finite number of seconds" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the platform has no such signal")
def test_a_broker_below_nohup_outlives_its_terminal():
    was = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; a child inherits it
    try:
        with serving() as (process, banner):
            process.send_signal(signal.SIGHUP)
            assert requests.get(token_url(banner), timeout=5).status_code == 405
            process.terminate()
            assert process.wait(10) == 0
    finally:
        signal.signal(signal.SIGHUP, was)


def test_no_command_is_help_and_a_usage_error():
    done = run()
    assert done.returncode == 4
    assert done.stdout.startswith("Usage: mockbroker ")


def test_an_unknown_profile_is_one_sentence():
    done = run("explain", "--profile", "nope", text="GET / HTTP/1.1")
    assert done.returncode == 4
    assert done.stderr.startswith("mockbroker: unknown profile 'nope'; `mockbroker profiles` lists")
    assert done.stderr.count("\n") == 1


def after(code: str, *arguments: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    """The command line in a process that has run the code before."""
    program = f"import os, sys\n{code}\nfrom mockbroker.cli import commands\n"
    program += "if 'fail' in globals(): commands.cli.main = fail\ncommands.main()"
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
        **{"stdout": subprocess.PIPE, **streams},
    )


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("raise KeyboardInterrupt", 2, ""),
        ("raise RuntimeError('a mistake')", 3, "RuntimeError: a mistake"),
        ("sys.stdout.close(); return 0", 3, ""),
        ("return None", 0, ""),
    ],
)
def test_how_a_command_ends_decides_the_exit_status(code, status, words):
    done = after(f"def fail(**_): {code}")
    assert done.returncode == status
    assert words in done.stderr
    assert bool(done.stderr) == bool(words)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize(("returned", "status"), [(0, 3), (4, 4)])
def test_output_that_cannot_be_written_is_an_exit_status_unless_there_is_one(returned, status):
    # A buffer of its own, because PYTHONUNBUFFERED may leave stdout none.
    full = "sys.stdout = open('/dev/full', 'w')"
    done = after(f"{full}\ndef fail(**_): print('unwritten'); return {returned}")
    assert (done.returncode, done.stderr) == (status, "")


@pytest.mark.skipif(os.name != "posix", reason="needs descriptors that are inherited")
def test_output_for_a_closed_stream_does_not_go_to_a_file_that_took_its_place(tmp_path):
    file = tmp_path / "a-file"
    code = f"taken = os.open({str(file)!r}, os.O_WRONLY | os.O_CREAT)\nassert taken == 1"
    done = after(code, "clauses", stdout=None, preexec_fn=partial(os.close, 1))
    assert (done.returncode, done.stderr) == (0, "")
    assert file.read_text() == ""


def test_a_stream_that_has_no_encoding_is_left_as_it_is(monkeypatch):
    octets = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(octets, "ascii"))
    escape_unencodable_output()
    for stream in (sys.stdout, sys.stderr):
        print("\u00f6", file=stream, end="", flush=True)
    assert sys.stdout.getvalue() == "\u00f6"
    assert octets.getvalue() == rb"\xf6"


def test_a_working_directory_that_is_gone_is_a_usage_error(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(click.UsageError, match="the working directory cannot be used: No such"):
        cli.main(["compare", "a.json"], standalone_mode=False)


def test_a_working_directory_that_may_not_be_looked_at_is_used(tmp_path, monkeypatch):
    def forbid():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "cwd", forbid)
    with pytest.raises(click.ClickException, match=r"cannot read .*a\.json"):
        cli.main(["compare", str(tmp_path / "a.json")], standalone_mode=False)


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_explain_says_on_a_terminal_what_it_waits_for():
    import pty  # noqa: PLC0415 - where there is one

    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, b"GET / HTTP/1.1\n\x04")
        done = subprocess.run(  # noqa: S603 - our own program
            [*MAIN, "explain"],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert done.returncode == 1
    assert done.stderr == "Paste a raw HTTP request or a curl command, then press Ctrl-D.\n"
    assert "no Authorization header was sent" in done.stdout
