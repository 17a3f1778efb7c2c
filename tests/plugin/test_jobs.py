"""`mockbroker check --jobs`: several processes judge the clauses, and one report comes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.plugin.conftest import verdicts

MODEL_CLIENT = Path(__file__).parents[2] / "examples" / "model_client.py"
# Breaks clauses of several chapters; the secret in the exception is found in test cases of others.
DEFECTIVE = """
    import model_client as model

    class Tokens(model.TokenManager):
        def _token_headers(self):
            return {**super()._token_headers(), "Accept": "text/html"}

        def _time_until_refresh(self, lifetime):
            return lifetime

        def _read_token(self, response, asked_at):
            if response.status_code == 401:
                raise model.TokenError("with " + self._client_secret)
            return super()._read_token(response, asked_at)

    def make_client(config):
        client = model.make_client(config)
        client.tokens.__class__ = Tokens
        return client
"""
KILLS_ITS_JUDGE = """
    import os, signal
    from pathlib import Path

    def parent_of(pid):
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("PPid:"))

    def make_client(config):
        if Path.home().joinpath("made").exists():
            os.kill(parent_of(os.getppid()), signal.SIGKILL)
        Path.home().joinpath("made").touch()
        return lambda: "token"
"""


def report_of(pytester, *, jobs: int) -> dict[str, object]:
    report = json.loads((pytester.path / f"{jobs}.json").read_text(encoding="utf-8"))
    return {name: it for name, it in report.items() if name not in {"created", "duration_seconds"}}


@pytest.mark.slow
def test_the_report_is_the_same_for_every_number_of_processes(check, pytester):
    pytester.makepyfile(acme=DEFECTIVE, model_client=MODEL_CLIENT.read_text(encoding="utf-8"))
    texts = []
    for jobs in (1, 3):
        arguments = ("--examples", "2", "-j", str(jobs), "--json", f"{jobs}.json")
        result = check("acme.py", *arguments, "--write-known", f"{jobs}.toml")
        assert result.returncode == 0, result.stdout
        texts.append(result.stdout.replace(f"{jobs}.toml", "known.toml"))
    assert texts[0] == texts[1]
    assert report_of(pytester, jobs=1) == report_of(pytester, jobs=3)
    assert (pytester.path / "1.toml").read_text() == (pytester.path / "3.toml").read_text()
    found = verdicts(pytester.path / "3.json")
    assert found["request.accept"] == "advice"
    assert found["refresh.ahead"] == "advice"
    assert found["secrecy.secret"] == "advice"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it finds its judge in /proc")
def test_a_process_that_ends_early_is_an_error_of_the_kit(check, pytester):
    pytester.makepyfile(acme=KILLS_ITS_JUDGE)
    result = check("acme.py", "--only", "request,secrecy", "-j", "2")
    assert result.returncode == 3
    assert "the kit failed: a process that judged clauses ended" in result.stdout


def test_jobs_is_a_number_of_processes(check, pytester):
    pytester.makepyfile(acme=DEFECTIVE, model_client=MODEL_CLIENT.read_text(encoding="utf-8"))
    result = check("acme.py", "--jobs", "0")
    assert result.returncode == 4
    assert "--jobs must be an integer >= 1, not '0'" in result.stderr
