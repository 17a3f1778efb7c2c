"""The files by which `mockbroker serve` says where it is, and its quiet log."""

from __future__ import annotations

import os
import stat
import subprocess

import click
import pytest
import requests
from click.testing import CliRunner

from mockbroker.cli import published_files
from mockbroker.cli.commands import cli
from mockbroker.cli.published_files import environment_text
from tests.broker.programs import run, serving

GRANT = {"grant_type": "client_credentials"}


@pytest.mark.skipif(os.name != "posix", reason="needs a shell and permissions")
def test_other_programs_find_the_broker_by_its_files(tmp_path):
    env_file, ready_file, ca_out = tmp_path / "b.env", tmp_path / "ready", tmp_path / "new" / "ca"
    files = ("--env-file", str(env_file), "--ready-file", str(ready_file), "--ca-out", str(ca_out))
    with serving(*files, "--tls", "-q", MOCKBROKER_CLIENTS="shop:s3cr:et b:x") as (process, _):
        assert ready_file.read_text(encoding="utf-8") == f"{process.pid}\n"
        assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
        sourced = subprocess.run(  # noqa: S603 - our own command
            ["/bin/sh", "-c", 'set -a; . "$0"; env', str(env_file)],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        found = dict(line.partition("=")[::2] for line in sourced.stdout.splitlines())
        assert found["CA_FILE"] == str(ca_out / "ca.pem")
        auth = found["CLIENT_ID"], found["CLIENT_SECRET"]
        assert auth == ("shop", "s3cr:et")
        for pair, status in ((auth, 200), (("b", "x"), 200), (("b", "wrong"), 401)):
            answer = requests.post(
                found["TOKEN_URL"], GRANT, auth=pair, verify=found["CA_FILE"], timeout=5
            )
            assert answer.status_code == status
        process.terminate()
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
    # A request in which nothing is wrong has no line.
    assert "token #1" not in output
    assert "401" in output
    assert not env_file.exists()
    assert not ready_file.exists()
    assert (ca_out / "ca.pem").exists()


@pytest.mark.parametrize(
    ("clients", "words"),
    [("shop", "write it as ID:SECRET"), ("a:1 a:2", "'a' is given twice"), ("a:b c", "blanks")],
)
def test_a_mistake_in_the_variable_of_the_clients_names_it(clients, words):
    refused = CliRunner().invoke(cli, ["serve"], env={"MOCKBROKER_CLIENTS": clients})
    assert refused.exit_code != 0
    assert "Invalid value for MOCKBROKER_CLIENTS" in refused.output
    assert words in refused.output


def test_a_file_that_another_broker_has_replaced_stays(tmp_path):
    ready_file = tmp_path / "ready"
    with serving("--ready-file", str(ready_file)) as (process, _):
        ready_file.write_text("another\n", encoding="utf-8")
        process.terminate()
        assert process.wait(10) == 0
    assert ready_file.read_text(encoding="utf-8") == "another\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--ca-out", "ca"), "--ca-out needs --tls"),
        (("--tls", "--ca-out", "/dev/null/ca"), "--ca-out /dev/null/ca: Not a directory"),
        (("--ready-file", "/nowhere/ready"), "--ready-file /nowhere/ready: No such file"),
        (("--env-file", "/nowhere/env"), "--env-file /nowhere/env: No such file"),
        (("--env-file", "env", "--client", "shop:it's"), "--env-file cannot hold CLIENT_SECRET"),
    ],
    ids=lambda part: part[0] if isinstance(part, tuple) else "",
)
def test_a_file_that_cannot_be_written_is_one_sentence(arguments, words):
    shown = run("serve", "--port", "0", *arguments)
    assert (shown.returncode, shown.stdout) == (4, "")
    assert shown.stderr.startswith(f"mockbroker: {words}")
    assert shown.stderr.count("\n") == 1
    assert "it's" not in shown.stderr


@pytest.mark.parametrize(
    "value", ["a b", "it's", 'x"', "$HOME", "a\\b", "a\nb", "~", "é", "a&b", "#"]
)
def test_a_value_that_readers_would_read_differently_is_rejected(value):
    assert environment_text({"URL": "https://h:1/p?a=1"}) == "URL=https://h:1/p?a=1\n"
    with pytest.raises(click.ClickException, match="cannot hold SECRET"):
        environment_text({"SECRET": value})


def test_no_part_of_a_file_stays_if_it_cannot_be_renamed(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        published_files._write(tmp_path / "taken", "text")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]
