"""The contract run, by pytest and by the command line: the same verdicts, and clear errors."""

from __future__ import annotations

import json
import re
import textwrap
from datetime import datetime

import pytest

from mockbroker.contract.catalogue import CATALOGUE
from tests.plugin.conftest import MODEL_CLIENT, WARNINGS, verdicts

MODEL = str(MODEL_CLIENT)
QUICK = ("--contract-only", "request", "--contract-examples", "2")
GET = """
    import requests

    class Client:
        def __init__(self, config):
            self.config = config

        def get_token(self):
            answer = requests.get(
                self.config.token_url,
                auth=(self.config.client_id, self.config.client_secret),
                data={"grant_type": "client_credentials"},
                timeout=self.config.timeout,
            )
            answer.raise_for_status()
            return answer.json()["access_token"]

    make_client = Client
"""
"""A client that asks by GET."""


TOKEN_ONLY = GET.replace("requests.get", "requests.post")
"""A client that signs no calls."""


def exit_status(result) -> int:
    return int(getattr(result, "ret", getattr(result, "returncode", None)))


def test_a_sound_client_conforms(contract, check, pytester):
    by_pytest = contract("--contract-client", MODEL, *QUICK, "--contract-json", "a.json")
    assert by_pytest.ret == 0
    verdict = (
        f"NOTHING FAILED at level MUST: 7 passed, 1 not-applicable, {len(CATALOGUE) - 8} not-tested"
    )
    by_pytest.stdout.fnmatch_lines([f"*{verdict}*"])
    by_command = check(MODEL, "--only", "request", "--examples", "2", "--json", "b.json")
    assert by_command.returncode == 0, by_command.stderr
    assert f"✓ {verdict}" in by_command.stdout
    assert "CONFORMS" not in by_command.stdout + by_pytest.stdout.str()
    assert by_command.stderr == ""
    both = [json.loads((pytester.path / name).read_text()) for name in ("a.json", "b.json")]
    for document in both:
        assert datetime.fromisoformat(document.pop("created")).tzinfo is not None
        assert document.pop("duration_seconds") > 0
    assert both[0] == both[1]
    assert both[0]["client"]["name"] == "model_client"


OWN_PROFILE = """
    import hypothesis

    hypothesis.settings.register_profile(
        "ours", phases=[], max_examples=1, verbosity=hypothesis.Verbosity.debug, print_blob=True
    )
    hypothesis.settings.load_profile("ours")
"""


def test_the_users_profile_of_hypothesis_changes_no_verdict(contract, pytester):
    pytester.makeconftest(textwrap.dedent(OWN_PROFILE))
    pytester.makepyfile(acme=GET)
    by_pytest = contract("--contract-client", "acme.py", *QUICK, "-s")
    by_pytest.assert_outcomes(passed=5, failed=1, skipped=1)
    assert "Trying example" not in by_pytest.stdout.str()


def test_a_client_with_a_defect_does_not_and_both_tell_the_story(contract, check, pytester):
    pytester.makepyfile(acme=GET)
    by_pytest = contract("--contract-client", "acme.py", *QUICK, "--contract-json", "a.json")
    assert by_pytest.ret == 1
    by_pytest.assert_outcomes(passed=5, failed=1, skipped=1)
    by_command = check("acme", "--only", "request", "--examples", "2", "--json", "b.json")
    assert by_command.returncode == 1
    for output in (by_pytest.stdout.str(), by_command.stdout):
        assert "DOES NOT CONFORM at level MUST" in output
        assert "because of request.method" in output
        assert re.search(r"get_token → token #1 \(fetched\), valid", output)
        assert re.search(r"#1 GET /auth-broker/request-token", output)
        assert re.search(r"mockbroker check acme\S* --only request\.method --examples 2", output)
        assert "Next: fix request.method" in output
        assert "Traceback" not in output
    assert verdicts(pytester.path / "a.json") == verdicts(pytester.path / "b.json")


