"""`mockbroker audit`, run as a program before apps that know nothing of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from mockbroker.cli.observed_app import end_app
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.processes.tree import Ending, Process

ROOT = Path(__file__).parents[2]
GRANT = {"grant_type": "client_credentials"}
SHOP = ("shop", "s3cr:et")
LIMIT_SECONDS = 120.0
WORKER = """
import sys
import threading
from examples.model_client import ApiClient, TokenManager
token_url, api_url = sys.argv[1:]
with ApiClient(TokenManager(token_url, "shop", "s3cr:et"), api_url) as client:
    for _ in range(4):
        assert client.request("GET", api_url + "/vehicle/1").status_code == 200
"""


@dataclass
class Audit:
    """A running audit; what it prints is read as far as a test wants."""

    process: subprocess.Popen[str]
    token_url: str = ""
    api_url: str = ""

    def read_until(self, words: str) -> str:
        assert self.process.stdout is not None
        text = ""
        while words not in text:
            line = self.process.stdout.readline()
            assert line, text
            text += line
        return text

    def get_token(self, **kwargs: object) -> requests.Response:
        settings = {"data": GRANT, "auth": SHOP, "timeout": 5, **kwargs}
        return requests.post(self.token_url, **settings)

    def call(self, authorization: str) -> requests.Response:
        headers = {"Authorization": authorization}
        return requests.get(f"{self.api_url}/vehicle/1", headers=headers, timeout=5)

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """The exit status and the rest of the output."""
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=20)
        assert errors == ""
        return self.process.returncode, output


@contextmanager
def auditing(*arguments: str, stdin: int = subprocess.DEVNULL) -> Iterator[Audit]:
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", "audit", "--port", "0", *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    audit = Audit(process)
    # Otherwise a line that never comes would be waited for without end.
    watchdog = threading.Timer(LIMIT_SECONDS, process.kill)
    watchdog.start()
    try:
        banner = audit.read_until("curl")
        found = re.findall(r"(?:token URL|API) +(\S+?)/?\n", banner)
        audit.token_url, audit.api_url = found
        yield audit
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def shop(*arguments: str):
    return auditing("--client", "shop:s3cr:et", *arguments)


def work(audit: Audit) -> None:
    command = [sys.executable, "-c", WORKER, audit.token_url, audit.api_url]
    workers = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]  # noqa: S603
    assert [worker.wait(30) for worker in workers] == [0, 0, 0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sound_worker_processes_conform_and_what_was_never_reached_is_said_apart(number, tmp_path):
    with shop("--json", str(tmp_path / "audit.json")) as audit:
        work(audit)
        status, output = audit.stop(number)
    assert status == 0, output
    assert "token #3, ok" in output
    assert re.search(r"✓ no violation seen; \d+ clauses not exercised: \d+ passed", output)
    assert "Measured: token requests 3 · api calls 12 · tokens 3" in output
    assert "NOT TESTED: never reached: no final refusal was seen on its own (1)" in output
    assert "NOT TESTED: not observable from traffic alone" in output

    report = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    assert (report["schema"], report["conforms"]) == (2, False)
    assert (report["client"]["name"], report["client"]["capabilities"]) == ("observed", [])
    rows = {row["id"]: row for row in report["clauses"]}
    assert list(rows) == [entry.id for entry in CATALOGUE]
    assert rows["cache.reuse"]["verdict"] == "passed"
    assert rows["errors.no-hammering"]["reason"].startswith("never reached: ")
    assert rows["lifecycle"]["reason"].startswith("not observable")


def test_a_breach_is_told_as_a_story_without_secrets(tmp_path):
    with shop("--lenient", "--json", str(tmp_path / "audit.json")) as audit:
        for _ in range(2):
            token = audit.get_token(params={"client_secret": "s3cr:et"}).json()["access_token"]
        audit.call(f"Bearer {token}")
        audit.call(f"bearer {token}")
        status, output = audit.stop()
    written = (tmp_path / "audit.json").read_text(encoding="utf-8")
    assert status == 1
    assert "✗ DOES NOT CONFORM at level MUST" in output
    assert "because of basic.only, signing.bearer" in output
    assert "Next: fix basic.only, then audit again" in output
    assert "steps    seen 2 times; the traffic shows the first" in output
    assert "traffic  +0.00 s  #1 POST" in output
    for shown in (output, written):
        assert token not in shown
        assert "s3cr:et" not in shown
        assert "s3cr%3Aet" not in shown
    rows = {row["id"]: row for row in json.loads(written)["clauses"]}
    assert rows["signing.bearer"]["verdict"] == "failed"
    assert rows["signing.bearer"]["exchanges"][0]["at_seconds"] == 0.0
    assert rows["basic.only"]["reproduce"].startswith("curl")
    assert rows["signing.bearer"]["reproduce"] is None


def test_a_strict_broker_refuses_and_notes_it_too():
    with shop() as audit:
        assert audit.get_token(auth=("shop", "wrong")).status_code == 401
        status, output = audit.stop()
    assert status == 1
    assert "because of basic.credentials" in output


@pytest.mark.parametrize(("level", "status"), [("must", 0), ("should", 1)])
def test_advice_fails_an_audit_only_if_asked_to(level, status):
    with shop("--fail-on", level) as audit:
        audit.get_token(data={**GRANT, "audience": "x"})
        assert audit.stop()[0] == status


def test_nothing_seen_is_exit_status_5():
    with shop() as audit:
        audit.call("Bearer abcdefghijkl")
        status, output = audit.stop()
    assert status == 5
    assert "NOTHING WAS TESTED" in output
    assert re.search(r"never reached: no token request was seen \(\d+\)", output)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="the platform has no such signal")
def test_a_signal_asks_for_the_verdict_so_far_and_the_audit_goes_on():
    with shop() as audit:
        audit.process.send_signal(signal.SIGUSR1)
        assert "NOTHING WAS TESTED" in audit.read_until("NOTHING WAS TESTED")
        audit.get_token()
        audit.process.send_signal(signal.SIGUSR1)
        assert "request" in audit.read_until("✓ no violation seen")
        audit.get_token(data={})
        assert audit.stop()[0] == 1


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_enter_on_a_terminal_asks_for_the_verdict_so_far():
    import pty  # noqa: PLC0415 - where there is one

    keyboard, terminal = pty.openpty()
    try:
        with auditing("--client", "shop:s3cr:et", stdin=terminal) as audit:
            audit.get_token()
            os.write(keyboard, b"\n")
            audit.read_until("✓ no violation seen")
            # Two read the keyboard: one line, then its end, after which the audit goes on.
            os.write(keyboard, b"\n\x04")
            audit.read_until("✓ no violation seen")
            audit.get_token()
            assert audit.stop()[0] == 0
    finally:
        os.close(keyboard)
        os.close(terminal)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", "audit", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--nonsense",), "--nonsense"),
        (("--port", "99999"), "99999"),
        (("--client", "nocolon"), "ID:SECRET"),
        (("--profile", "nope"), "unknown profile 'nope'"),
        (("--host", "no.such.host.invalid", "--port", "0"), "cannot listen"),
        (("--fail-on", "never"), "never"),
        (("--json", "/nowhere/at/all.json"), "the folder does not exist"),
        (("--json", str(ROOT)), "this is a folder"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_status_4(arguments, words):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_report_that_cannot_be_written_is_one_sentence_after_it_is_shown(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    with shop("--json", str(folder / "audit.json")) as audit:
        audit.get_token()
        folder.rmdir()
        audit.process.send_signal(signal.SIGINT)
        output, errors = audit.process.communicate(timeout=20)
    assert audit.process.returncode == 3
    assert "✓ no violation seen" in output
    assert errors.startswith("mockbroker: the report cannot be written to ")
    assert errors.count("\n") == 1


def test_it_takes_every_option_of_serve():
    def options(command: str) -> set[str]:
        words = [sys.executable, "-m", "mockbroker", command, "--help"]
        text = subprocess.run(words, capture_output=True, text=True, check=True).stdout  # noqa: S603
        return set(re.findall(r"--[a-z-]+", text))

    # An audit judges the traffic of one process.
    shared = options("serve") - {"--state", "--workers", "--issuer"}
    assert options("audit") == shared | {
        *OUTPUT_OPTIONS,
        "--fail-on",
        "--verbose",
        "--env",
    }


APP = """
import os, sys
from examples.model_client import ApiClient, TokenManager
told = {name: os.environ[name] for name in sys.argv[1:]}
token_url, client_id, secret, api_url = told.values()
with ApiClient(TokenManager(token_url, client_id, secret), api_url) as client:
    for _ in range(4):
        client.request("GET", api_url + "/vehicle/1")
