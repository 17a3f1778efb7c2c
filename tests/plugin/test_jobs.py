"""`mockbroker check --jobs`: several processes judge the clauses, and one report comes of it."""

from __future__ import annotations

import json
import re
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
        text = result.stdout.replace(f"{jobs}.toml", "known.toml")
        texts.append(re.sub(r"\d{4}-\d\d-\d\dT\S+ [\d.]+ s", "(moment)", " ".join(text.split())))
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


# Says of each test in which process it ran, and how often a plugin of the user gets its report.
NOTES_REPORTS = """
    import os

    def pytest_runtest_call(item):
        item.user_properties.append(("ran in", os.getpid()))

    def pytest_runtest_logreport(report):
        if report.when == "call":
            with open("reports.txt", "a") as file:
                print(report.nodeid, dict(report.user_properties)["ran in"], file=file)
"""
QUICK = ("--contract-only", "request,secrecy", "--contract-examples", "1", "-p", "no:randomly")


@pytest.fixture
def noting(pytester, contract):
    """Run the contract on the model client in two processes, with that plugin of the user."""

    def run(code: str = NOTES_REPORTS, *arguments: str) -> pytest.RunResult:
        pytester.syspathinsert(pytester.path)
        pytester.makepyfile(plugin_of_user=code)
        client = ("--contract-client", str(MODEL_CLIENT), "-p", "plugin_of_user")
        return contract(*client, *QUICK, "-n", "2", *arguments)

    return run


def reports_noted(pytester) -> list[list[str]]:
    """The names of tests, and the processes in which they ran, as a plugin of the user got them."""
    return [line.split() for line in (pytester.path / "reports.txt").read_text().splitlines()]


def test_forks_judge_a_run_of_the_contract_alone(noting, pytester):
    result = noting()
    assert result.ret == 0
    assert "contract: up to 2 processes judge the clauses" in result.stdout.str()
    assert "2 workers" not in result.stdout.str()
    names, processes = zip(*reports_noted(pytester), strict=True)
    assert len(set(names)) == len(names) > 10
    assert len(set(processes)) == 2


@pytest.mark.parametrize("arguments", [("--dist", "loadfile"), ("test_of_user.py",)], ids=" ".join)
def test_workers_of_xdist_judge_a_run_that_asks_for_more(noting, pytester, arguments):
    pytester.makepyfile(test_of_user="def test_it(): pass")
    result = noting(NOTES_REPORTS, *arguments)
    assert result.ret == 0
    assert "2 workers" in result.stdout.str()
    assert "processes judge the clauses" not in result.stdout.str()


def test_one_process_judges_if_another_plugin_has_threads(noting, pytester):
    result = noting(f"""{NOTES_REPORTS}
    import threading

    def pytest_configure():
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    """)
    assert result.ret == 0
    _, processes = zip(*reports_noted(pytester), strict=True)
    assert len(set(processes)) == 1


def test_a_module_of_the_contract_that_cannot_be_imported_ends_the_run(noting):
    result = noting("""
        def pytest_pycollect_makemodule(module_path):
            if module_path.name == "test_basic.py":
                raise ImportError("broken")
    """)
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*1 error during collection*"])