@pytest.mark.parametrize("installed", [False, True])
def test_the_report_tells_the_version_of_a_client_that_has_one(installed, check, pytester):
    pytester.makepyfile(acme='__version__ = "2.1"\n' + textwrap.dedent(GET))
    if installed:
        metadata = "Metadata-Version: 2.1\nName: acme\nVersion: 3.4\n"
        (pytester.mkdir("acme-3.4.dist-info") / "METADATA").write_text(metadata, encoding="utf-8")
    check("acme", "--only", "request.method", "--examples", "1", "--json", "a.json")
    report = json.loads((pytester.path / "a.json").read_text(encoding="utf-8"))
    assert report["client"]["version"] == ("3.4" if installed else "2.1")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("-n", "2"),
        pytest.param(("-p", "randomly", "-p", "no:cacheprovider"), marks=pytest.mark.whole_proof),
    ],
    ids=" ".join,
)
def test_the_whole_contract_gets_the_same_verdicts(contract, check, pytester, arguments):
    by_command = check(MODEL, "--examples", "5", "--json", "command.json")
    assert by_command.returncode == 0, by_command.stdout
    options = ("--contract-examples", "5", "--contract-json", "pytest.json", *arguments)
    by_pytest = contract("--contract-client", MODEL, *options)
    assert by_pytest.ret == 0
    command, by_pytest = (
        json.loads((pytester.path / f"{name}.json").read_text()) for name in ("command", "pytest")
    )
    for moment in ("created", "duration_seconds"):
        del command[moment], by_pytest[moment]
    assert command == by_pytest
    assert command["conforms"] is True
    assert len(command["clauses"]) == len(CATALOGUE)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_settings_may_stand_in_the_ini_file_and_paths_are_seen_from_there(
    pytester, monkeypatch, workers
):
    pytester.makepyfile(acme=GET)
    pytester.makeini("""
        [pytest]
        contract_client = acme.py
        contract_only = request
        contract_examples = 2
        contract_fail_on = practice
        contract_json = report.json
        contract_profile = rfc6749
    """)
    monkeypatch.chdir(pytester.mkdir("below"))
    command = (*WARNINGS, "-c", "../tox.ini", "--pyargs", "mockbroker_contract", *workers)
    result = pytester.runpytest_subprocess(*command)
    assert result.ret == 1
    report = json.loads((pytester.path / "report.json").read_text())
    assert report["profile"]["name"] == "rfc6749"
    assert verdicts(pytester.path / "report.json")["request.method"] == "failed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("contract_client = gone.py", "gone.py' does not exist; TARGET is path/to/file.py:factory"),
        ("contract_known = gone.toml", "gone.toml: No such file or directory"),
    ],
)
def test_a_wrong_ini_setting_concerns_only_who_checks_a_client(
    contract, pytester, setting, message
):
    pytester.makeini(f"[pytest]\n{setting}\n")
    pytester.makepyfile("def test_it(): pass")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    for workers in ((), ("-n", "2")):
        result = contract(*workers)
        assert result.ret == 4
        output = result.stdout.str() + result.stderr.str()
        assert message in output
        assert "Traceback" not in output


def test_a_conftest_may_override_the_factory(pytester):
    pytester.makeconftest(
        GET.replace("make_client = Client", "")
        + """
    import pytest

    @pytest.fixture(scope="session")
    def contract_client_factory():
        return Client
    """
    )
    options = (*QUICK, "--contract-json", "report.json")
    result = pytester.runpytest_subprocess("--pyargs", "mockbroker_contract", *options)
    result.assert_outcomes(passed=5, failed=1, skipped=1)
    assert result.ret == 1
    assert "check it alone with --contract-only request.method" in result.stdout.str()
    client = json.loads((pytester.path / "report.json").read_text())["client"]
    assert (client["target"], client["name"]) == ("conftest:Client", "conftest")


@pytest.mark.slow
def test_advice_fails_only_when_the_level_says_so(check, pytester):
    extra = GET.replace("requests.get", "requests.post").replace(
        '"grant_type": "client_credentials"', '"grant_type": "client_credentials", "audience": "x"'
    )
    pytester.makepyfile(acme=extra)
    lenient = check("acme.py", "--only", "request", "--examples", "2")
    assert lenient.returncode == 0
    assert "! request.no-extra-parameters (SHOULD, compatibility)" in lenient.stdout
    assert "1 advice" in lenient.stdout
    strict = check("acme.py", "--only", "request.*", "--examples", "2", "--fail-on", "should")
    assert strict.returncode == 1
    assert "✗ request.no-extra-parameters (SHOULD, compatibility)" in strict.stdout


@pytest.mark.slow
def test_a_client_that_never_gets_a_token_earns_nothing(check, pytester):
    pytester.makepyfile(
        acme="""
        class Client:
            def get_token(self):
                return "a canned token"

        def make_client(config):
            return Client()
    """
    )
    result = check("acme.py", "--json", "report.json")
    assert result.returncode == 5
    shown = " ".join(result.stdout.split())
    assert "Cause: get_token returned" in shown
    assert "response.documented (MUST, outage)" in shown
    assert "blocks" in shown
    assert "passed" not in verdicts(pytester.path / "report.json").values()


