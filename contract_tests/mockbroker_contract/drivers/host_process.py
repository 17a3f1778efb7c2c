"""The host of a Python client, as the judging process sees it: started, asked, ended.

No thread waits for the host: who asks it something reads, until the answer is there, whatever
comes from the host and its launcher. That is twice as fast as a reading thread that passes lines
on, and a launcher may have to be forked from a process that should have no threads.
"""

from __future__ import annotations

import contextlib
import hmac
import itertools
import json
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mockbroker.broker.clock import real_seconds
from mockbroker.model.client import ClientFactory
from mockbroker.processes.tree import end_users_of
from mockbroker_contract.drivers.conversation import ProgramDied, ProgramSilent
from mockbroker_contract.drivers.own_folders import OWN_FOLDERS
from mockbroker_contract.drivers.sandbox import Sandbox
from mockbroker_contract.timing.shared_clock import SharedClock

__all__ = ["HostError", "HostProcess", "SpoiltHostError"]

_PIECE = 65_536
_LONGEST_LINE = 16_000_000
_KEPT_OUTPUT = 4_000_000
_COMMAND_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.2
_SETTLED, _COMPUTED, _COMPUTED_AGAIN = 1.0, 10.0, 4.0
"""Seconds after which the processor time of a host that does not answer is looked at: first, for
the second time, and that for a client that has hung before."""
_BUSY_SHARE = 0.25  # on a machine that other programs use as well
_ENDING_SECONDS = 5.0
_STDERR = 2
_LEAVING_SECONDS = 2.0
_LONGEST_SOCKET_PATH = 100  # of 108 bytes in sockaddr_un, and 104 on macOS

_LAUNCH = (
    "import sys; "
    "sys.path[:] = filter(None, sys.path); "
    "import json; "
    "path = json.loads(sys.argv[2]); "
    "sys.path[:] = [*json.loads(sys.argv[3]), *(each for each in path if each != path[0])]; "
    "from mockbroker_contract.drivers.host.launcher import main; "
    "sys.path[:] = path; "
    "main(int(sys.argv[1]), sys.argv[4])"
)
"""Finds our own packages first, and looks last where the user works: a json.py there must not hide
Python's."""


class HostError(Exception):
    """The host, or what starts it, failed: an error of the kit, which says nothing of a client.

    The message says what failed, and has a traceback where there is one.
    """


class SpoiltHostError(HostError):
    """A host failed in which the client's own code has run, which may be why.

    The message is one line that says what failed, and where.
    """


