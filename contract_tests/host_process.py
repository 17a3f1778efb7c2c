"""The host of a Python client, as the judging process sees it: started, asked, ended."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import queue
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contract_tests
from contract_tests.client import ClientFactory
from contract_tests.conversation import Conversation, ProgramDied, ProgramSilent
from contract_tests.sandbox import Sandbox
from contract_tests.shared_clock import SharedClock

__all__ = ["HostProcess", "KitError"]

_PIECE = 65_536
_LONGEST_LINE = 16_000_000
_KEPT_OUTPUT = 4_000_000
_STARTING_SECONDS = 20.0
_COMMAND_SECONDS = 10.0
_ENDING_SECONDS = 5.0
_LONGEST_SOCKET_PATH = 100  # of 108 bytes in sockaddr_un, and 104 on macOS

_LAUNCH = (
    "import json, sys; "
    "path = json.loads(sys.argv[2]); "
    "sys.path[:] = [json.loads(sys.argv[3]), *path]; "
    "from contract_tests.host.launcher import main; "
    "sys.path[:] = path; "
    "main(int(sys.argv[1]), sys.argv[4])"
)
"""Finds our own package first: a folder of that name in the user's project must not hide it."""


class KitError(Exception):
    """Something of the kit itself failed; the message says what, with a traceback if there is one."""


class HostProcess(Conversation):
    """A host in a sandbox, under a launcher that starts and ends it; `close` ends everything.

    ``source`` is the name of a target, which the host imports, or a factory of this process. A
    factory cannot be named in another process, so its launcher is forked from this one: at once,
    for a process is best forked while it has one thread.
    """

    def __init__(self, source: str | ClientFactory, sandbox: Sandbox, clock_start: int) -> None:
        clock = sandbox.outside / "clock"
        self.clock = SharedClock.create(clock, clock_start)
        super().__init__(is_paused=lambda: self.clock.is_debugged)
        self._source = source
        self._sandbox = sandbox
        self._secret = ""
        self._sent = 0
        self._last_request = b""
        self._ending = ""
        self._pid = 0
        self._output = _Output()
        self._launcher = _Launcher(source, sandbox, self)

    # -- the host ------------------------------------------------------------------------------

    def start(self, environment: dict[str, str]) -> None:
        """Start a host. Raises KitError if the launcher does not, even when it is started again."""
        self._sandbox.restore()
        self._sent, self._ending, self._secret = 0, "", secrets.token_hex()
        self.forget_lines()
        start = {
            "socket": str(self._launcher.socket_path),
            "secret": self._secret,
            "clock": str(self._sandbox.outside / "clock"),
            "root": str(self._sandbox.outside),
            "folders": list(map(str, self._sandbox.folders)),
            "environment": environment,
        }
        self._command({"start": start})

    def kill(self) -> None:
        """End the host and everything that the client has started."""
        self._command({"kill": True})
        self._pid = 0

    def _command(self, command: dict[str, Any]) -> None:
        if self._launcher.obeys(command):
            return
        # A client may have stopped or killed it: it is the parent of the client's process.
        self._launcher.end(self._pid)
        self._launcher = _Launcher(self._source, self._sandbox, self)
        if "start" in command:
            command["start"]["socket"] = str(self._launcher.socket_path)
        if not self._launcher.obeys(command):
            raise KitError("the launcher of the client's host does not answer")

    def close(self) -> None:
        """Let the host end by itself, and end whatever does not."""
        if self._pid:
            with contextlib.suppress(ProgramDied, ProgramSilent, KitError):
                self.exchange("bye", _ENDING_SECONDS / 2)
        self._launcher.close()

    # -- asking --------------------------------------------------------------------------------

    def exchange(self, op: str, deadline: float, /, **members: Any) -> dict[str, Any]:
        """The host's answer, if it comes within ``deadline`` seconds of real time.

        Raises ProgramDied, ProgramSilent, or KitError if the host itself failed.
        """
        with self.turn:
            self.forget_lines()  # a request may have been cut off when it was answered already
            number = next(self.numbers)
            self.send(json.dumps({"id": number, "op": op, **members}).encode() + b"\n", op)
            answer = self._answer(number, op, deadline)
        if "broken" in answer:
            raise KitError(f"the client's host failed at {op}:\n{answer['broken']}")
        return answer

    def _answer(self, number: int, op: str, deadline: float) -> dict[str, Any]:
        line = self.next_line(op, deadline)
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or answer.get("id") != number:
            # The host writes nothing else: a descriptor that the client did not open.
            self.kill()
            self._ending = "after it had written into the connection of its host"
            raise ProgramDied(self.how_it_ended(op))
        return answer

    def send(self, line: bytes, op: str) -> None:
        """Send a request to the host, once it is connected."""
        self._sent += 1
        self._last_request = line
        connection = self._launcher.connection(_STARTING_SECONDS)
        if self._ending:
            raise ProgramDied(self.how_it_ended(op))
        if connection is None:
            raise ProgramSilent(f"the host did not connect within {_STARTING_SECONDS:g} s")
        with contextlib.suppress(OSError):  # it connects again, or its end is reported
            connection.sendall(line)

    def how_it_ended(self, op: str) -> str:
        """In words, how the host ended when it was asked for that."""
        return f"{op} ended the program ({self._ending or 'its connection was lost'})"

    @property
    def has_ended(self) -> bool:
        """Whether the host has ended by itself."""
        return bool(self._ending)

    # -- what the launcher's thread calls ------------------------------------------------------

    def started(self, pid: int) -> None:
        """Note the process id of the host that runs now."""
        self._pid = pid

    def ended(self, pid: int, how: str) -> None:
        """Note that a host ended by itself."""
        if pid == self._pid:
            self._pid, self._ending = 0, how
            self.put(None)

    def is_greeting(self, line: bytes, connection: socket.socket) -> bool:
        """Whether a line is how our host begins; what it has not read is then sent again."""
        try:
            greeting = json.loads(line)
            is_ours = hmac.compare_digest(str(greeting["secret"]), self._secret)
            was_read = int(greeting["read"])
        except (ValueError, KeyError, TypeError):
            return False
        if is_ours and was_read == self._sent - 1 and was_read > 0:
            connection.sendall(self._last_request)
        return is_ours

    # -- output --------------------------------------------------------------------------------

    @property
    def output(self) -> _Output:
        """What the client, and all that it started, wrote on standard output and error."""
        return self._output