@pytest.mark.slow
def test_nothing_tested_is_an_exit_status_of_its_own(check, pytester):
    pytester.makepyfile(acme=TOKEN_ONLY)
    result = check("acme.py", "--only", "signing")
    assert result.returncode == 5
    assert "NOTHING WAS TESTED" in result.stdout


BROKEN = {
    "raises": "def make_client(config): raise RuntimeError('no licence: ' + config.client_secret)",
    "offers_nothing": "def make_client(config): return object()",
    "returns_nothing": "def make_client(config): object()",
    "cannot_be_imported": "import no_such_module",
    "exits": "import sys; sys.exit('bye')",
    "leaves": "import os; os._exit(0)",
    "attributes_raise": (
        "class Client:\n"
        "    @property\n"
        "    def get_token(self): raise ValueError('no')\n"
        "def make_client(config): return Client()"
    ),
    "no_factory": "x = 1",
    "not_callable": "make_client = 'client'",
}


def slow(*arguments):
    return pytest.param(*arguments, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "raises.py",
            "the factory raised RuntimeError: no licence: <secret> at raises.py:1 in make_client;",
        ),
        ("offers_nothing.py", "the factory returned 'object', which has neither get_token() nor"),
        slow("returns_nothing.py", "the factory returned None; does it lack a return statement?"),
        slow(
            "cannot_be_imported.py", "cannot_be_imported.py cannot be imported: ModuleNotFoundError"
        ),
        slow("exits.py", "exits.py cannot be imported: SystemExit: bye"),
        slow("leaves.py", "make_client cannot be imported: it ended the program (exit status 0)"),
        slow(
            "attributes_raise.py", "the client 'Client' raises ValueError when asked for get_token"
        ),
        slow("no_factory.py", "no_factory.py has no 'make_client': expected a function that takes"),
        slow("not_callable.py", "'make_client' is a str, not a callable"),
        ("missing.py", "file 'missing.py' does not exist; TARGET is path/to/file.py:factory"),
        slow("no.such.module:x", "no.such.module cannot be imported: ModuleNotFoundError"),
        slow("raises.py:", "TARGET 'raises.py:' is incomplete; write package.module:factory"),
        slow("raises.py:other", "raises.py has no 'other': expected a function that takes"),
    ],
)
def test_a_wrong_target_is_one_sentence(contract, check, pytester, target, message):
    pytester.makepyfile(**BROKEN)
    by_command = check(target)
    assert by_command.returncode == 4
    assert message in by_command.stderr
    assert by_command.stderr.count("\n") == 1
    assert by_command.stdout == ""
    in_workers = ("-n", "2") if target in {"raises.py", "exits.py"} else ()
    by_pytest = contract("--contract-client", target, *in_workers)
    assert by_pytest.ret == 4
    output = by_pytest.stdout.str() + by_pytest.stderr.str()
    assert message in output
    assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.covers
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no client is named; pass a TARGET, or a program: --exec COMMAND"),
        (
            (MODEL, "--only", "nonsense"),
            "--only 'nonsense' is not the id, chapter or level of",
        ),
        (
            (MODEL, "--only", "refresh", "--only", "token"),
            "--only 'token' is not the id, chapter or level of a clause; did you mean ",
        ),
        ((MODEL, "--examples", "0"), "--examples must be an integer >= 1, not '0'"),
        ((MODEL, "--seed", "-1"), "--seed must be an integer >= 0, not '-1'"),
        ((MODEL, "--budget", "nan"), "--budget must be a number of seconds >= 0"),
        ((MODEL, "--fail-on", "shall"), "--fail-on must be one of must, should, may, practice"),
        ((MODEL, "--config", "gone.toml"), "cannot read gone.toml: No such file or directory"),
        ((MODEL, "--profile", "acme"), "unknown profile 'acme'; `mockbroker profiles` lists"),
        ((MODEL, "--json", "no/such/folder/x.json"), "the folder does not exist"),
        ((MODEL, "--json", "."), "--json .: this is a folder; give the name of a file"),
        ((MODEL, "--exec", "true"), "TARGET and --exec name two clients; check one at a time"),
        ((MODEL, "--bogus"), "No such option"),
    ],
)
def test_a_wrong_option_is_one_sentence(check, arguments, message):
    result = check(*arguments)
    assert result.returncode == 4
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.covers
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the contract needs a client: pass --contract-client TARGET or --contract-exec"),
        (
            ("--contract-client", MODEL, "--contract-examples", "x"),
            "--contract-examples must be an integer >= 1, not 'x'",
        ),
        (
            ("--contract-client", MODEL, "--contract-fail-on", "x"),
            "--contract-fail-on must be one of must, should, may, practice, not 'x'",
        ),
        (("--contract-client", MODEL, "--contract-profile", "acm"), "unknown profile 'acm'"),
        (
            ("--contract-client", MODEL, "--contract-only", "x-y"),
            "--contract-only 'x-y' is not the id, chapter or level of a clause",
        ),
        (("--contract-client", MODEL, "--contract-json", "no/x.json"), "the folder does not exist"),
        (("--contract-client", MODEL, "--contract-known", "gone.toml"), "--contract-known: cannot"),
    ],
)
def test_a_wrong_pytest_option_is_one_sentence(contract, arguments, message):
    result = contract(*arguments)
    assert result.ret == 4
    assert message in result.stdout.str() + result.stderr.str()


