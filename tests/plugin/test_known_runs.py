"""Runs that know of failures, that list them, and that play their examples first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.report.known_file import TODO
from tests.plugin.conftest import MODEL_CLIENT, verdicts

pytestmark = pytest.mark.slow

BY_GET = """
    import requests

    class Client:
        method = "GET"

        def __init__(self, config):
            self.config = config

        def get_token(self):
            answer = requests.request(
                self.method,
                self.config.token_url,
                auth=(self.config.client_id, self.config.client_secret),
                data={"grant_type": "client_credentials"},
                timeout=self.config.timeout,
            )
            return answer.json()["access_token"]

    make_client = Client
"""
QUICK = ("--only", "request", "--examples", "2")
CONTRACT_QUICK = ("--contract-only", "request", "--contract-examples", "2")
METHOD = '[[known]]\nclause = "request.method"\nreason = "an old library"\nissue = "ACME-17"\n'


def row_of(path: Path, clause_id: str) -> dict[str, object]:
    rows = json.loads(path.read_text(encoding="utf-8"))["clauses"]
    return next(row for row in rows if row["id"] == clause_id)


def standings(path: Path) -> dict[str, str]:
    rows = json.loads(path.read_text(encoding="utf-8"))["clauses"]
    return {row["id"]: row["known"]["standing"] for row in rows if row["known"]}


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_both_ways_of_running_know_a_failure(contract, check, pytester, workers):
    pytester.makepyfile(acme=BY_GET)
    (pytester.path / "known.toml").write_text(METHOD)
    options = (
        "--contract-known",
        "known.toml",
        "--contract-json",
        "a.json",
        *workers,
        "--contract-verbose",
    )
    by_pytest = contract("--contract-client", "acme.py", *CONTRACT_QUICK, *options)
    assert by_pytest.ret == 0
    by_pytest.stdout.fnmatch_lines(["*5 passed, *1 known*"])
    by_command = check("acme.py", *QUICK, "--known", "known.toml", "--json", "b.json", "-v")
    assert by_command.returncode == 0, by_command.stdout
    for output in (by_pytest.stdout.str(), by_command.stdout):
        shown = " ".join(output.split())
        assert (
            "known: an old library (ACME-17); found (failed): the client requested a token by GET"
            in shown
        )
        assert (
            "NOTHING FAILED at level MUST, known failures aside: 5 passed, 2 not-applicable, "
            f"{len(CATALOGUE) - 8} not-tested, 1" in shown
        )
        assert "✗ request.method" not in shown
    rows = [row_of(pytester.path / name, "request.method") for name in ("a.json", "b.json")]
    assert rows[0]["known"] == rows[1]["known"]
    assert rows[0]["reason"] == rows[1]["reason"]
    for row in rows:
        assert row["verdict"] == "known"
        assert row["steps"][1]["outcome"]["token"] == 1


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_stale_expired_and_unmatched_in_a_run(contract, pytester, workers):
    pytester.makepyfile(acme=BY_GET)
    (pytester.path / "known.toml").write_text(
        METHOD
        + "expires = 2020-02-29\n"
        + '[[known]]\nclause = "request.url"\nreason = "mended"\n'
        + '[[known]]\nclause = "basic.utf8"\nreason = "elsewhere"\n'
    )
    pytester.makeini("[pytest]\ncontract_known = known.toml\n")
    options = ("--contract-json", "report.json", *workers)
    result = contract("--contract-client", "acme.py", *CONTRACT_QUICK, *options)
    assert result.ret == 1
    result.assert_outcomes(passed=5, failed=1, skipped=1)
    shown = " ".join(result.stdout.str().split())
    assert "the known failure expired on 2020-02-29: an old library (ACME-17)" in shown
    assert "1 stale, 1 expired, 1 unmatched" in shown
    assert "? unmatched basic.utf8: not-tested, not selected in this run" in shown
    assert "because of request.method, request.url" in shown
    assert standings(pytester.path / "report.json") == {
        "request.method": "expired",
        "request.url": "stale",
        "basic.utf8": "unmatched",
    }
    found = verdicts(pytester.path / "report.json")
    assert (found["request.method"], found["request.url"]) == ("failed", "stale")


def test_stale_alone_fails_the_run(contract, check, pytester):
    (pytester.path / "known.toml").write_text(METHOD)
    by_command = check(str(MODEL_CLIENT), *QUICK, "--known", "known.toml")
    assert by_command.returncode == 1
    assert "Next: request.method passes; remove its entry from known.toml" in by_command.stdout
    options = ("--contract-known", "known.toml")
    assert contract("--contract-client", str(MODEL_CLIENT), *CONTRACT_QUICK, *options).ret == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read known.toml: No such file or directory"),
        (
            METHOD.replace("method", "methd"),
            "[0]: unknown clause 'request.methd'; did you mean",
        ),
    ],
)
def test_a_bad_file_ends_a_run_before_it_begins(contract, check, pytester, text, message):
    if text:
        (pytester.path / "known.toml").write_text(text)
    by_command = check(str(MODEL_CLIENT), "--known", "known.toml")
    assert by_command.returncode == 4
    assert message in by_command.stderr
    assert by_command.stderr.count("\n") == 1
    by_pytest = contract("--contract-client", str(MODEL_CLIENT), "--contract-known", "known.toml")
    assert by_pytest.ret == 4
    assert message in by_pytest.stdout.str() + by_pytest.stderr.str()
    assert "Traceback" not in by_pytest.stdout.str() + by_pytest.stderr.str()


@pytest.mark.covers
@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("no/such/known.toml", "the folder does not exist"),
        (".", "this is a folder; give the name of a file"),
        ("bad.toml", "bad.toml is not a valid TOML file"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_the_run(check, pytester, file, message):
    (pytester.path / "bad.toml").write_text("precious, but no TOML")
    result = check(str(MODEL_CLIENT), "--write-known", file)
    assert result.returncode == 4
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert (pytester.path / "bad.toml").read_text() == "precious, but no TOML"


def test_a_client_can_be_taken_as_it_is_and_then_be_mended(check, pytester):
    pytester.makepyfile(acme=BY_GET)
    file = pytester.path / "known.toml"
    first = check("acme.py", *QUICK, "--write-known", "known.toml")
    assert first.returncode == 1
    assert "Wrote known.toml with 1 known failure; replace the 1 TODO with a reason\n" in (
        first.stdout
    )
    assert 'found = "failed: the client requested a token by GET; expected' in file.read_text()
    assert f'reason = "{TODO}"' in file.read_text()

    again = check("acme.py", *QUICK, "--known", "known.toml")
    assert again.returncode == 1, again.stdout
    assert "known.toml has no reason why request.method may fail" in " ".join(again.stdout.split())

    file.write_text(f"# mine\n\n{file.read_text().replace(TODO, 'it is theirs')}# the end\n")
    kept = file.read_text()
    both = check("acme.py", *QUICK, "--known", "known.toml", "--write-known", "known.toml")
    assert both.returncode == 0
    assert "Wrote known.toml with 1 known failure\n" in both.stdout
    assert file.read_text() == kept

    pytester.makepyfile(acme=BY_GET.replace('"GET"', '"POST"'))
    mended = check("acme.py", *QUICK, "--write-known", "known.toml")
    assert mended.returncode == 0
    assert "removed request.method: it passes" in mended.stdout
    assert "[[known]]\n" not in file.read_text().partition("\n\n")[2]


@pytest.mark.covers
def test_a_file_that_cannot_be_written_after_all_is_told_in_a_sentence(check):
    result = check(str(MODEL_CLIENT), "--only", "request.url", "--write-known", "/dev/full")
    assert result.returncode == 3
    assert result.stderr == "mockbroker: cannot write full: No space left on device\n"


@pytest.mark.covers
def test_a_run_that_judges_nothing_writes_nothing(check, pytester):
    pytester.makepyfile(acme=BY_GET.replace('"GET"', '"POST"'))
    result = check("acme.py", "--only", "signing.bearer", "--write-known", "known.toml")
    assert result.returncode == 5
    assert "known.toml was not written: the run came to no verdict" in result.stdout
    assert not (pytester.path / "known.toml").exists()


# -- examples that are kept ------------------------------------------------------------------------

PICKY = BY_GET.replace('"GET"', '"POST"').replace(
    "            answer =",
    "            secret = self.config.client_secret\n"
    "            if 'tr4p' in secret: raise ValueError(secret)\n"
    "            answer =",
)
"""A client that fails for secrets which nothing but a kept example has."""
KEPT = """
[[known]]
clause = "basic.credentials"
reason = "rare"
example = {example}
"""
TRAP = '[{credentials = ["an-id", "the-tr4p-s3cret"]}, 3599, "get_token"]'
CREDENTIALS = ("--only", "basic.credentials", "--examples", "1", "--json", "report.json")


def run_with_example(check, pytester, example):
    pytester.makepyfile(acme=PICKY)
    (pytester.path / "known.toml").write_text(KEPT.replace("{example}", example))
    result = check("acme.py", *CREDENTIALS, "--known", "known.toml", "--verbose")
    assert "Traceback" not in result.stdout + result.stderr
    return result, " ".join(result.stdout.split())


@pytest.mark.covers
def test_an_example_that_is_kept_is_played_first_and_its_secret_is_masked_in_errors(
    check, pytester
):
    result, shown = run_with_example(check, pytester, TRAP)
    assert result.returncode == 0, shown
    assert "k MUST credentials known: rare; found (failed)" in shown
    assert "the client raised ValueError: <secret>" in shown
    assert "ignored" not in shown
    # The step that configures the client shows it, and nothing else: it is the kit's own.
    assert (
        "tr4p" not in result.stdout.replace("client_secret 'the-tr4p-s3cret'", "") + result.stderr
    )
    file = pytester.path / "known.toml"
    check("acme.py", *CREDENTIALS, "--known", "known.toml", "--write-known", "known.toml")
    assert f"example = {TRAP}\n" in file.read_text()


@pytest.mark.parametrize(
    ("example", "why"),
    [
        ('"text"', "its scenario now draws others"),
        (TRAP.replace("3599, ", ""), "its scenario now draws others"),
        (TRAP.replace("3599", '"3599"'), "its scenario now draws others"),
        (TRAP.replace("get_token", "request"), "its scenario now draws others"),
        (TRAP.replace("credentials", "creds"), "unknown kind of value 'creds'; known are"),
        (TRAP.replace('"an-id", ', ""), "the value of 'credentials' is invalid"),
        (TRAP.replace("3599", "1999-12-31"), "'date' is not a valid part of an example"),
        (
            TRAP.replace("3599", str(-(10**400))),
            "its scenario cannot run it any more (ValueError)",
        ),
    ],
)
def test_an_example_that_cannot_be_played_any_more_is_ignored_and_told(
    check, pytester, example, why
):
    result, shown = run_with_example(check, pytester, example)
    assert result.returncode == 1
    assert (
        f"s stale basic.credentials: passes; remove its entry; its example was ignored: {why}"
        in (shown)
    )
    assert "tr4p" not in shown


TAKES_NO_SHORTER_LIFETIME = """
    import time

    import requests

    class Client:
        def __init__(self, config):
            self.config = config
            self.until = self.longest = 0

        def get_token(self):
            if time.time() >= self.until:
                self.fetch()
            return self.token

        def fetch(self):
            answer = requests.post(
                self.config.token_url,
                auth=(self.config.client_id, self.config.client_secret),
                data={"grant_type": "client_credentials"},
                timeout=self.config.timeout,
            )
            answer.raise_for_status()
            lifetime = answer.json()["expires_in"]
            if 600 < lifetime < self.longest:
                raise ValueError("the broker's clock must be wrong")
            self.longest = max(self.longest, lifetime)
            self.until = time.time() + lifetime
            self.token = answer.json()["access_token"]

    make_client = Client
