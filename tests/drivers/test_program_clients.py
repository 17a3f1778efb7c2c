"""Clients in a program, and what becomes of a program that breaks off the conversation."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mockbroker.model.client import ClientConfig
from mockbroker_contract.drivers.client_output import ClientOutputPrinter
from mockbroker_contract.drivers.conversation import ProgramDied
from mockbroker_contract.drivers.failures import (
    ClientCrashed,
    DriverFailed,
    NotApplicable,
    NotTested,
)
from mockbroker_contract.drivers.program import Program
from mockbroker_contract.drivers.program_driver import ProgramClients
from mockbroker_contract.drivers.protocol import ProtocolError
from mockbroker_contract.drivers.sandbox import Sandbox
from mockbroker_contract.drivers.target import TargetError
from mockbroker_contract.harness.driver_checks import check_driver

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the supervisor is a POSIX program")

SCRIPTED = Path(__file__).parent / "scripted.py"
CAPABILITIES = ["get_token", "request", "burst"]
HELLO = {"ok": {"name": "scripted", "version": "1", "capabilities": CAPABILITIES}}
CONFIG = ClientConfig(
    token_url="http://127.0.0.1:1/token",
    api_base_url="http://127.0.0.1:1/v2",
    client_id="client",
    client_secret="s3cret",
)
ERROR = {"err": {"kind": "internal", "message": "cannot load the library"}}
REFUSED = {"err": {"kind": "oauth", "code": "invalid_client"}}


def argv_of(*starts):
    # Without site: coverage would start in the driver, and the guard keeps it from its file.
    return [
        sys.executable,
        "-S",
        str(SCRIPTED),
        json.dumps([{"hello": HELLO, **s} for s in starts]),
    ]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with contextlib.closing(Sandbox()) as sandbox:
        yield sandbox


@pytest.fixture
def clients_of(sandbox):
    """Make the clients of a program that answers as the script of each start says."""
    with contextlib.ExitStack() as exits:

        def make(*starts, argv=None, shows_output=False):
            clients = ProgramClients(argv or argv_of(*starts))
            clients.use_sandbox(sandbox, shows_output=shows_output)
            exits.callback(clients.close)
            return clients

        yield make


def opened(clients, deadline=10.0):
    client = clients.driver(CONFIG, deadline)
    assert client.open().error is None
    return client


def test_what_the_protocol_cannot_ask_for_is_not_applicable(clients_of):
    client = opened(clients_of({"burst": {"unsupported": True}}))
    with pytest.raises(NotApplicable, match="the driver does not support burst"):
        client.get_tokens_at_once(2)
    with pytest.raises(NotApplicable, match="cannot ask for 2 times GET"):
        client.requests_at_once("GET", CONFIG.api_base_url, 2)


def test_a_body_that_is_not_text_is_an_error_of_the_call(clients_of):
    client = opened(clients_of({"request": {"ok": {"status": 200}}}))
    assert client.request("POST", CONFIG.api_base_url, data=b"\xc3\xa4").value.status == 200
    error = client.request("POST", CONFIG.api_base_url, data=b"\xff").error
    assert error is not None
    assert "the body is not UTF-8" in error.message


def test_a_burst_has_one_result_for_each_use(clients_of):
    client = opened(clients_of({"burst": {"ok": {"access_tokens": ["a", "b"]}}}))
    assert [each.value for each in client.get_tokens_at_once(2)] == ["a", "b"]
    with pytest.raises(DriverFailed, match="burst was answered with 2 tokens; expected 3"):
        client.get_tokens_at_once(3)
    refused = opened(clients_of({"burst": REFUSED})).get_tokens_at_once(3)
    assert [str(each.error) for each in refused] == ["oauth: invalid_client"] * 3


def test_a_client_that_cannot_be_made_answers_with_its_error(clients_of):
    error = clients_of({"open": REFUSED}).driver(CONFIG, 10.0).open().error
    assert str(error) == "oauth: invalid_client"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("hello there", "which is not JSON"),
        (REFUSED, "hello was answered with oauth: invalid_client"),
        ({"unsupported": True}, "hello was answered with unsupported"),
        ("die", "the program ended (exit status 7) when asked to hello"),
    ],
)
def test_a_program_that_does_not_introduce_itself_is_not_a_driver(clients_of, answer, problem):
    with pytest.raises(TargetError) as caught:
        clients_of({"hello": answer}).running()
    assert "the driver gave no valid answer to hello" in str(caught.value)
    assert problem in str(caught.value)


def test_a_command_that_cannot_be_executed_is_one_sentence(clients_of, tmp_path):
    file = tmp_path / "driver"
    file.write_text("#!/bin/sh\n")
    with pytest.raises(TargetError, match="cannot be started: Permission denied; name a program"):
        clients_of(argv=[str(file)]).running()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("lib", "{here}/lib"),
        ("lib/*", "{here}/lib/*"),
        ("lib/*:lib/a.jar:/", "{here}/lib/*:{here}/lib/a.jar:/"),
        ("lib:missing", "lib:missing"),
        ("missing/*", "missing/*"),
        ("*", "*"),
        (":", ":"),
        ("", ""),
        ("x" * 5000, "x" * 5000),
    ],
)
def test_words_that_name_files_become_absolute(clients_of, tmp_path, monkeypatch, word, expected):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.jar").touch()
    monkeypatch.chdir(tmp_path)
    hello = '{"id": 1, "ok": {"name": sys.argv[1], "version": "", "capabilities": ["get_token"]}}'
    program = f"import json, sys; input(); print(json.dumps({hello})); input()"
    clients = clients_of(argv=[sys.executable, "-S", "-c", program, word])
    assert clients.description["name"] == expected.format(here=tmp_path)


def test_after_its_introduction_every_failure_of_a_program_is_one_of_the_test_case(
    clients_of, monkeypatch
):
    monkeypatch.setattr("mockbroker_contract.drivers.program_driver._MAX_STARTS", 2)
    clients = clients_of({"get_token": "die"}, {"hello": "hello there"})
    client = opened(clients)
    with pytest.raises(ClientCrashed, match="exit status 7"):
        client.get_token()
    with pytest.raises(NotTested, match="another client in it hung"):
        client.get_token()
    with pytest.raises(DriverFailed, match="which is not JSON"):
        opened(clients)
    with pytest.raises(DriverFailed, match="the driver failed 2 times and is not started again"):
        opened(clients)


def test_a_request_in_flight_can_be_cut_off(clients_of):
    clients = clients_of({"get_token": "ask_for_help"})
    client = opened(clients)
    # The program writes to stderr once it has the request.
    clients.running().show = lambda _: client.cut_off()
    assert client.get_token().hung
    client.close()
    assert client.exposed() == [("its standard error", "help!\n")]


def test_a_client_that_was_never_opened_has_nothing_to_show_or_to_end(clients_of):
    client = clients_of({}).driver(CONFIG, 10.0)
    client.cut_off()
    client.close()
    assert client.exposed() == []
    with pytest.raises(NotTested):
        client.get_token()


def test_the_output_of_a_program_is_shown_if_it_is_wanted(clients_of, capsys):
    client = opened(clients_of({"get_token": "ask_for_help"}, shows_output=True), deadline=0.5)
    assert client.get_token().hung
    assert capsys.readouterr().err == "client | help!\n"


def test_output_without_end_is_printed_up_to_a_limit(capsys):
    printer = ClientOutputPrinter()
    printer.add(b"x" * 1_000_001)
    printer.add(b"more\n")
    printed = capsys.readouterr().err
    assert printed.endswith("x … and so on\n")
    assert "more" not in printed


# -- the program itself --------------------------------------------------------------------------


@pytest.fixture
def program_of(sandbox):
    with contextlib.ExitStack() as exits:

        def start(script):
            program = Program(argv_of(script), sandbox, sandbox.environment())
            exits.callback(program.kill)
            program.exchange("hello", 10.0)
            return program

        yield start


def test_a_program_that_closes_its_output_does_so_for_good(program_of, monkeypatch):
    monkeypatch.setattr("mockbroker_contract.drivers.program._REPORT_SECONDS", 0.05)
    program = program_of({"get_token": "close_output"})
    for op in ("get_token", "get_token"):
        with pytest.raises(ProgramDied, match="the program closed its output when asked to"):
            program.exchange(op, 10.0)


def test_a_program_that_closes_its_input_cannot_be_asked(program_of, monkeypatch):
    monkeypatch.setattr("mockbroker_contract.drivers.program._REPORT_SECONDS", 0.05)
    program = program_of({"get_token": "close_input"})
    assert program.exchange("get_token", 10.0).value == "t"
    with pytest.raises(ProgramDied, match="when asked to get_token"):
        program.exchange("get_token", 10.0)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"ok": {}}, ""),
        ("die", ""),
        ("good night", "which is not JSON"),
        ("fall_silent", "no answer to bye within 0.3 s"),
        ({"ok": {"stays": True}}, "the program still ran 0.3 s after bye"),
    ],
)
def test_what_a_program_does_instead_of_ending_is_said(program_of, monkeypatch, answer, problem):
    program = program_of({"bye": answer})
    if problem:
        monkeypatch.setattr("mockbroker_contract.drivers.program._ENDING_SECONDS", 0.3)
    found = program.shut_down()
    assert problem in found
    assert bool(found) == bool(problem)


def test_a_program_that_stops_its_supervisor_is_ended_all_the_same(program_of, monkeypatch):
    program = program_of({"get_token": "stop_the_supervisor"})
    assert program.exchange("get_token", 10.0).value == "t"
    monkeypatch.setattr("mockbroker_contract.drivers.program._STARTING_SECONDS", 0.1)
    program.kill()
    with pytest.raises(ProgramDied, match="when asked to get_token"):
        program.exchange("get_token", 10.0)


def test_a_line_before_a_request_is_an_error(program_of):
    line = json.dumps({"id": 2, "ok": {"access_token": "t"}})
    program = program_of({"get_token": f"{line}\n\n{line}"})
    assert program.exchange("get_token", 10.0).value == "t"
    with pytest.raises(ProtocolError, match="stdout had a line before get_token was requested"):
        program.exchange("get_token", 10.0)


# -- the driver test -----------------------------------------------------------------------------

FORGED = {"ok": {"access_token": "forged"}}


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ({"hello": REFUSED}, "hello was answered with oauth: invalid_client"),
        ({"open": REFUSED}, "open was answered with oauth: invalid_client; the broker refuses"),
        ({"get_token": FORGED}, "get_token was answered with a string that is not a valid token"),
        ({"get_token": {"unsupported": True}}, "get_token is unsupported, although hello says"),
        ({"request": REFUSED}, "the call was answered with oauth: invalid_client; expected a"),
        ({"request": {"ok": {"status": 200}}}, "request was answered, and the API saw no call"),
        ({"burst": {"ok": {"access_tokens": ["t"]}}}, "burst was answered with 1 tokens; expec"),
    ],
)
def test_an_answer_that_contradicts_the_broker_is_the_drivers_fault(script, problem):
    answers = {"get_token": FORGED, "request": REFUSED, **script}
    with contextlib.closing(check_driver(argv_of(answers))) as checks:
        assert any(problem in check.problem for check in checks)


def test_without_an_introduction_nothing_else_is_tried():
    (check,) = check_driver(argv_of({"hello": ERROR}))
    assert "the driver failed at hello: cannot load the library" in check.problem
