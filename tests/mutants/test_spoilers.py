"""Clients that would spoil a run: it goes on, in bounded time, and each clause has its verdict."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from examples.model_client import TokenError, TokenManager, make_client
from mockbroker.contract import clauses
from mockbroker.report.finding import Verdict
from mockbroker_contract.drivers.python_clients import PythonClients
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.harness.preflight import checked_run
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.settings import RunSettings
from tests.mutants.kit import scenarios, verdicts_on
from tests.mutants.workshop import make

pytestmark = pytest.mark.slow


class LeavesWhenRefused(TokenManager):
    """Ends the program when the broker answers 401."""

    def leave(self):
        sys.exit("no token")

    def _read_token(self, response, asked_at):
        if response.status_code == 401:
            self.leave()
        return super()._read_token(response, asked_at)


class LeavesAtOnceWhenRefused(LeavesWhenRefused):
    def leave(self):
        os._exit(3)


@pytest.mark.parametrize("cls", [LeavesWhenRefused, LeavesAtOnceWhenRefused])
def test_a_client_that_ends_the_program_crashes_where_it_does_and_nowhere_else(cls):
    found = verdicts_on(lambda config: make(cls, config))
    assert found[clauses.errors.INVALID_CLIENT][0] is Verdict.CRASH
    crashed = {name for name, (verdict, _) in found.items() if verdict is Verdict.CRASH}
    assert crashed == set(found)
    # Refused token requests are also among what cleanup.bounded counts the threads of.
    others = {
        clause for clause in found if clause.chapter not in ("errors", "secrecy", "lifecycle")
    }
    assert others == {clauses.cleanup.BOUNDED}


class AlwaysLeaves:
    def __init__(self, config):
        pass

    def get_token(self):
        sys.exit("bye")


def test_a_client_that_always_ends_the_program_crashes_once_and_blocks_the_rest():
    found = verdicts_on(AlwaysLeaves)
    assert found.pop(clauses.response.DOCUMENTED)[0] is Verdict.CRASH
    assert {name for name, _ in scenarios()} == {*found, clauses.response.DOCUMENTED}
    assert {verdict for verdict, _ in found.values()} == {
        Verdict.NOT_TESTED,
        Verdict.NOT_APPLICABLE,
    }


class UnprintableError(TokenError):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class RaisesTheUnprintable(TokenManager):
    def _fetch_token(self):
        try:
            return super()._fetch_token()
        except TokenError as error:
            raise UnprintableError(str(error)) from None


class Upsetting(TokenManager):
    """Changes what a process has only one of, and leaves a mess behind."""

    def _fetch_token(self):
        socket.setdefaulttimeout(0.001)
        os.umask(0)
        warnings.simplefilter("error")
        for stream in (sys.stdout, sys.stderr):
            stream.write("x" * 100_000)
        threading.Thread(target=threading.Event().wait, args=(3600,)).start()
        return super()._fetch_token()


class SleepsForAnHour(TokenManager):
    def _fetch_token(self):
        token = super()._fetch_token()
        time.sleep(0.2)
        return token

    def _refreshed(self):
        if self._token is None:
            time.sleep(3600)
        return super()._refreshed()


def test_exceptions_that_cannot_be_printed_are_exceptions_all_the_same():
    found = verdicts_on(lambda config: make(RaisesTheUnprintable, config))
    assert set(found) == {clauses.errors.CAUSE}


@pytest.mark.parametrize(
    ("cls", "shown"),
    [
        (Upsetting, {clauses.cleanup.ENDS, clauses.cleanup.BOUNDED}),
        # When it has slept, the same token that it could get again has expired.
        (SleepsForAnHour, {clauses.refresh.SAME_TOKEN}),
    ],
)
def test_a_client_that_upsets_the_process_is_judged_by_what_it_does(cls, shown):
    before = socket.getdefaulttimeout()
    began = time.monotonic()
    assert set(verdicts_on(lambda config: make(cls, config))) == shown
    assert socket.getdefaulttimeout() == before
    assert time.monotonic() - began < 300


def test_threads_left_behind_do_not_keep_the_command_from_ending(tmp_path):
    (tmp_path / "lingers.py").write_text(
        "import threading\n"
        "from examples.model_client import make_client as model\n"
        "def make_client(config):\n"
        "    threading.Thread(target=threading.Event().wait, daemon=False).start()\n"
        "    return model(config)\n"
    )
    command = [sys.executable, "-m", "mockbroker", "check", "lingers.py", "--only", "request.m*"]
    done = subprocess.run(  # noqa: S603 - our own program
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.covers
def test_the_model_client_is_the_benign_twin_of_them_all():
    assert verdicts_on(make_client) == {}


class FailsOnce(TokenManager):
    """Raises at one token request; if it ``waits``, after its timeout, as if nothing had come."""

    about_to, waits = multiprocessing.Value("b", 0), True  # shared with the client's process

    def _fetch_token(self):
        if FailsOnce.about_to.value:
            FailsOnce.about_to.value = 0
            if self.waits:
                threading.Event().wait(self._timeout)
            raise TokenError("no answer")
        return super()._fetch_token()


class FailsOnceAtOnce(FailsOnce):
    waits = False


def members_unknown(cls):
    """Let a client fail once while that clause is judged."""
    settings = RunSettings(client_timeout=1.0, examples=5)
    clients = PythonClients(lambda config: make(cls, config))
    with checked_run(clients, settings) as run, run.frozen_time():
        FailsOnce.about_to.value = 1
        clause = clauses.response.UNKNOWN_MEMBERS
        dict(scenarios())[clause](Scenario(run, clause))
        assert not run.findings.take()


def test_what_a_machine_that_stands_still_may_have_spoilt_is_played_again():
    members_unknown(FailsOnce)
    with pytest.raises(ContractBreached):
        members_unknown(FailsOnceAtOnce)