@pytest.mark.slow
def test_the_check_does_not_mind_the_users_own_pytest(check, pytester):
    pytester.makeini("[pytest]\naddopts = --no-such-option\n")
    pytester.makeconftest("raise RuntimeError('not yours')")
    result = check(MODEL, "--only", "request", "--examples", "1", PYTEST_ADDOPTS="--nonsense")
    assert result.returncode == 0, result.stderr
    left = {path.name for path in pytester.path.iterdir()}
    assert left == {"tox.ini", "conftest.py"}


def test_it_prints_what_an_ascii_terminal_can_show(check):
    result = check(MODEL, "--only", "request", "--examples", "1", PYTHONIOENCODING="ascii")
    assert result.returncode == 0, result.stderr
    assert "+ NOTHING FAILED at level MUST" in result.stdout
    assert result.stdout.isascii()


@pytest.mark.slow
def test_the_users_own_tests_do_not_become_clauses(pytester):
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_subprocess("--contract-client", MODEL)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*The contract*")


TELLS_ALL = GET.replace("requests.get(", "requests.post(").replace(
    'data={"grant_type": "client_credentials"},',
    'json={"client_secret": self.config.client_secret},\n'
    '                headers={"Accept": f"text/{self.config.client_secret}"},',
)
"""A client that puts its secret where the report would quote it."""


@pytest.mark.slow
def test_no_report_quotes_a_secret(check, pytester):
    pytester.makepyfile(acme=TELLS_ALL)
    result = check("acme.py", "--only", "request", "--examples", "2", "--json", "a.json")
    assert result.returncode == 1
    report = (pytester.path / "a.json").read_text()
    assert "request.accept" in report
    assert "s3cret-" not in report + result.stdout


def test_a_report_that_cannot_be_written_is_one_sentence(check, pytester):
    files = ("--json", "/dev/full", "--markdown", "a.md")
    result = check(MODEL, "--only", "request.method", "--examples", "1", *files)
    assert result.returncode == 3
    assert result.stderr.startswith("mockbroker: the report cannot be written to /dev/full: ")
    assert result.stderr.count("\n") == 1
    assert "NOTHING FAILED at level MUST: 1 passed" in result.stdout
    assert (pytester.path / "a.md").read_text(encoding="utf-8").startswith("### ")
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_target_is_executed_once(check, pytester):
    (pytester.path / "acme.py").write_text('print("executed")\n' + textwrap.dedent(TOKEN_ONLY))
    result = check("acme.py", "--only", "request.url", "--examples", "1", "--show-output")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("client | executed") == 1


INTERRUPTING = """
import os, pathlib, signal

made = []

def make_client(config):
    made.append(config)
    if len(made) == 4:
        launcher = pathlib.Path(f"/proc/{os.getppid()}/stat").read_text()
        judging_process = int(launcher.rpartition(")")[2].split()[1])
        os.kill(judging_process, signal.SIGINT)
    return Client(config)
"""


@pytest.mark.slow
def test_an_interrupted_run_does_not_conform(contract, check, pytester):
    client = textwrap.dedent(TOKEN_ONLY).replace("make_client = Client", "")
    (pytester.path / "acme.py").write_text(client + INTERRUPTING)
    by_command = check("acme.py", "--only", "request", "--examples", "2", "--json", "a.json")
    by_pytest = contract("--contract-client", "acme.py", *QUICK, "--contract-json", "b.json")
    assert (by_command.returncode, by_pytest.ret) == (2, 2)
    for output, file in ((by_command.stdout, "a.json"), (by_pytest.stdout.str(), "b.json")):
        assert "INTERRUPTED" in output
        assert "CONFORMS" not in output
        report = json.loads((pytester.path / file).read_text())
        assert (report["conforms"], report["interrupted"]) == (False, True)