class HostProcess:
    """A host in a sandbox, under a launcher that starts and ends it; `close` ends everything.

    ``source`` is the name of a target, which the host imports, or a factory of this process. A
    factory cannot be named in another process, so its launcher is forked from this one: at once,
    for a process is best forked while it has one thread.

    Safe to use from many threads, which take turns.
    """

    def __init__(self, source: str | ClientFactory, sandbox: Sandbox, clock_start: int) -> None:
        self.clock = SharedClock.create(sandbox.outside / "clock", clock_start)
        self.output = Output(self._is_debugged)
        """What the client, and all that it started, wrote on standard output and error."""
        self._source = source
        self._sandbox = sandbox
        self._numbers = itertools.count(1)
        self._turn = threading.RLock()
        self._computed_seconds = _COMPUTED
        self._launcher = _Launcher(source, sandbox, self.output)

    def _is_debugged(self) -> bool:
        return self.clock.is_debugged

    # -- the host ------------------------------------------------------------------------------

    def start(self, environment: dict[str, str]) -> None:
        """Start a host. Raises HostError if the launcher, started again if need be, does not."""
        with self._turn:
            self._sandbox.restore()
            self._command("start", environment)

    def kill(self) -> None:
        """End the host and everything that the client has started."""
        with self._turn:
            self._command("kill")

    def _command(self, what: str, environment: dict[str, str] | None = None) -> None:
        if self._launcher.obeys(what, environment):
            return
        # A client may have stopped or killed it: it is the parent of the client's process.
        self._launcher.end()
        self._launcher = _Launcher(self._source, self._sandbox, self.output)
        if not self._launcher.obeys(what, environment):
            raise HostError("the launcher of the client's host does not answer")

    def close(self) -> None:
        """Let the host end by itself, and end whatever does not."""
        with self._turn:
            if self._launcher.host:
                with contextlib.suppress(ProgramDied, ProgramSilent, HostError):
                    self.exchange("bye", _LEAVING_SECONDS)
                    self._launcher.wait_for_end(_LEAVING_SECONDS)  # its exit handlers run
            self._launcher.close()

    @property
    def has_ended(self) -> bool:
        """Whether the host has ended by itself, as far as that was noticed."""
        return bool(self._launcher.ending)

    # -- asking --------------------------------------------------------------------------------

    def exchange(self, op: str, deadline: float, /, **members: Any) -> dict[str, Any]:
        """The host's answer, if it comes within ``deadline`` seconds of real time.

        Raises ProgramDied, ProgramSilent, SpoiltHostError, or HostError if the host itself failed.
        """
        with self._turn:
            number = next(self._numbers)
            request = json.dumps({"id": number, "op": op, **members}).encode() + b"\n"
            answer = self._answer(request, number, op, deadline)
        if "broken_by_client" in answer:
            raise SpoiltHostError(f"{answer['broken_by_client']}, when asked to {op}")
        if "broken" in answer:
            raise HostError(f"the client's host failed at {op}:\n{answer['broken']}")
        return answer

    def _answer(self, request: bytes, number: int, op: str, deadline: float) -> dict[str, Any]:
        launcher = self._launcher
        launcher.send(request)
        patience = _Patience(launcher.host, deadline, self._computed_seconds)
        while not launcher.lines and not launcher.ending and not launcher.is_cut_off:
            if patience.is_over() and not self.clock.is_debugged:
                break
            launcher.pump(patience.next_look())
        if launcher.lines:
            return self._read_answer(launcher.lines.popleft(), number, op)
        if launcher.ending:
            raise ProgramDied(f"{op} ended the program ({launcher.ending})", launcher.ending)
        self._computed_seconds = _COMPUTED_AGAIN
        raise ProgramSilent(f"no answer to {op} within {deadline:g} s")

    def _read_answer(self, line: bytes, number: int, op: str) -> dict[str, Any]:
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and answer.get("id") == number:
            return answer
        # The host writes nothing else: a descriptor that the client did not open.
        self.kill()
        raise ProgramDied(f"{op} wrote into the connection of the client's host")

    def cut_off(self) -> None:
        """Take what is asked now for something that never ends; from any thread."""
        self._launcher.cut_off()


class _Patience:
    """How long to wait for a host: for its deadline, or less if it computes without end.

    A deadline may be long because a client may wait for the broker; one that keeps the processor
    busy for seconds waits for nothing.
    """

    def __init__(self, pid: int, deadline: float, computed: float) -> None:
        self._pid = pid
        self._computed = computed
        self._began = real_seconds()
        self._until = self._began + deadline
        self._used_before: float | None = None

    def next_look(self) -> float:
        """After how many seconds to look again, at the latest."""
        now = real_seconds()
        moments = (self._until, *(self._began + each for each in (_SETTLED, self._computed)))
        return min((each - now for each in moments if each > now), default=_LOOK_AGAIN_SECONDS)

    def is_over(self) -> bool:
        """Whether nothing more is to be expected."""
        waited = real_seconds() - self._began
        if self._used_before is None and waited >= _SETTLED:
            self._used_before = _processor_seconds(self._pid)
        elif self._used_before is not None and waited >= self._computed:
            used = _processor_seconds(self._pid) - self._used_before
            if used >= _BUSY_SHARE * (waited - _SETTLED):
                return True
        return real_seconds() >= self._until


