"""The host process of a Python client, seen from the judging process.

No thread waits for the host: the thread that sends a request reads from host and launcher until the
answer is there. That is twice as fast as a reading thread that passes lines on. A launcher may also
have to be forked from this process, which should then have no threads.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import selectors
import signal
import socket
import threading
from collections import deque
from typing import Any

from mockbroker.broker.clock import real_seconds
from mockbroker.model.client import ClientFactory
from mockbroker.processes.tree import end_users_of
from mockbroker_contract.drivers.conversation import ProgramDied, ProgramSilent
from mockbroker_contract.drivers.host_connection import HostConnection, HostSocket
from mockbroker_contract.drivers.host_output import Output
from mockbroker_contract.drivers.host_patience import (
    LOOK_AGAIN_SECONDS,
    SECOND_LOOK,
    SECOND_LOOK_AFTER_HANG,
    Patience,
)
from mockbroker_contract.drivers.launcher_process import LauncherProcess
from mockbroker_contract.drivers.observed_wait import WaitLooks
from mockbroker_contract.drivers.sandbox import Sandbox
from mockbroker_contract.timing.shared_clock import SharedClock

__all__ = ["HostBrokenByClientError", "HostError", "HostProcess"]

# The usual capacity of a pipe on Linux (pipe(7)).
_PIECE = 65_536
# The largest answer has two million characters of visible texts; JSON escapes most others than
# ASCII in six bytes.
_LONGEST_LINE = 16_000_000
# A launcher forks in milliseconds. One that needs this long was stopped or killed by the client.
_COMMAND_SECONDS = 10.0
_ENDING_SECONDS = 5.0
_LEAVING_SECONDS = 2.0


class HostError(Exception):
    """Failure of the host or its launcher: an error of the kit, not of a client.

    The message says what failed, and has a traceback if there is one.
    """


class HostBrokenByClientError(HostError):
    """Failure of a host that has run the client's code, which may be the cause.

    The message is one line that says what failed, and where.
    """


class HostProcess:
    """Host in a sandbox, under a launcher that starts and ends it; `close` ends everything.

    ``source`` is the name of a target, which the host imports, or a factory object of this process.
    Another process cannot import such an object, so its launcher is forked from this one. The fork
    happens at once, because forking is safest while the process has one thread.

    Safe to use from many threads, one at a time.

    It owns the launcher and its sockets. A client that stops or kills the launcher costs one
    restart.
    """

    def __init__(self, source: str | ClientFactory, sandbox: Sandbox, clock_start: int) -> None:
        self.clock = SharedClock.create(sandbox.outside / "clock", clock_start)
        self.output = Output(self._is_debugged)
        """Output and error output of the client and of the processes that it started."""
        self._source = source
        self._sandbox = sandbox
        self._numbers = itertools.count(1)
        # Reentrant, because an exchange ends the host itself after a malformed line.
        self._turn = threading.RLock()
        self._second_look_seconds = SECOND_LOOK
        self._launcher = _Launcher(source, sandbox, self.output)

    def _is_debugged(self) -> bool:
        return self.clock.is_debugged

    # -- the host ------------------------------------------------------------------------------

    def start(self, environment: dict[str, str]) -> None:
        """Start a host. Raises HostError if the launcher fails twice.

        A host that runs already is ended first. Not ready yet when this returns: the first request
        waits until the host is connected.
        """
        with self._turn:
            # An earlier client may have removed the folders in which the host starts.
            self._sandbox.restore()
            self._command("start", environment)

    def kill(self) -> None:
        """End the host and every process that the client has started.

        It gets no grace period, and exit handlers do not run. The launcher stays and can start
        another host.
        """
        with self._turn:
            self._command("kill")

    def _command(self, what: str, environment: dict[str, str] | None = None) -> None:
        if self._launcher.execute(what, environment):
            return
        # A client may stop or kill the launcher, which is the parent of the client's process.
        self._launcher.end()
        self._launcher = _Launcher(self._source, self._sandbox, self.output)
        if not self._launcher.execute(what, environment):
            raise HostError("the launcher of the client's host does not answer")

    def close(self) -> None:
        """Let the host exit, and end every process that does not.

        At most about ten seconds of real time. The object cannot be used afterwards.
        """
        with self._turn:
            self.leave()
            self._launcher.close()

    def leave(self) -> None:
        """Let the host exit; the launcher stays and can start another one.

        Exit handlers run, at most about four seconds of real time.
        """
        with self._turn:
            if self._launcher.host:
                with contextlib.suppress(ProgramDied, ProgramSilent, HostError):
                    self.exchange("bye", _LEAVING_SECONDS)
                    # the host's exit handlers run now
                    self._launcher.wait_for_end(_LEAVING_SECONDS)

    @property
    def has_ended(self) -> bool:
        """Whether the host has ended by itself, as far as `pump` has seen."""
        return bool(self._launcher.ending)

    # -- asking --------------------------------------------------------------------------------

    def exchange(
        self, op: str, deadline: float, /, *, looks: bool = False, **members: Any
    ) -> dict[str, Any]:
        """Return the host's answer, if it comes within ``deadline`` seconds of real time.

        If it ``looks``, the wait ends as soon as it is certain that no answer will come in time.

        Raises ProgramDied, ProgramSilent, HostBrokenByClientError, or HostError if the host
        itself failed.
        """
        with self._turn:
            number = next(self._numbers)
            request = json.dumps({"id": number, "op": op, **members}).encode() + b"\n"
            # One request at a time: the host answers in its main thread, and two readers would take
            # each other's lines.
            answer = self._answer(request, number, op, deadline, looks=looks)
        if "broken_by_client" in answer:
            raise HostBrokenByClientError(f"{answer['broken_by_client']}, when asked to {op}")
        if "broken" in answer:
            raise HostError(f"the client's host failed at {op}:\n{answer['broken']}")
        return answer

    def _answer(
        self, request: bytes, number: int, op: str, deadline: float, *, looks: bool
    ) -> dict[str, Any]:
        launcher, connection = self._launcher, self._launcher.connection
        # An earlier cut_off() may have come just after its request was answered.
        launcher.alarm.is_set = False
        connection.send(request)
        wait = WaitLooks(launcher.host, deadline)
        # A look may make the client's own limit begin again; see `WaitLooks`.
        bound = deadline + wait.last_seconds if looks else deadline
        patience = Patience(launcher.host, bound, self._second_look_seconds)
        while not connection.lines and not launcher.ending and not launcher.alarm.is_set:
            if patience.is_over() and not self.clock.is_debugged:
                break
            until_look = wait.seconds_to_next() if looks else deadline
            launcher.pump(min(patience.next_look(), until_look))
            if connection.lines and wait.take(connection.lines[0]):
                connection.lines.popleft()
            if wait.found is not None:
                break
        # An answer that came before the end of the host counts: a client may answer and then exit.
        if connection.lines:
            return self._read_answer(connection.lines.popleft(), number, op)
        if launcher.ending:
            raise ProgramDied(f"{op} ended the program ({launcher.ending})", launcher.ending)
        # A client that has hung once probably hangs again, so the next hang is recognized earlier.
        self._second_look_seconds = SECOND_LOOK_AFTER_HANG
        silent = ProgramSilent(f"no answer to {op} within {deadline:g} s")
        silent.wait = wait.found
        raise silent

    def _read_answer(self, line: bytes, number: int, op: str) -> dict[str, Any]:
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and answer.get("id") == number:
            return answer
        # The host never writes such a line: the client wrote to a descriptor that it did not open.
        self.kill()
        raise ProgramDied(f"{op} wrote into the connection of the client's host")

    def cut_off(self) -> None:
        """Count the current request as one that is never answered; safe from any thread.

        The host is not touched: the waiting caller gets ProgramSilent and ends it.
        """
        self._launcher.alarm.set()


class _Alarm:
    """Signal of another thread that ends a wait in select()."""

    def __init__(self) -> None:
        self.is_set = False
        # set() writes to this pair, so that select() in another thread returns at once.
        self.woken, self._waker = socket.socketpair()
        # A full buffer has the same effect as one more byte, so set() need not wait.
        self._waker.settimeout(0)

    @property
    def sockets(self) -> tuple[socket.socket, socket.socket]:
        """Both ends of the pair."""
        return self.woken, self._waker

    def set(self) -> None:
        """End the wait; safe from any thread."""
        self.is_set = True
        with contextlib.suppress(OSError):
            self._waker.send(b"!")


class _Launcher:
    """Launcher, and the connections to it and to its host.

    ``host`` is the process id of the running host, or 0; ``ending`` says how a host ended without a
    command. `pump` updates them, and the lines of ``connection``.

    Not safe for several threads, except ``alarm``: `HostProcess` serializes all calls.
    """

    def __init__(self, source: str | ClientFactory, sandbox: Sandbox, output: Output) -> None:
        self._sandbox = sandbox
        self._output = output
        self.connection = HostConnection()
        self.alarm = _Alarm()
        self.host = 0
        self.ending = ""
        self._notes: deque[str] = deque()
        self._is_gone = False
        self._socket = HostSocket(sandbox.outside)
        # The launcher ends when the control socket is closed, so a fork must hold no copies.
        ours = (self._socket.listener, *self.alarm.sockets)
        self._process = LauncherProcess(source, ours)
        self._texts: dict[socket.socket, bytes] = {self._process.control: b""}
        self._selector = selectors.DefaultSelector()
        for each in (
            self._socket.listener,
            self._process.control,
            self.alarm.woken,
            self._process.output_end,
        ):
            self._selector.register(each, selectors.EVENT_READ)

    # -- commands ------------------------------------------------------------------------------

    def execute(self, what: str, environment: dict[str, str] | None = None) -> bool:
        """Have the host started or killed; return whether the launcher did it in time."""
        # A command also ends a running host: nothing of that host may be taken for the next one's.
        if self.connection.source is not None:
            self._lose(self.connection.source)
        secret = self.connection.begin()
        self._notes.clear()
        self.host, self.ending = 0, ""
        command: dict[str, Any] = {what: True}
        if what == "start":
            command = {"start": self._start(secret, environment or {})}
        with contextlib.suppress(OSError):
            self._process.control.sendall(json.dumps(command).encode() + b"\n")
        until = real_seconds() + _COMMAND_SECONDS
        while not self._notes and not self._is_gone and real_seconds() < until:
            self.pump(LOOK_AGAIN_SECONDS)
        return bool(self._notes)

    def _start(self, secret: str, environment: dict[str, str]) -> dict[str, Any]:
        return {
            "socket": str(self._socket.path),
            "secret": secret,
            "clock": str(self._sandbox.outside / "clock"),
            "root": str(self._sandbox.outside),
            "own": str(self._sandbox.own),
            "work": str(self._sandbox.work),
            "environment": environment,
        }

    def wait_for_end(self, seconds: float) -> None:
        """Wait until the host has ended by itself, at most that many seconds of real time."""
        until = real_seconds() + seconds
        while not self.ending and real_seconds() < until:
            self.pump(LOOK_AGAIN_SECONDS)

    def close(self) -> None:
        """Close the control socket; the launcher then ends its children and itself."""
        with contextlib.suppress(OSError):
            self._process.control.shutdown(socket.SHUT_WR)
        until = real_seconds() + _ENDING_SECONDS
        while not self._is_gone and real_seconds() < until:
            self.pump(LOOK_AGAIN_SECONDS)
        self._kill_and_release()

    def end(self) -> None:
        """End a launcher that does not respond, and the processes that it would have ended."""
        if self.host:
            with contextlib.suppress(OSError):
                # The host called setsid(), so its process id is that of its group.
                os.killpg(self.host, signal.SIGKILL)
        self._kill_and_release()

    def _kill_and_release(self) -> None:
        if self._process.kill():
            # The launcher was killed before it ended the processes of the client.
            end_users_of(self._sandbox.own)
        self._selector.close()
        for each in (*self._texts, *self.alarm.sockets):
            each.close()
        self._process.close()
        self._socket.close()

    # -- reading -------------------------------------------------------------------------------

    def pump(self, seconds: float) -> None:
        """Read available data, and wait for it at most that many seconds of real time.

        It returns when something was read, or after that time. Output goes to ``output``, answers
        to ``connection``, reports to the attributes.
        """
        ready = [key.fileobj for key, _ in self._selector.select(seconds)]
        # Output is read before answers, because the client wrote it before the answer. The control
        # socket comes last, so that an answer is read before the end of the host.
        if self._process.output_end in ready:
            self._read_output()
        for source in sorted(ready, key=lambda each: each is self._process.control):
            if source is self._socket.listener:
                connection, _ = self._socket.listener.accept()
                self._texts[connection] = b""
                self._selector.register(connection, selectors.EVENT_READ)
            elif source is self.alarm.woken:
                self.alarm.woken.recv(_PIECE)
            elif isinstance(source, socket.socket) and source in self._texts:
                self._read_lines(source)

    def _read_output(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._process.output_end, _PIECE):
                self._output.add(piece)
            # every process that could write has closed it
            self._selector.unregister(self._process.output_end)

    def _read_lines(self, source: socket.socket) -> None:
        try:
            piece = source.recv(_PIECE)
        except OSError:
            piece = b""
        if not piece or len(self._texts[source]) > _LONGEST_LINE:
            self._lose(source)
            return
        *lines, self._texts[source] = (self._texts[source] + piece).split(b"\n")
        for line in lines:
            if source is self._process.control:
                # Trusted: no code of the client runs in the launcher.
                self._take_note(json.loads(line))
            else:
                self.connection.receive(source, line)

    def _take_note(self, note: dict[str, Any]) -> None:
        """Take a report of the launcher about a host."""
        if "started" in note:
            self.host = int(note["started"])
            self._notes.append("started")
        elif "killed" in note:
            self._notes.append("killed")
        # The report may be about an earlier host.
        elif note["ended"] == self.host:
            self.host, self.ending = 0, _status_text(int(note["status"]))

    def _lose(self, source: socket.socket) -> None:
        """Forget a connection that has ended.

        Without the control connection the launcher counts as dead.
        """
        self._selector.unregister(source)
        del self._texts[source]
        source.close()
        self.connection.lose(source)
        # The control socket closes only when the launcher has ended. The client cannot reach this
        # descriptor, but it can kill the process.
        if source is self._process.control:
            self._is_gone = True
            self.ending = self.ending or "its launcher was killed"


def _status_text(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