"""
OUTPUT_OPTIONS = ("--json", "--html", "--junit-xml", "--markdown", "--badge", "--sarif")
USUAL = ("TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET", "API_URL")
OWN = ("AG_TOKENS", "AG_USER", "AG_PASSWORD", "AG_API")
OWN_SETTINGS = ("{token_url}", "{client_id}", "{client_secret}", "{api_url}")


def audited(*arguments: str, status: int) -> str:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", "audit", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_an_app_is_run_and_judged_when_it_ends(tmp_path):
    report = tmp_path / "report.json"
    command = (sys.executable, "-c", APP, *USUAL)
    told = audited("--client", ":".join(SHOP), "--json", str(report), "--", *command, status=0)
    assert "ended with exit status 0" in told
    assert "no violation seen" in told
    assert "conform" not in told.lower()
    found = json.loads(report.read_text(encoding="utf-8"))
    verdicts = {row["id"]: row["verdict"] for row in found["clauses"]}
    assert (verdicts["request.method"], verdicts["cache.reuse"]) == ("passed", "passed")
    assert verdicts["tls.verify"] == "not-tested"


def test_an_app_is_told_of_the_broker_as_it_wants_to_be():
    settings = [f"--env={name}={text}" for name, text in zip(OWN, OWN_SETTINGS, strict=True)]
    told = audited(*settings, "--", sys.executable, "-c", APP, *OWN, status=0)
    assert "api calls 4" in told
    assert "KeyError" in audited(*settings, "--", sys.executable, "-c", APP, *USUAL, status=1)


def test_an_app_with_a_defect_does_not_conform():
    app = "import os, urllib.request as u; u.urlopen(os.environ['TOKEN_URL'] + '?grant_type=x')"
    told = audited("--lenient", "--", sys.executable, "-c", app, status=1)
    assert "✗ request.method (MUST, outage)" in told
    assert "ended with exit status" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--", "/no/such/program"), "'/no/such/program' cannot be started"),
        (("--env", "A={tokens}", "--", "true"), "unknown placeholder; known are {token_url}"),
        (("--env", "nothing", "--", "true"), "write it as NAME={token_url}"),
        (("--env", "A={token_url}"), "--env needs a COMMAND; write one after --"),
    ],
)
def test_a_wrong_way_to_run_an_app_is_one_sentence(arguments, message):
    told = audited("--port", "0", *arguments, status=4)
    assert message in told
    assert "Traceback" not in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_app_that_goes_on_is_ended_with_the_audit(number):
    app = "import time; print('app is up', flush=True); time.sleep(1000)"
    with auditing("--", sys.executable, "-c", app) as audit:
        audit.read_until("app is up")
        status, output = audit.stop(number)
    assert status == 5
    assert "ended with exit status -15" in output


@pytest.mark.parametrize(
    ("app", "status"),
    [("import sys; sys.exit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_an_app_that_fails_gives_its_own_exit_status(app, status):
    command = (sys.executable, "-c", f"{GET_TOKEN}; {app}")
    assert "✓ no violation seen" in audited("--", *command, status=status)


def test_a_command_that_fails_is_not_hidden_by_what_it_broke():
    command = (sys.executable, "-c", f"{GET_TOKEN}; get('?client_secret=x'); sys.exit(7)")
    assert "✗ DOES NOT CONFORM" in audited("--lenient", "--", *command, status=7)


GET_TOKEN = """
import base64, os, sys, urllib.request

