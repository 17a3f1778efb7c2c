"""One table of options: the commands, pytest and the ini file agree, and read values alike."""

from __future__ import annotations

import json
import re
import textwrap

import click
import pytest
from click.testing import CliRunner

from mockbroker.cli.audit import audit
from mockbroker.cli.click_options import click_option
from mockbroker.cli.commands import cli
from mockbroker.cli.options import (
    AUDIT_OPTIONS,
    BUDGET,
    CHECK_OPTIONS,
    CLIENT,
    EXAMPLES,
    EXPLORE,
    FAIL_ON,
    ONLY,
    PYTEST_OPTIONS,
    OptionError,
    Surface,
    Values,
)
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Level
from mockbroker.report.formats import FORMATS
from mockbroker_contract.harness.run import RunSettings
from pytest_mockbroker.check import check as check_command
from tests.broker.programs import run
from tests.plugin.conftest import MODEL_CLIENT, WARNINGS

MODEL = str(MODEL_CLIENT)
COMMANDS = (
    "",
    "serve",
    "check",
    "audit",
    "explain",
    "clauses",
    "compare",
    "driver-test",
    "init",
    "profiles",
)
ONE_CLAUSE = ("--only", "request.method", "--examples", "1")
BY_PYTEST = ("--contract-only", "request.method", "--contract-examples", "1")
ACME = '[profiles.acme]\ntoken_path = "/oauth/token"\n'


def given(text, option=EXAMPLES, surface=Surface.COMMAND):
    return Values({option: ([text], surface)}, surface)


@pytest.mark.parametrize(
    ("command", "options"), [(check_command, CHECK_OPTIONS), (audit, AUDIT_OPTIONS)]
)
def test_a_command_has_the_options_of_the_table(command, options):
    shown = command.get_help(click.Context(command, terminal_width=200))
    for option in options:
        assert Surface.COMMAND.spell(option) in shown
        if option is not CLIENT:
            assert option.help_with_default in " ".join(shown.split())


def test_pytest_has_the_options_of_the_table_and_so_has_the_ini_file(pytester, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    shown = " ".join(pytester.runpytest_subprocess("--help").stdout.str().split())
    for option in PYTEST_OPTIONS:
        words = re.escape(option.help_with_default)
        value = "" if option.is_flag else f"={option.metavar}"
        assert re.search(rf"{Surface.PYTEST.spell(option)}{value} {words}", shown), option.name
        assert re.search(rf"{Surface.INI.spell(option)} \(\w+\): {words}", shown), option.name


def test_every_format_has_an_option():
    assert FORMATS.keys() <= {option.name for option in PYTEST_OPTIONS}
    assert FORMATS.keys() <= {option.name for option in AUDIT_OPTIONS}


def test_a_default_stands_in_one_place():
    assert EXAMPLES.default == RunSettings().examples
    assert FAIL_ON.default is RunSettings().fail_on


@pytest.mark.parametrize("command", COMMANDS)
def test_h_is_help(command):
    words = [command] if command else []
    short, long = run(*words, "-h"), run(*words, "--help")
    assert short.returncode == 0
    assert short.stdout == long.stdout
    assert "-h, --help" in short.stdout


def test_the_list_of_commands_cuts_no_help():
    lines = run("-h").stdout.partition("Commands:\n")[2].splitlines()
    assert len(lines) == len(COMMANDS) - 1
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_has_help_and_a_metavar_of_its_own(command):
    words = [command] if command else []
    options = run(*words, "-h").stdout.partition("Options:\n")[2].partition("\nCommands:")[0]
    assert not re.search(r" TEXT |INTEGER|FLOAT|RANGE|\[default", options)
    blocks = re.split(r"(?m)^  (?=-)", options)[1:]
    assert blocks
    for block in blocks:
        assert re.match(r"(-\w, )?--[\w-]+( \S+)?\s{2,}[A-Z]", block), block


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", " 1", "1_0", "²", "9" * 5000])
@pytest.mark.parametrize("surface", Surface)
def test_a_wrong_value_names_the_option_as_it_was_written(surface, text):
    with pytest.raises(OptionError) as raised:
        given(text, surface=surface)
    spelling = {"COMMAND": "--examples", "PYTEST": "--contract-examples"}
    name = spelling.get(surface.name, "contract_examples")
    assert str(raised.value) == f"{name} must be an integer >= 1, not {text!r}"


def test_values_have_types_and_what_was_not_given_has_its_default():
    values = given("7")
    assert (values[EXAMPLES], values[FAIL_ON]) == (7, Level.MUST)
    assert given("SHOULD", FAIL_ON)[FAIL_ON] is Level.SHOULD
    assert given("2.5", BUDGET)[BUDGET] == 2.5
    assert (given("True", EXPLORE)[EXPLORE], values[EXPLORE]) == (True, False)
    assert values.spelled(CLIENT) == "TARGET"
    assert values.files() == {}


def test_an_option_that_was_given_is_spelled_as_there_and_others_as_by_default():
    values = Values({ONLY: (["must"], Surface.INI)}, Surface.PYTEST)
    assert values.spelled(ONLY) == "contract_only"
    assert values.spelled(EXAMPLES) == "--contract-examples"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("contract_examples = many", "contract_examples must be an integer >= 1, not 'many'"),
        ("contract_only = token", "contract_only 'token' is not the id, chapter or level of a"),
        pytest.param(
            "contract_explore = perhaps",
            "contract_explore: invalid truth value",
            marks=pytest.mark.covers,
        ),
        ("contract_json = no/such/a.json", "/no/such/a.json: the folder does not exist"),
        ("contract_config = gone.toml", "gone.toml: No such file or directory"),
    ],
)
def test_a_wrong_ini_setting_is_one_sentence_that_names_it(contract, pytester, setting, message):
    pytester.makeini(f"[pytest]\ncontract_client = {MODEL}\n{setting}\n")
    result = contract()
    output = result.stdout.str() + result.stderr.str()
    assert result.ret == 4, output
    assert message in output
    assert "Traceback" not in output


