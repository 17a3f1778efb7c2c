"""Runs in which something goes wrong: the kit, the time, or somebody ends them."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from mockbroker.model.breach import Breach
from mockbroker_contract.harness.budget import Budget, OutOfTime
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.harness.shrinking import ShrinkLimit
from tests.plugin.conftest import MODEL_CLIENT, WARNINGS, verdicts

BROKEN_KIT = """
    from mockbroker_contract.harness.scenario import Scenario
    from mockbroker.model.credentials import Credentials

    class Odd(Exception):
        def __str__(self):
            raise SystemExit(0)

        __repr__ = __str__

    def share(scenario, explore):
        if scenario.clause.id == "request.method":
            pair = Credentials("client", "a-s3cret-of-ours")
            raise Odd(pair.client_secret)
        return real(scenario, explore)

    real, Scenario.share = Scenario.share, share
"""
"""A kit with a defect: it raises what cannot be printed, and has a secret at hand."""

QUICK = ("--contract-only", "request.method,request.url", "--contract-examples", "2")
MODEL = ("--contract-client", str(MODEL_CLIENT))


def report_in(folder: Path) -> dict[str, object]:
    return json.loads((folder / "a.json").read_text(encoding="utf-8"))


def row(report, clause_id):
    return next(row for row in report["clauses"] if row["id"] == clause_id)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_an_error_of_the_kit_is_a_verdict_of_its_own_and_the_run_goes_on(
    contract, pytester, workers
):
    pytester.makepyfile(broken_kit=BROKEN_KIT)
    options = ("-p", "broken_kit", *workers, "--contract-json", "a.json")
    result = contract(*MODEL, *QUICK, *options)
    assert result.ret == 3
    found = verdicts(pytester.path / "a.json")
    assert (found["request.method"], found["request.url"]) == ("error", "passed")
    report = report_in(pytester.path)
    assert (report["conforms"], report["conclusion"]) == (False, "the kit failed")
    row_of_error = row(report, "request.method")
    assert row_of_error["reason"] == "the kit failed: Odd: <secret>"
    assert "in share\n" in row_of_error["details"]
    assert "THE KIT FAILED" in result.stdout.str()


def test_a_check_tells_an_error_of_the_kit_as_well(pytester):
    pytester.makepyfile(broken_kit=BROKEN_KIT)
    program = "import broken_kit; from mockbroker.cli.commands import main; main()"
    options = ("--only", "request.method,request.url", "--examples", "2", "--json", "a.json")
    (pytester.path / "known.toml").write_text(
        '[[known]]\nclause = "request.method"\nreason = "old"\n', encoding="utf-8"
    )
    known = ("--known", "known.toml", "--write-known", "new.toml")
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, "check", str(MODEL_CLIENT), *options, *known],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3
    assert "ERRORS OF THE KIT" in done.stdout
    assert "1 unmatched" in done.stdout
    assert "new.toml was not written" in done.stdout
    assert not (pytester.path / "new.toml").exists()


FIXTURE = """
    import pytest

    @pytest.fixture(scope="session")
    def contract_client_factory():
        {body}