def get(query=""):
    pair = f"{os.environ['CLIENT_ID']}:{os.environ['CLIENT_SECRET']}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    body = b"grant_type=client_credentials"
    request = urllib.request.Request(os.environ["TOKEN_URL"] + query, body, headers)
    return urllib.request.urlopen(request).read()

get()
""".strip()


def test_the_status_of_an_app_that_fails_outweighs_a_report_that_cannot_be_written(pytester):
    command = ("audit", "--json", "/dev/full", "--", "sh", "-c", "exit 7")
    done = pytester.run(sys.executable, "-m", "mockbroker", *command)
    assert done.ret == 7
    done.stderr.fnmatch_lines(["*/dev/full: No space left on device*"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_the_status_of_an_app_outweighs_a_report_that_cannot_be_printed():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mockbroker", "audit", "--", "sh", "-c", "exit 7"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (7, b"")


def test_a_process_of_an_app_that_cannot_be_ended_is_named(capsys):
    """Such a process belongs to another user or hangs in the kernel, so the app is a stub."""

    class Unending:
        exit_status: Future[int] = Future()

        def end(self) -> Ending:
            self.exit_status.set_result(0)
            return Ending((), (Process(7, 1, 7, 7, is_zombie=False, started="", name="sudo"),))

    end_app(Unending(), "app", by_ctrl_c=False)
    assert capsys.readouterr().out == (
        "app ended with exit status 0\nsudo (process 7) still runs: it cannot be ended\n"
    )
