"""What a host changes and restores of its process, besides time."""

from __future__ import annotations

import bdb
import logging
import os
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mockbroker_contract.isolation.debugger import report_debugger
from mockbroker_contract.isolation.one_processor import one_processor
from mockbroker_contract.isolation.own_pytest import without_user_settings
from mockbroker_contract.isolation.process_state import UMASK, ProcessState
from mockbroker_contract.isolation.records import all_records
from mockbroker_contract.isolation.thread_switching import eager_switching


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The process's variables; they, the umask and the folders are restored after the test."""
    monkeypatch.chdir(Path.cwd())
    saved, umask, directory = dict(os.environ), os.umask(UMASK), tempfile.tempdir
    yield os.environ
    os.environ.clear()
    os.environ.update(saved)
    os.umask(umask)
    tempfile.tempdir = directory


def test_the_next_client_finds_the_state_of_the_start(environment, tmp_path):
    environment["KEPT"], environment["CHANGED"] = "yes", "before"
    state = ProcessState(tmp_path)
    environment["CHANGED"], environment["ADDED"] = "after", "yes"
    del environment["KEPT"]
    os.umask(0)
    os.chdir("/")
    socket.setdefaulttimeout(7)
    tempfile.tempdir = "/nowhere"
    state.restore()
    assert (environment["KEPT"], environment["CHANGED"]) == ("yes", "before")
    assert "ADDED" not in environment
    assert (os.umask(UMASK), Path.cwd()) == (UMASK, tmp_path)
    assert (socket.getdefaulttimeout(), tempfile.tempdir) == (None, None)


def test_saved_variables_are_part_of_the_state(environment, tmp_path):
    environment["GONE"] = "yes"
    state = ProcessState(tmp_path)
    environment["OF_KIT"], environment["OF_CLIENT"] = "yes", "yes"
    del environment["GONE"]
    state.save_variable("OF_KIT")
    state.save_variable("GONE")
    state.restore()
    assert environment["OF_KIT"] == "yes"
    assert not {"GONE", "OF_CLIENT"} & set(environment)
    environment["OF_MODULE"] = "yes"
    state.save_environment()
    state.restore()
    assert environment["OF_MODULE"] == "yes"


class Handler(logging.Handler):
    def __init__(self) -> None:
        super().__init__(level=1)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def test_every_record_and_warning_is_shown_and_then_no_more():
    root, handler, shown = logging.getLogger(), Handler(), []
    before = root.level, root.manager.disable, list(root.handlers), list(warnings.filters)
    logging.disable(logging.CRITICAL)
    try:
        with all_records(handler, lambda message, *_, **__: shown.append(str(message))):
            for _ in range(2):
                warnings.warn("a warning", stacklevel=1)
            logging.getLogger("of.client").debug("a detail")
        logging.getLogger("of.client").critical("later")
        assert root.manager.disable == logging.CRITICAL
    finally:
        logging.disable(before[1])
    assert (handler.texts, shown) == (["a detail"], ["a warning"] * 2)
    assert (root.level, root.manager.disable, list(root.handlers)) == before[:3]
    assert list(warnings.filters) == before[3]


def test_a_debugger_is_reported_before_it_starts(monkeypatch):
    calls: list[str] = []
    monkeypatch.setattr(bdb.Bdb, "set_trace", lambda *_: calls.append("debugger"))
    report_debugger(lambda: calls.append("report"))
    bdb.Bdb().set_trace()
    assert calls == ["report", "debugger"]


def test_a_call_of_pdb_starts_with_the_method_that_is_replaced():
    program = """
import pdb, sys
from mockbroker_contract.isolation.debugger import report_debugger
report_debugger(lambda: print("reported"))
for enter in (pdb.set_trace, breakpoint):
    enter()
"""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        input="continue\ncontinue\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.count("reported") == 2, (
        "pdb no longer starts with bdb.Bdb.set_trace; isolation/debugger.py relies on it"
    )


def test_threads_switch_often_only_during_a_burst():
    before = sys.getswitchinterval()
    with eager_switching():
        assert sys.getswitchinterval() < before / 100
    assert sys.getswitchinterval() == before


def test_a_check_reads_no_settings_of_the_users_pytest(environment):
    environment["PYTEST_ADDOPTS"] = "--no-such-option"
    before, hook = dict(environment), sys.unraisablehook
    with without_user_settings():
        assert "PYTEST_ADDOPTS" not in environment
        assert Path(environment["HYPOTHESIS_STORAGE_DIRECTORY"]).is_dir()
        assert sys.unraisablehook is not hook
    assert (dict(environment), sys.unraisablehook) == (before, hook)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs CPU affinity")
@pytest.mark.parametrize("worker", ["", "gw0", "gw1"])
def test_a_check_runs_on_one_allowed_processor(monkeypatch, worker):
    monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    before = os.sched_getaffinity(0)
    with one_processor():
        during = os.sched_getaffinity(0)
    assert len(during) == 1
    assert during <= before
    assert os.sched_getaffinity(0) == before
