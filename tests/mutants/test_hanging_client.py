"""A client that never comes back: cut off, said once, and the run goes on."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
import requests

from examples.model_client import TokenManager
from mockbroker.contract import clauses
from mockbroker.report.finding import Verdict
from tests.mutants.kit import scenarios, verdicts_on
from tests.mutants.workshop import make

HUNG, BLOCKED = Verdict.HANG, Verdict.NOT_TESTED


class AsksAndWaitsWithoutEnd:
    def __init__(self, config):
        self.config = config

    def get_token(self):
        pair = (self.config.client_id, self.config.client_secret)
        requests.post(
            self.config.token_url, {"grant_type": "client_credentials"}, auth=pair, timeout=5
        )
        threading.Event().wait()


class LoopsWithoutEnd:
    def __init__(self, config):
        pass

    def get_token(self):
        while True:
            pass


@pytest.mark.slow
@pytest.mark.whole_proof
def test_a_hang_ends_also_while_coverage_traces(tmp_path):
    (tmp_path / "waits.py").write_text(
        "import threading\n"
        "class Client:\n"
        "    def get_token(self): threading.Event().wait()\n"
        "def make_client(config): return Client()\n"
    )
    command = ["coverage", "run", "-m", "mockbroker", "check", "waits.py", "--only", "response.d*"]
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "hang: get_token did not return within 10 s" in " ".join(done.stdout.split())


def test_a_hang_is_a_verdict_on_one_clause_and_blocks_the_others():
    for client in (AsksAndWaitsWithoutEnd, LoopsWithoutEnd):
        found = verdicts_on(client, deadline=0.5)
        assert found.pop(clauses.response.DOCUMENTED)[0] is HUNG
        others = {name: verdict for name, (verdict, _) in found.items()}
        assert set(others.values()) == {BLOCKED, Verdict.NOT_APPLICABLE}
        assert set(others) == {name for name, _ in scenarios()} - {clauses.response.DOCUMENTED}
        assert "did not return within 0.5 s" in found[clauses.request.METHOD][1]


class HangsAtRefresh(TokenManager):
    fetched = 0

    def _fetch_token(self):
        self.fetched += 1
        while self.fetched > 1:
            pass
        return super()._fetch_token()


@pytest.mark.slow
@pytest.mark.whole_proof
def test_a_client_that_hangs_only_at_refresh_is_judged_clause_by_clause():
    found = verdicts_on(lambda config: make(HangsAtRefresh, config), deadline=0.5, patience=0.5)
    verdicts = {verdict for verdict, _ in found.values()}
    assert found[clauses.refresh.HONOURS_EXPIRES_IN][0] is HUNG
    assert verdicts <= {HUNG, BLOCKED, Verdict.FAILED, Verdict.ADVICE}
    assert clauses.response.DOCUMENTED not in found
    for thread in threading.enumerate():
        if thread.name == "client at once":  # eight of them loop in turn while they hold its lock
            thread.join(10)
            assert not thread.is_alive()