"""


def test_a_fixture_that_skips_leaves_each_clause_untested(contract, pytester):
    pytester.makeconftest(FIXTURE.format(body="pytest.skip('no licence')"))
    result = contract(*QUICK, "--contract-json", "a.json")
    assert result.ret == 5
    found = verdicts(pytester.path / "a.json")
    assert found["request.method"] == found["request.url"] == "not-tested"
    assert "no licence" in row(report_in(pytester.path), "request.url")["reason"]


@pytest.mark.parametrize(
    ("conftest", "told"),
    [
        (FIXTURE.format(body="raise OSError('no\\x1b[31m licence')"), "OSError: no"),
        (FIXTURE.format(body="return nowhere"), "NameError: name 'nowhere' is not defined"),
        (
            FIXTURE.replace("factory()", "factory(tmp_path)").format(body="return tmp_path"),
            "ScopeMismatch",
        ),
        (
            FIXTURE.replace("factory()", "factory(nowhere)").format(body="return nowhere"),
            "fixture 'nowhere' not found",
        ),
    ],
)
def test_a_fixture_of_the_users_that_fails_is_no_error_of_the_kit(
    contract, pytester, conftest, told
):
    pytester.makeconftest(conftest)
    result = contract(*QUICK)
    output = result.stdout.str() + result.stderr.str()
    assert result.ret == 4, output
    assert "the fixture contract_client_factory failed: " in output
    assert told in output
    assert "authors of mockbroker" not in output
    assert "\x1b[31m licence" not in output


SPOILED = {
    "nothing is run": """
        def pytest_runtest_protocol(item):
            return item.name == "test_method" or None
    """,
    "the session ends early": """
        import pytest
        def pytest_runtest_setup(item):
            if item.name == "test_method":
                pytest.exit("bye", returncode=0)
    """,
}


@pytest.mark.parametrize("kind", SPOILED)
def test_a_clause_without_a_verdict_is_an_error(contract, pytester, kind):
    pytester.makepyfile(spoils=SPOILED[kind])
    result = contract(*MODEL, *QUICK, "--contract-json", "a.json", "-p", "spoils")
    assert result.ret == 3
    found = row(report_in(pytester.path), "request.method")
    assert (found["verdict"], found["reason"]) == ("error", "the kit reached no verdict")


def test_an_internal_error_of_pytest_leaves_a_report(contract, pytester):
    pytester.makepyfile(spoils="def pytest_runtest_logfinish(nodeid): raise KeyError('logfinish')")
    result = contract(*MODEL, *QUICK, "--contract-json", "a.json", "-p", "spoils")
    assert result.ret == 3
    assert "KeyError: logfinish" in report_in(pytester.path)["errors"][0]["reason"]
    assert "THE KIT FAILED" in result.stdout.str()


def test_what_fails_when_the_session_ends_is_told_in_the_report(contract, pytester):
    pytester.makeconftest("def pytest_sessionfinish(): raise KeyError('finish')")
    result = contract(*MODEL, *QUICK, "--contract-json", "a.json")
    assert result.ret == 3
    assert "KeyError: finish" in report_in(pytester.path)["errors"][0]["reason"]


def test_a_run_that_stops_at_the_first_failure_is_partial_and_no_error(contract, pytester):
    pytester.makepyfile(acme=BY_GET)
    options = ("-x", "-p", "no:randomly", "--contract-json", "a.json", "--contract-client", "acme")
    assert contract(*QUICK, *options).ret == 1
    report = report_in(pytester.path)
    assert report["partial"] is True
    assert row(report, "request.url")["reason"] == "not reached: pytest stopped the run early"


BY_GET = """
    import requests

    class Client:
        def __init__(self, config):
            self.config = config

        def get_token(self):
            pair = (self.config.client_id, self.config.client_secret)
            form = {"grant_type": "client_credentials"}
            answer = requests.get(self.config.token_url, auth=pair, data=form, timeout=5)
            print("\\x1b[31m::error::x")
            return answer.json()["access_token"]

    make_client = Client