class _Output:
    """The latest of what was written, found again by position."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self.position = 0
        """How many bytes have come so far."""
        self.show: Callable[[bytes], None] = lambda _: None
        """Called with each piece, in the reading thread."""

    def add(self, piece: bytes) -> None:
        self.position += len(piece)
        self._kept += piece
        del self._kept[:-_KEPT_OUTPUT]
        self.show(piece)

    def since(self, position: int) -> str:
        """What came after that many bytes, the latest 4 MB at most."""
        wanted = max(self.position - position, 0)
        kept = bytes(self._kept)
        return kept[len(kept) - min(wanted, len(kept)) :].decode("utf-8", "replace")


class _Launcher:
    """A launcher, the sockets to it and its host, and the thread that reads all of them."""

    def __init__(self, source: str | ClientFactory, sandbox: Sandbox, host: HostProcess) -> None:
        self._host = host
        self._notes: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._current: socket.socket | None = None
        self._changed = threading.Condition()
        self._is_over = False
        self._short_folder: tempfile.TemporaryDirectory[str] | None = None
        self.socket_path = self._path_for_socket(sandbox)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.socket_path))
        self._listener.listen()
        self._control, theirs = socket.socketpair()
        self._output_end, output = os.pipe()
        self._popen: subprocess.Popen[bytes] | None = None
        try:
            self._pid = (
                self._spawned(theirs, output, source)
                if isinstance(source, str)
                else self._forked(theirs, output, source)
            )
        finally:
            theirs.close()
            os.close(output)
        self._reader = threading.Thread(target=self._read, name="mockbroker-host", daemon=True)
        self._reader.start()

    def _path_for_socket(self, sandbox: Sandbox) -> Path:
        path = sandbox.outside / f"host-{secrets.token_hex(4)}.socket"
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            self._short_folder = tempfile.TemporaryDirectory(prefix="mb-", dir="/tmp")  # noqa: S108 - short
            path = Path(self._short_folder.name) / "host.socket"
        return path

    def _spawned(self, control: socket.socket, output: int, target: str) -> int:
        ours = str(Path(contract_tests.__file__).parents[1])
        here = str(Path.cwd())
        path = [here, *(entry or here for entry in sys.path)]
        arguments = [str(control.fileno()), json.dumps(path), json.dumps(ours), target]
        self._popen = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", _LAUNCH, *arguments],
            stdout=output,
            stderr=output,
            pass_fds=[control.fileno()],
            start_new_session=True,
        )
        return self._popen.pid

    def _forked(self, control: socket.socket, output: int, factory: ClientFactory) -> int:
        from contract_tests.host.launcher import run_launcher  # noqa: PLC0415 - only for a factory

        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # or the child would write it once more
        with warnings.catch_warnings():
            # Python 3.12 warns where there are threads. The child uses nothing of theirs.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            os.setsid()
            # Or the launcher would hold what it waits to see closed.
            for ours in (self._control, self._listener):
                ours.close()
            os.close(self._output_end)
            for descriptor in (1, 2):
                os.dup2(output, descriptor)
            run_launcher(control, lambda: factory, is_forked=True)
        return pid

    # -- commands ------------------------------------------------------------------------------

    def obeys(self, command: dict[str, Any]) -> bool:
        """Send a command; whether the launcher did it in time."""
        with self._changed:
            self._current = None
        try:
            self._control.sendall(json.dumps(command).encode() + b"\n")
            return self._notes.get(timeout=_COMMAND_SECONDS) != ""
        except (OSError, queue.Empty):
            return False

    def connection(self, seconds: float) -> socket.socket | None:
        """The connection of the host, waited for; None if it does not come, or has ended."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._current is not None or self._is_over or self._host.has_ended, seconds
            )
            return self._current

    def close(self) -> None:
        """Close the control socket, at which the launcher ends all below it and then itself."""
        self._control.shutdown(socket.SHUT_RDWR)
        until_over = threading.Timer(_ENDING_SECONDS, self._kill)
        until_over.start()
        self._wait()
        until_over.cancel()
        self._release()

    def end(self, host: int) -> None:
        """End a launcher that does not obey, and the group of its host."""
        if host:
            with contextlib.suppress(OSError):
                os.killpg(host, signal.SIGKILL)
        self._kill()
        self._wait()
        self._release()

    def _kill(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self._pid, signal.SIGKILL)

    def _wait(self) -> None:
        if self._popen is not None:
            self._popen.wait()
            return
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _release(self) -> None:
        self._reader.join(_ENDING_SECONDS)
        self._listener.close()
        self._control.close()
        self.socket_path.unlink(missing_ok=True)
        if self._short_folder is not None:
            self._short_folder.cleanup()

    # -- reading -------------------------------------------------------------------------------

    def _read(self) -> None:
        """Read the host's output, lines and end, until the launcher is gone."""
        os.set_blocking(self._output_end, False)
        texts: dict[socket.socket, bytes] = {self._control: b""}
        with selectors.DefaultSelector() as selector:
            for source in (self._listener, self._control, self._output_end):
                selector.register(source, selectors.EVENT_READ)
            while self._control in texts:
                ready = [key.fileobj for key, _ in selector.select()]
                # What was written before an answer is there when the answer is, and an answer
                # that came before the end is there when the end is told.
                self._take_output(selector)
                for source in sorted(ready, key=lambda each: each is self._control):
                    if source is self._listener:
                        connection, _ = self._listener.accept()
                        texts[connection] = b""
                        selector.register(connection, selectors.EVENT_READ)
                    elif isinstance(source, socket.socket) and source in texts:
                        self._take_lines(source, texts, selector)
            for left in texts:
                left.close()
        os.close(self._output_end)
        self._host.ended(self._host._pid, "its launcher was killed")  # noqa: SLF001 - two halves
        self._notes.put("")
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _take_output(self, selector: selectors.BaseSelector) -> None:
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._output_end, _PIECE):
                self._host.output.add(piece)
            if self._output_end in {key.fileobj for key in selector.get_map().values()}:
                selector.unregister(self._output_end)

    def _take_lines(
        self,
        source: socket.socket,
        texts: dict[socket.socket, bytes],
        selector: selectors.BaseSelector,
    ) -> None:
        try:
            piece = source.recv(_PIECE)
        except OSError:
            piece = b""
        if not piece or len(texts[source]) > _LONGEST_LINE:
            selector.unregister(source)
            del texts[source]
            self._has_lost(source)
            return
        *lines, texts[source] = (texts[source] + piece).split(b"\n")
        for line in lines:
            self._take_line(source, line)

    def _take_line(self, source: socket.socket, line: bytes) -> None:
        if source is self._control:
            self._take_note(json.loads(line))
        elif source is self._current:
            self._host.put(line)
        elif self._host.is_greeting(line, source):
            with self._changed:
                self._current = source
                self._changed.notify_all()

    def _take_note(self, note: dict[str, Any]) -> None:
        if "ended" in note:
            self._host.ended(note["ended"], _how(note["status"]))
            with self._changed:
                self._changed.notify_all()
        elif "started" in note:
            self._host.started(note["started"])
            self._notes.put("started")
        else:
            self._notes.put("killed")

    def _has_lost(self, source: socket.socket) -> None:
        with self._changed:
            if source is self._current:
                self._current = None
        source.close()


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
