"""What a driver does wrong is told, bounded, and never held against the client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from mockbroker_contract.timing.faked_clock import find_libfaketime
from tests.processes import MARK, left_behind, new_mark

pytestmark = pytest.mark.slow
# Without site: coverage would start in the driver, and complain to stderr that the guard keeps it
# from its file.
DRIVER = f"{sys.executable} -S {Path(__file__).parent / 'faulty.py'}"
FAULTED, UNTOUCHED = "signing.forbidden", "secrecy.files"


def check(fault: str, folder: Path, **environment: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit status and rows, by clause id, of a check of the two clauses."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "mockbroker", "check", "--only", "*.f*", "--examples", "1"]
    command += ["--exec", f"{DRIVER} '{fault}'", "--json", str(report)]
    done = subprocess.run(  # noqa: S603 - our own program
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert report.is_file(), done.stdout + done.stderr
    rows = json.loads(report.read_text(encoding="utf-8"))["clauses"]
    return done.returncode, {row["id"]: row for row in rows}


def covering(values: Iterable[Any], *covered: str) -> list[Any]:
    """The values of a parameter, those that the coverage run needs marked."""
    names = [each[0] if isinstance(each, tuple) else each for each in values]
    assert set(covered) <= set(names)
    return [
        pytest.param(
            *(each if isinstance(each, tuple) else (each,)),
            marks=[pytest.mark.covers] if name in covered else [],
        )
        for name, each in zip(names, values, strict=True)
    ]


@pytest.mark.parametrize(
    "fault", covering(["none", "splits lines", "floods stderr", "hangs at bye"], "none")
)
def test_what_breaks_no_rule_changes_no_verdict(fault, tmp_path):
    status, rows = check(fault, tmp_path)
    assert status == 0
    assert {rows[name]["verdict"] for name in (FAULTED, UNTOUCHED)} == {"passed"}


FAULTS = {
    "says another id": "has id",
    "prints junk": "which is not JSON",
    "floods stdout": "more than 1000000 bytes in one line",
    "answers twice": "stdout had a line before",
    "fails itself": "the driver failed at request",
    "nests deeply": "which is not JSON",
    "says nothing useful": "the answer to request: ok: expected an object, got a string",
}


@pytest.mark.parametrize("fault", covering(FAULTS, "prints junk", "floods stdout"))
def test_a_broken_protocol_is_the_drivers_fault(fault, tmp_path):
    status, rows = check(fault, tmp_path)
    assert status == 4
    assert rows[FAULTED]["verdict"] == "not-tested"
    assert FAULTS[fault] in rows[FAULTED]["reason"]
    assert '"op": "' in rows[FAULTED]["details"]
    assert rows[UNTOUCHED]["verdict"] == "passed"


@pytest.mark.covers
def test_a_driver_that_dies_is_a_crash_with_its_last_words(tmp_path):
    status, rows = check("dies", tmp_path)
    assert status == 0  # the clause is a SHOULD
    assert rows[FAULTED]["verdict"] == "crash"
    assert "exit status 7" in rows[FAULTED]["reason"]
    assert "panic: out of cheese" in rows[FAULTED]["details"]
    assert rows[UNTOUCHED]["verdict"] == "passed"


@pytest.mark.covers
def test_a_driver_that_falls_silent_hangs(tmp_path):
    _, rows = check("is silent", tmp_path)
    assert rows[FAULTED]["verdict"] == "hang"
    assert rows[UNTOUCHED]["verdict"] == "passed"


def test_what_a_driver_has_begun_ends_with_it(tmp_path):
    mark = new_mark()
    status, _ = check("leaves a child", tmp_path, **{MARK: mark})
    assert status == 0
    assert not left_behind(mark)


@pytest.mark.skipif(find_libfaketime() is None, reason="libfaketime is not installed")
def test_a_driver_without_a_clock_is_moved_by_libfaketime(tmp_path):
    report = tmp_path / "report.json"
    command = [
        sys.executable,
        "-m",
        "mockbroker",
        "check",
        "--only",
        "refresh.a*",
        "--examples",
        "1",
    ]
    command += ["--exec", f"{DRIVER} none", "--json", str(report)]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)  # noqa: S603 - our own
    measured = json.loads(report.read_text(encoding="utf-8"))["measured"]
    assert measured["clock"] == "libfaketime"
    assert (measured["leeway_seconds"], measured["leeway_kind"]) == ([30.0, 30.0], "fixed")


def driver_test(fault: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "mockbroker", "driver-test"]
    command += ["--exec", f"{DRIVER} '{fault}'"]
    done = subprocess.run(  # noqa: S603 - our own program
        command, capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


@pytest.mark.covers
def test_a_driver_without_fault_is_ready():
    status, told = driver_test("none")
    assert status == 0
    assert "✓ bye ends the program and every process that it started" in told
    assert "- advance moves the clock: a token expires (clock is not offered)" in told
    moved = "✓ a check moves the time of the client by libfaketime"
    waits = "- a check moves the time of the client (nothing can: only tokens that expire"
    assert (waits if find_libfaketime() is None else moved) in told


@pytest.mark.covers
def test_what_may_be_the_clients_doing_is_not_held_against_the_driver():
    status, told = driver_test("takes anything for a token")
    assert "did not answer err; expected" in told
    assert "unless the client itself saw no failure in it" in told
    assert status == 0


@pytest.mark.parametrize(
    ("fault", "words"),
    covering(
        [("dies at open", "exit status 7"), ("fails at open", "cannot load the library")],
        "dies at open",
        "fails at open",
    ),
)
def test_a_driver_that_makes_no_client_cannot_be_used(fault, words):
    command = [sys.executable, "-m", "mockbroker", "check"]
    command += ["--exec", f"{DRIVER} '{fault}'"]
    done = subprocess.run(  # noqa: S603 - our own program
        command, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.startswith("mockbroker: no client could be made: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize(
    ("fault", "words"),
    covering(
        [
            *FAULTS.items(),
            ("dies", "stderr: panic: out of cheese"),
            ("lets exceptions through", "✗ a malformed token response is answered with err"),
            ("hangs at bye", "✗ bye ends the program"),
            ("leaves a child", "left other processes running after bye"),
            ("knows no clients", "two clients with two client_ids got one token"),
        ],
        "fails itself",
        "answers twice",
        "lets exceptions through",
        "leaves a child",
        "knows no clients",
        "dies",
    ),
)
def test_what_a_driver_does_wrong_is_told_before_any_clause_is_judged(fault, words):
    status, told = driver_test(fault)
    assert status == 1
    assert words.replace("answer to request", "answer to get_token").replace(
        "failed at request", "failed at get_token"
    ) in " ".join(told.split())
    assert "drivers3cret" not in told


@pytest.mark.covers
def test_a_command_that_cannot_be_run_is_one_sentence():
    for command in ("no-such-program --now", "'unclosed", ""):
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "mockbroker", "driver-test", "--exec", command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 4
        assert done.stderr.count("\n") == 1, done.stderr