"""


def test_what_a_client_prints_is_escaped_where_pytest_shows_it(contract, pytester):
    pytester.makepyfile(acme=BY_GET)
    result = contract(*QUICK, "--contract-client", "acme", "--contract-show-output")
    assert r"\x1b[31m\x3a:error::x" in result.stdout.str()
    assert "\x1b[31m::" not in result.stdout.str()


# Time


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_a_budget_is_a_number_of_seconds(contract, text):
    result = contract(*MODEL, f"--contract-budget={text}")
    assert result.ret == 4
    assert (
        "--contract-budget must be a number of seconds >= 0 (0 means no limit), "
        f"not '{text}'" in result.stdout.str() + result.stderr.str()
    )


def test_what_a_run_has_no_time_for_is_not_tested_and_nothing_conforms(check, pytester):
    options = ("--examples", "2", "--json", "a.json", "--budget", "0.001")
    result = check(str(MODEL_CLIENT), *options)
    assert result.returncode == 5
    applicable = [
        entry
        for entry in report_in(pytester.path)["clauses"]
        if entry["verdict"] != "not-applicable"
    ]
    assert {entry["verdict"] for entry in applicable} == {"not-tested"}
    reasons = {entry["reason"] for entry in applicable}
    assert reasons == {"out of time (budget of 0.001 s); raise --budget"}
    assert "Next: the run was out of time; give it more with --budget" in result.stdout


class Moments:
    """A clock that shows one moment after another."""

    def __init__(self, *moments: float) -> None:
        self.moments = list(moments)

    def __call__(self) -> float:
        return self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]


def breach() -> ContractBreached:
    return ContractBreached((Breach("request.method", "by GET", "POST"),))


def explore(limit: ShrinkLimit, play: Callable[[object], None]) -> None:
    """Play twice, as Hypothesis does: a failure is looked into by another play."""
    limited = limit.limited(play)
    with limit.in_force():
        with contextlib.suppress(ContractBreached):
            limited(1)
        limited(2)


def test_a_breach_found_before_the_time_was_up_counts(monkeypatch):
    monkeypatch.setattr("mockbroker_contract.harness.budget.real_seconds", Moments(0, 0, 2))
    limit = ShrinkLimit(100, Budget(1))

    def play(_: object) -> None:
        raise breach()

    with pytest.raises(ContractBreached):
        explore(limit, play)


def test_a_clause_cut_short_without_a_breach_has_no_verdict(monkeypatch):
    monkeypatch.setattr("mockbroker_contract.harness.budget.real_seconds", Moments(0, 0, 2))
    limit = ShrinkLimit(100, Budget(1))
    with pytest.raises(OutOfTime):
        explore(limit, lambda _: None)


def test_no_budget_is_no_limit(monkeypatch):
    monkeypatch.setattr("mockbroker_contract.harness.budget.real_seconds", Moments(0, 1e12))
    assert not Budget(0).is_spent


# Signals

FILES = ("--json", "a.json", "--html", "a.html", "--junit-xml", "a.xml", "--markdown", "a.md")


@pytest.fixture
def begun(pytester):
    """A check that has judged its first clause, and goes on."""
    (pytester.path / "known.toml").write_text("", encoding="utf-8")
    program = textwrap.dedent("""
        import os
        from pytest_mockbroker import collector
        from mockbroker.cli.commands import main

        told = collector.VerdictCollector.receive
        def receive(self, report):
            told(self, report)
            os.write(2, b"judged\\n")
        collector.VerdictCollector.receive = receive
        main()
    """)
    known = ("--write-known", "known.toml", "--badge", "a.svg")
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, "check", str(MODEL_CLIENT), *FILES, *known],
        cwd=pytester.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "judged" not in process.stderr.readline():
        assert process.poll() is None
    yield process
    process.kill()
    process.communicate(timeout=20)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_leaves_a_partial_report_in_every_form(begun, pytester, name):
    begun.send_signal(getattr(signal, name))
    output, _ = begun.communicate(timeout=60)
    assert begun.returncode == 2
    assert "INTERRUPTED, a partial report" in output
    assert "known.toml was not written" in output
    report = report_in(pytester.path)
    assert (report["interrupted"], report["partial"], report["conforms"]) == (True, True, False)
    for file in ("a.html", "a.xml", "a.md", "a.svg"):
        assert "interrupted" in (pytester.path / file).read_text(encoding="utf-8")


def test_a_signal_while_the_command_is_loaded_leaves_a_report(pytester):
    program = (
        "import signal, sys\n"
        "from mockbroker.processes.signals import hold_signals\n"
        "hold_signals()\n"
        "signal.raise_signal(signal.SIGTERM)\n"
        "from mockbroker.cli.commands import main\n"
        "main()\n"
    )
    done = pytester.run(
        sys.executable, "-c", program, "check", str(MODEL_CLIENT), "--json", "a.json"
    )
    assert done.ret == 2
    done.stdout.fnmatch_lines(["*INTERRUPTED*"])
    assert report_in(pytester.path)["interrupted"]


def test_a_command_that_handles_no_signals_ends_by_them(pytester):
    program = (
        "import signal\n"
        "from mockbroker.processes.signals import hold_signals\n"
        "hold_signals()\n"
        "signal.raise_signal(signal.SIGTERM)\n"
        "from mockbroker.cli.commands import main\n"
        "main()\n"
    )
    done = pytester.run(sys.executable, "-c", program, "clauses")
    assert done.ret == -signal.SIGTERM


def test_the_report_says_nothing_of_signals_that_come_too_late():
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    from pytest_mockbroker.interruption import Interruption  # noqa: PLC0415 - beside its test

    with Interruption() as interruption:
        interruption.end()
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_second_signal_ends_the_process_at_once():
    program = (
        "import signal, contextlib\n"
        "from pytest_mockbroker.interruption import Interruption\n"
        "with Interruption():\n"
        "    with contextlib.suppress(KeyboardInterrupt): signal.raise_signal(signal.SIGTERM)\n"
        "    signal.raise_signal(signal.SIGHUP)\n"
        "print('still there')\n"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")


# The exit status

CAUGHT_IN_EXEC = """
    import contextlib, signal, sys
    from pytest_mockbroker.interruption import Interruption

    with Interruption(), contextlib.suppress(KeyboardInterrupt):
        # Dataclasses and namedtuples are made by exec() of a string.
        exec("signal.raise_signal(signal.SIGTERM)")
    sys.exit(2)
