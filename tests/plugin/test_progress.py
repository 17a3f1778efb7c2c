"""How far a check is: a line on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from queue import SimpleQueue

import pytest

from mockbroker.cli import progress
from mockbroker.cli.progress import Position, progress_display
from tests.plugin.conftest import MODEL_CLIENT

QUICK = ("--only", "request.method,request.url", "--examples", "1")
HIDE_CURSOR, COLOUR = "\x1b[?25l", "\x1b[3"


@pytest.mark.parametrize(
    ("position", "text"),
    [
        (Position(1, 56, "request.method", 0.2), "clause 1 of 56, 0:00 elapsed, request.method"),
        (
            Position(29, 56, "refresh.ahead", 70.0),
            "clause 29 of 56, 1:10 elapsed, about 1:10 left, refresh.ahead",
        ),
        (
            Position(2, 2, "tls.verify", 3600),
            "clause 2 of 2, 60:00 elapsed, about 60:00 left, tls.verify",
        ),
    ],
)
def test_a_position_is_a_line(position, text):
    assert str(position) == text


def test_a_log_gets_a_line_while_a_clause_takes_long(monkeypatch):
    lines: SimpleQueue[str] = SimpleQueue()
    monkeypatch.setattr(progress, "LOG_INTERVAL_SECONDS", 0.001)
    monkeypatch.setattr(progress, "print_error", lines.put)
    display = progress_display()  # pytest has taken the terminal away, if there was one
    display.begin(1, 2, "request.method")
    assert lines.get(timeout=10).startswith("clause 1 of 2, ")
    display.note("a breach")
    display.begin(2, 2, "request.url")
    display.end()
    display.end()
    display.begin(3, 2, "after the end")
    written = [lines.get() for _ in range(lines.qsize())]
    assert written.count("a breach") == 1
    positions = [line for line in written if line != "a breach"]
    assert all(line.startswith(("clause 1 of 2, ", "clause 2 of 2, ")) for line in positions)


def test_a_short_run_logs_nothing(check):
    done = check(str(MODEL_CLIENT), *QUICK)
    assert done.returncode == 0
    assert done.stderr == ""


def check_on_terminal(folder, target, **variables):
    """What `mockbroker check` writes to a terminal that is its standard error, and to a file."""
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    reader, terminal = pty.openpty()
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", "check", str(target), *QUICK],
        cwd=folder,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", **variables},
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(reader, 65536):
            shown += piece
    except OSError:  # so Linux says that the other end is closed
        pass
    finally:
        os.close(reader)
    output, _ = process.communicate(timeout=60)
    return shown.decode(), output.decode(), process.returncode


def test_a_terminal_shows_the_clause_the_time_so_far_and_the_time_left(tmp_path):
    shown, output, status = check_on_terminal(tmp_path, MODEL_CLIENT)
    assert status == 0
    for part in ("clause 1 of 2", "clause 2 of 2", "elapsed", "left", "request.url", COLOUR):
        assert part in shown
    # A second Ctrl-C ends the process at once, which must not leave the cursor hidden.
    assert HIDE_CURSOR not in shown
    assert "\x1b" not in output
    assert "2 passed" in output


def test_no_color_is_honoured(tmp_path):
    shown, _, _ = check_on_terminal(tmp_path, MODEL_CLIENT, NO_COLOR="1")
    assert "clause 2 of 2" in shown
    assert COLOUR not in shown


def test_a_terminal_that_cannot_move_its_cursor_is_a_log(tmp_path):
    assert check_on_terminal(tmp_path, MODEL_CLIENT, TERM="dumb")[0] == ""


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_what_a_client_wrote_is_neither_markup_nor_a_command_of_the_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    display = progress_display()
    display.begin(1, 2, "request.method")
    display.note("[red]not markup[/red] :smile: \x1b]0;a title\x07")
    display.end()
    assert "[red]not markup[/red] :smile: \\x1b]0;a title\\x07\n" in terminal.getvalue()


def test_a_terminal_that_is_gone_does_not_end_the_check(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    display = progress_display()
    display.begin(1, 2, "request.method")

    def fail(_text):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(terminal, "write", fail)
    display.begin(2, 2, "request.url")
    display.note("a failure")
    display.end()
    assert "clause 1 of 2" in terminal.getvalue()


def test_a_run_that_judges_nothing_draws_no_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    display = progress_display()
    display.note("a breach")
    display.end()
    assert terminal.getvalue() == ""