def test_the_command_line_comes_before_the_ini_file(contract, pytester):
    settings = f"contract_client = {MODEL}\ncontract_examples = many\ncontract_only = must\n"
    pytester.makeini(f"[pytest]\n{settings}")
    result = contract(*BY_PYTEST)
    assert result.ret == 0
    result.assert_outcomes(passed=1, deselected=len(CATALOGUE) - 1)


def test_a_check_takes_profiles_from_a_file(check, pytester):
    (pytester.path / "acme.toml").write_text(ACME, encoding="utf-8")
    own = ("--config", "acme.toml", "--profile", "acme", "--json", "a.json")
    done = check(MODEL, *ONE_CLAUSE, *own)
    assert done.returncode == 0, done.stderr
    assert "profile acme" in done.stdout
    assert json.loads((pytester.path / "a.json").read_text())["profile"]["name"] == "acme"


def test_a_check_takes_the_profile_of_the_project(check, pytester):
    pytester.makepyprojecttoml('[tool.mockbroker]\nprofile = "spotify"\n')
    done = check(MODEL, *ONE_CLAUSE, "--json", "a.json")
    assert done.returncode == 0, done.stderr
    assert "profile spotify" in done.stdout


def test_so_does_an_audit(pytester):
    config = pytester.path / "acme.toml"
    config.write_text(ACME, encoding="utf-8")
    done = run("audit", "--config", str(config), "--profile", "acme", "--", "true")
    assert done.returncode == 5, done.stderr
    assert "/oauth/token" in done.stdout


@pytest.mark.parametrize(
    "workers",
    [
        pytest.param((), id="alone"),
        pytest.param(("-n", "2"), id="xdist", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("place", ["option", "ini"])
def test_so_does_pytest_and_the_ini_file_gives_the_path_from_its_folder(
    pytester, monkeypatch, workers, place
):
    (pytester.path / "acme.toml").write_text(ACME, encoding="utf-8")
    settings = "contract_config = acme.toml\ncontract_profile = acme\n"
    pytester.makeini("[pytest]\n" + (settings if place == "ini" else ""))
    monkeypatch.chdir(pytester.mkdir("below"))
    options = ("--contract-config", "../acme.toml", "--contract-profile", "acme")
    words = (*workers, "--contract-client", MODEL, *BY_PYTEST, "--contract-json", "a.json")
    result = pytester.runpytest_subprocess(
        *WARNINGS,
        *("-c", "../tox.ini", "--pyargs", "mockbroker_contract"),
        *words,
        *(options if place == "option" else ()),
    )
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    report = json.loads((pytester.path / "below" / "a.json").read_text())
    assert report["profile"]["name"] == "acme"
    assert [row["verdict"] for row in report["clauses"]].count("passed") == 1


def test_a_driver_test_needs_a_driver():
    done = run("driver-test")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "mockbroker: no driver is named; pass its command: --exec COMMAND\n"


def test_clauses_takes_several_patterns():
    shown = run("clauses", "tls", "refresh.ahead", "--json")
    assert [row["id"] for row in json.loads(shown.stdout)] == ["refresh.ahead", "tls.verify"]
    levels = {row["level"] for row in json.loads(run("clauses", "should", "--json").stdout)}
    assert levels == {"SHOULD"}


def test_every_command_is_tried_here():
    names = cli.list_commands(click.Context(cli))
    assert {*names, ""} == set(COMMANDS)
    assert textwrap.shorten(cli.help or "", 20)


def test_a_command_may_take_a_single_option_of_the_table():
    @click.command()
    @click_option(EXAMPLES)
    def command(examples):
        click.echo(f"{examples + 1}")

    runner = CliRunner()
    assert runner.invoke(command, ["--examples", "7"]).output == "8\n"
    assert runner.invoke(command, []).output == f"{EXAMPLES.default + 1}\n"
    wrong = runner.invoke(command, ["--examples", "x"])
    assert wrong.exit_code == click.UsageError.exit_code
    assert "Error: --examples must be an integer >= 1, not 'x'\n" in wrong.output