"""


def test_a_signal_within_generated_code_leaves_the_exit_status(pytester):
    pytester.makepyfile(interrupted=CAUGHT_IN_EXEC)
    done = pytester.run(sys.executable, "-m", "interrupted")
    assert done.ret == 2


LEAVES_HOOKS = """
    import atexit, os, threading
    from examples.model_client import make_client as model

    def make_client(config):
        atexit.register(os._exit, 0)
        threading.Thread(target=threading.Event().wait).start()
        return model(config)
"""


def test_nothing_that_a_client_leaves_changes_the_exit_status(check, pytester):
    pytester.makepyfile(acme=LEAVES_HOOKS)
    root = str(MODEL_CLIENT.parents[1])
    result = check("acme.py", "--only", "request.method", "--examples", "1", PYTHONPATH=root)
    assert result.returncode == 0, result.stderr
    result = check("acme.py", "--only", "request.method", "--json", "/dev/full", PYTHONPATH=root)
    assert result.returncode == 3


def test_what_a_target_says_is_escaped_in_an_error_message(check, pytester):
    pytester.makepyfile(acme="raise RuntimeError('a\\x1b[31m\\n::error::b')")
    result = check("acme.py")
    assert result.returncode == 4
    assert not re.search(r"(?m)\x1b|^\s*::", result.stderr)
    assert r"a\x1b[31m" in result.stderr


@pytest.mark.parametrize("found", ["None", "5", "pathlib.Path('acme.py')", "''"])
def test_a_fixture_that_returns_no_factory_is_a_usage_error(contract, pytester, found):
    pytester.makeconftest(
        "import pathlib\n" + textwrap.dedent(FIXTURE.format(body=f"return {found}"))
    )
    result = contract(*QUICK)
    assert result.ret == 4
    assert "package.module:factory" in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_a_factory_that_ends_the_process_is_told_as_one(contract, pytester):
    pytester.makeconftest(FIXTURE.format(body="import os; return lambda config: os._exit(0)"))
    result = contract(*QUICK)
    assert result.ret == 4
    assert "(exit status 0)" in result.stdout.str()
    assert "driver-test" not in result.stdout.str()


def test_a_factory_is_forked_from_a_run_without_a_standard_stream(contract, pytester):
    pytester.makepyfile(acme=MODEL_CLIENT.read_text(encoding="utf-8"))
    body = "import sys; sys.path[:0] = ['.']; import acme; sys.stderr = None"
    body += "; return acme.make_client"
    pytester.makeconftest(FIXTURE.format(body=body))
    result = contract(*QUICK, "--contract-json", "a.json", "-p", "no:terminal", "-s")
    assert result.ret == 0
    limits = report_in(pytester.path)["limits"]
    assert any("threads that the run had started do not run there" in each for each in limits)


def test_a_client_in_a_run_patched_by_eventlet_cannot_be_judged(contract, pytester):
    pytester.makeconftest(
        FIXTURE.format(body="import eventlet; eventlet.monkey_patch(); return 'acme.py'")
    )
    result = contract(*QUICK, "-W", "ignore")  # it warns that it is deprecated
    assert result.ret == 4
    assert "run `mockbroker check TARGET`" in result.stdout.str()


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
@pytest.mark.parametrize("has_tests", [True, False])
def test_a_client_that_is_named_without_the_contract_does_not_pass(pytester, has_tests, workers):
    name = "test_own.py" if has_tests else "empty.py"
    (pytester.path / name).write_text("def test_own(): pass\n", encoding="utf-8")
    result = pytester.runpytest_subprocess(
        *WARNINGS, "--contract-client", str(MODEL_CLIENT), *workers
    )
    assert result.ret == 4
    assert "add --pyargs mockbroker_contract" in result.stdout.str()
