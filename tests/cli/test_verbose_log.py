"""`mockbroker serve --verbose`: the messages in the log, without secrets."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from mockbroker import Broker, Credentials, Fault
from mockbroker.cli.commands import cli
from mockbroker.cli.console import LONGEST_TARGET, log_lines
from mockbroker.cli.request_log import RequestLog
from mockbroker.model.messages import Headers, Request

BODY = b"grant_type=client_credentials"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
PAIR = ("Authorization", "Basic c2hvcDpzM2NyZXQ=")


@pytest.fixture
def broker():
    broker = Broker(credentials=Credentials("shop", "s3cret"))
    broker.mounted_at("http://broker", "")
    return broker


def ask(broker, *fields, body=BODY, target="/auth-broker/request-token"):
    broker.handle(Request("POST", target, Headers(fields), body), "http://broker")
    return click.unstyle(log_lines(broker.journal[-1], broker.masked, is_verbose=True))


def test_both_messages_are_shown_and_the_token_is_not(broker):
    lines = ask(broker, PAIR, FORM).splitlines()
    assert lines[0].endswith("token #1, ok")
    assert lines[1:4] == [
        "          > Authorization: Basic <masked>",
        "          > Content-Type: application/x-www-form-urlencoded",
        "          > grant_type=client_credentials",
    ]
    assert "          < Cache-Control: no-store" in lines
    assert '"access_token": "<masked>", "expires_in": 3599' in lines[-1]
    assert broker.tokens[0].value not in "\n".join(lines)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ([("X-Any", "s3cret")], b""),
        ([("Cookie", "session=s3cret")], b""),
        ([("X\x1b[2J", "a\r\ns3cret")], b""),
        ([FORM], b"client_secret=mistyped-s3cret"),
        ([FORM], b"client_secret=s3cret&x=\x1b[2Js3cret"),
        ([("Authorization", "Basic c2hvcDptaXN0eXBlZC1zM2NyZXQ=")], b"c2hvcDpzM2NyZXQ="),
    ],
)
def test_no_secret_and_no_control_character_is_shown(broker, fields, body):
    lines = ask(broker, *fields, body=body)
    for hidden in ("s3cret", "c2hvcDp", "\x1b", "\r"):
        assert hidden not in lines
    # The breaches and their hints stand before the messages.
    assert lines.index("MUST ") < lines.index("hint: ") < lines.index("          < ")


def test_a_long_part_is_cut_and_a_missing_answer_has_no_lines(broker):
    broker.script(Fault.reset())
    lines = ask(broker, PAIR, FORM, body=b"a" * 5000)
    assert f"> {'a' * LONGEST_TARGET}…\n" in lines + "\n"
    assert "          <" not in lines


@pytest.mark.parametrize(("is_verbose", "shown"), [(True, True), (False, False)])
def test_the_log_has_the_messages_only_if_it_is_verbose(broker, capsys, is_verbose, shown):
    broker.journal.subscribe(RequestLog(broker, None, is_verbose=is_verbose).answered)
    ask(broker, PAIR, FORM)
    assert ("> Content-Type" in capsys.readouterr().out) is shown


def test_quiet_and_verbose_contradict_each_other():
    refused = CliRunner().invoke(cli, ["serve", "-q", "-v"])
    assert refused.exit_code != 0
    assert "--quiet and --verbose contradict each other; keep one" in refused.output