def _processor_seconds(pid: int) -> float:
    """How much processor time a process has used; 0 where that is unknown."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        user, system = fields.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 0.0


class Output:
    """The latest of what was written, found again by position."""

    def __init__(self, is_debugged: Callable[[], bool]) -> None:
        self._is_debugged = is_debugged
        self._kept = bytearray()
        self.position = 0
        """How many bytes have come so far."""
        self.show: Callable[[bytes], None] = lambda _: None
        """Called with each piece as it is read."""

    def add(self, piece: bytes) -> None:
        """Keep a piece."""
        self.position += len(piece)
        self._kept += piece
        del self._kept[:-_KEPT_OUTPUT]
        if self._is_debugged():
            os.write(_STDERR, piece)  # as it is: a human talks to the debugger
        else:
            self.show(piece)

    def since(self, position: int) -> str:
        """What came after that many bytes, the latest 4 MB at most."""
        wanted = max(self.position - position, 0)
        kept = bytes(self._kept)
        return kept[len(kept) - min(wanted, len(kept)) :].decode("utf-8", "replace")


class _Launcher:
    """A launcher, and the connections to it and to its host.

    ``lines`` are answers that were read; ``host`` is the process id of the host that runs, or 0;
    ``ending`` says how a host ended that was not told to. `pump` brings them up to date.
    """

    def __init__(self, source: str | ClientFactory, sandbox: Sandbox, output: Output) -> None:
        self._sandbox = sandbox
        self._output = output
        self.lines: deque[bytes] = deque()
        self.host = 0
        self.ending = ""
        self.is_cut_off = False
        self._notes: deque[str] = deque()
        self._is_gone = False
        self._secret = ""
        self._sent = 0
        self._unsent = self._last_request = b""
        self._current: socket.socket | None = None
        self._short_folder: tempfile.TemporaryDirectory[str] | None = None
        self._path = self._path_for_socket()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._control, theirs = socket.socketpair()
        self._woken, self._waker = socket.socketpair()
        self._waker.settimeout(0)
        self._output_end, output_theirs = os.pipe()
        os.set_blocking(self._output_end, False)
        self._popen: subprocess.Popen[bytes] | None = None
        try:
            start = self._spawned if isinstance(source, str) else self._forked
            self._pid = start(theirs, output_theirs, source)  # type: ignore[arg-type]
        finally:
            theirs.close()
            os.close(output_theirs)
        self._texts: dict[socket.socket, bytes] = {self._control: b""}
        self._selector = selectors.DefaultSelector()
        for each in (self._listener, self._control, self._woken, self._output_end):
            self._selector.register(each, selectors.EVENT_READ)

    def _path_for_socket(self) -> Path:
        path = self._sandbox.outside / f"host-{secrets.token_hex(4)}.socket"
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            self._short_folder = tempfile.TemporaryDirectory(prefix="mb-", dir="/tmp")
            path = Path(self._short_folder.name) / "host.socket"
        return path

    def _spawned(self, control: socket.socket, output: int, target: str) -> int:
        here = str(Path.cwd())
        path = [here, *(entry or here for entry in sys.path)]
        arguments = [str(control.fileno()), json.dumps(path), json.dumps(OWN_FOLDERS), target]
        self._popen = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", _LAUNCH, *arguments],
            stdout=output,
            stderr=output,
            pass_fds=[control.fileno()],
            start_new_session=True,
        )
        return self._popen.pid

    def _forked(self, control: socket.socket, output: int, factory: ClientFactory) -> int:
        from mockbroker_contract.drivers.host.launcher import run_launcher  # noqa: PLC0415 - only for a factory

        for stream in (sys.stdout, sys.stderr):
            # Or the child would write it once more. The user may have closed or removed it.
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()
        with warnings.catch_warnings():
            # Python 3.12 warns where there are threads. The child uses nothing of theirs.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            os.setsid()
            # Or the launcher would hold open what it waits to see closed.
            for ours in (self._control, self._listener, self._woken, self._waker):
                ours.close()
            os.close(self._output_end)
            for descriptor in (1, 2):
                os.dup2(output, descriptor)
            run_launcher(control, lambda: factory, is_forked=True)
        return pid

    # -- commands ------------------------------------------------------------------------------

    def obeys(self, what: str, environment: dict[str, str] | None = None) -> bool:
        """Have the host started or killed; whether the launcher did it in time."""
        self._forget_host()
        command: dict[str, Any] = {what: True}
        if what == "start":
            command = {"start": self._start(environment or {})}
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps(command).encode() + b"\n")
        until = real_seconds() + _COMMAND_SECONDS
        while not self._notes and not self._is_gone and real_seconds() < until:
            self.pump(_LOOK_AGAIN_SECONDS)
        return bool(self._notes)

    def _forget_host(self) -> None:
        if self._current is not None:
            self._lose(self._current)
        self.lines.clear()
        self._notes.clear()
        self.host, self.ending, self._sent, self._unsent = 0, "", 0, b""

    def _start(self, environment: dict[str, str]) -> dict[str, Any]:
        self._secret = secrets.token_hex()
        return {
            "socket": str(self._path),
            "secret": self._secret,
            "clock": str(self._sandbox.outside / "clock"),
            "root": str(self._sandbox.outside),
            "own": str(self._sandbox.own),
            "work": str(self._sandbox.work),
            "environment": environment,
        }

    def cut_off(self) -> None:
        """Have who waits for the host wait no longer; from any thread."""
        self.is_cut_off = True
        with contextlib.suppress(OSError):
            self._waker.send(b"!")

    def wait_for_end(self, seconds: float) -> None:
        """Wait until the host has ended by itself, for so many seconds of real time at most."""
        until = real_seconds() + seconds
        while not self.ending and real_seconds() < until:
            self.pump(_LOOK_AGAIN_SECONDS)

    def close(self) -> None:
        """Close the control socket, at which the launcher ends all below it and then itself."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        until = real_seconds() + _ENDING_SECONDS
        while not self._is_gone and real_seconds() < until:
            self.pump(_LOOK_AGAIN_SECONDS)
        self._kill_and_release()

    def end(self) -> None:
        """End a launcher that does not obey, and all that it would have ended."""
        if self.host:
            with contextlib.suppress(OSError):
                os.killpg(self.host, signal.SIGKILL)
        self._kill_and_release()

    def _kill_and_release(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self._pid, signal.SIGKILL)
        if self._status():
            # It was killed, and has ended nothing of what the client has started.
            end_users_of(self._sandbox.own)
        self._release()

    def _status(self) -> int:
        if self._popen is not None:
            return self._popen.wait()
        with contextlib.suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return 0

    def _release(self) -> None:
        self._selector.close()
        for each in (*self._texts, self._control, self._listener, self._woken, self._waker):
            each.close()
        os.close(self._output_end)
        self._path.unlink(missing_ok=True)
        if self._short_folder is not None:
            self._short_folder.cleanup()

    # -- reading and writing -------------------------------------------------------------------

    def send(self, request: bytes) -> None:
        """Send a request to the host, or keep it until the host is connected."""
        self.lines.clear()
        self.is_cut_off = False  # what it was meant for was answered in the same moment
        self._sent += 1
        self._last_request = request
        if self._current is None:
            self._unsent = request
        else:
            with contextlib.suppress(OSError):  # it connects again, or its end is reported
                self._current.sendall(request)

    def pump(self, seconds: float) -> None:
        """Read what has come, or comes within so many seconds of real time."""
        ready = [key.fileobj for key, _ in self._selector.select(seconds)]
        # What was written before an answer is there when the answer is, and an answer that came
        # before the end of the host is there when its end is told.
        if self._output_end in ready:
            self._read_output()
        for source in sorted(ready, key=lambda each: each is self._control):
            if source is self._listener:
                connection, _ = self._listener.accept()
                self._texts[connection] = b""
                self._selector.register(connection, selectors.EVENT_READ)
            elif source is self._woken:
                self._woken.recv(_PIECE)
            elif isinstance(source, socket.socket) and source in self._texts:
                self._read_lines(source)

    def _read_output(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._output_end, _PIECE):
                self._output.add(piece)
            self._selector.unregister(self._output_end)  # its writers have ended

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
            self._take_line(source, line)

    def _take_line(self, source: socket.socket, line: bytes) -> None:
        if source is self._control:
            self._take_note(json.loads(line))
        elif source is self._current:
            self.lines.append(line)
        elif (lines_read := self._lines_read_by(line)) is not None:
            self._current, unsent = source, self._unsent
            if not unsent and 0 <= lines_read < self._sent:
                unsent = self._last_request  # it was lost with the last connection
            self._unsent = b""
            with contextlib.suppress(OSError):
                source.sendall(unsent)

    def _lines_read_by(self, greeting: bytes) -> int | None:
        """How many requests our host has read so far; None for another's greeting."""
        try:
            members = json.loads(greeting)
            is_ours = hmac.compare_digest(str(members["secret"]), self._secret)
            return int(members["read"]) if is_ours else None
        except (ValueError, KeyError, TypeError):
            return None

    def _take_note(self, note: dict[str, Any]) -> None:
        if "started" in note:
            self.host = int(note["started"])
            self._notes.append("started")
        elif "killed" in note:
            self._notes.append("killed")
        elif note["ended"] == self.host:
            self.host, self.ending = 0, _how(int(note["status"]))

    def _lose(self, source: socket.socket) -> None:
        self._selector.unregister(source)
        del self._texts[source]
        source.close()
        if source is self._current:
            self._current = None
        if source is self._control:
            self._is_gone = True
            self.ending = self.ending or "its launcher was killed"


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