"""


def test_what_the_state_machine_found_is_kept(check, pytester):
    pytester.makepyfile(acme=TAKES_NO_SHORTER_LIFETIME)
    options = ("--only", "lifecycle", "--examples", "150", "--write-known", "known.toml")
    assert check("acme.py", *options).returncode == 1
    assert 'example = [["begin", ' in (pytester.path / "known.toml").read_text(encoding="utf-8")


@pytest.mark.covers
def test_a_life_is_lived_again(check, pytester):
    pytester.makepyfile(acme=TAKES_NO_SHORTER_LIFETIME)
    life = '[["begin", 6502], ["use", 0, 0], ["expire_and_use", 0, 6501, 0]]'
    listed = f'[[known]]\nclause = "lifecycle"\nreason = "odd"\nexample = {life}\n'
    (pytester.path / "known.toml").write_text(listed)
    options = ("--only", "lifecycle", "--examples", "1", "--json", "report.json")
    for files, status in (("--known", 0), ("--write-known", 1)):
        assert check("acme.py", *options, files, "known.toml").returncode == status
        steps = row_of(pytester.path / "report.json", "lifecycle")["steps"]
        assert {6501, 6502} <= {step.get("expires_in") for step in steps}
    assert f"example = {life}" in (pytester.path / "known.toml").read_text(encoding="utf-8")


def test_a_life_that_cannot_be_lived_any_more_is_told(check, pytester):
    pytester.makepyfile(acme=TAKES_NO_SHORTER_LIFETIME)
    example = '[["begin", 3599], ["expire_and_use", "soon"]]'
    listed = f'[[known]]\nclause = "lifecycle"\nreason = "odd"\nexample = {example}\n'
    (pytester.path / "known.toml").write_text(listed)
    options = ("--only", "lifecycle", "--examples", "1", "--known", "known.toml")
    shown = " ".join(check("acme.py", *options).stdout.split())
    assert "its example was ignored: 'expire_and_use' takes other values" in shown
