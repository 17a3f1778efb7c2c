"""The host process of a Python client, seen from the judging process.

No thread waits for the host: the thread that sends a request reads from host and launcher until the
answer is there. That is twice as fast as a reading thread that passes lines on. A launcher may also
have to be forked from this process, which should then have no threads.
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

__all__ = ["HostBrokenByClientError", "HostError", "HostProcess"]

# The usual capacity of a pipe on Linux (pipe(7)).
_PIECE = 65_536
# The largest answer has two million characters of visible texts; JSON escapes most others than
# ASCII in six bytes.
_LONGEST_LINE = 16_000_000
# A client that prints without end must not fill the memory of the judging process.
_KEPT_OUTPUT = 4_000_000
# A launcher forks in milliseconds. One that needs this long was stopped or killed by the client.
_COMMAND_SECONDS = 10.0
# Seconds between two looks at a condition that no descriptor reports, such as a debugger.
_LOOK_AGAIN_SECONDS = 0.2
_FIRST_LOOK, _SECOND_LOOK, _SECOND_LOOK_AFTER_HANG = 1.0, 10.0, 4.0
"""Seconds until the processor time of a silent host is first read, and read again.

The third value replaces the second after a client has hung once.
"""
_BUSY_SHARE = 0.25  # low, because other programs on the machine use the processor as well
_ENDING_SECONDS = 5.0
_STDERR = 2
_LEAVING_SECONDS = 2.0
_LONGEST_SOCKET_PATH = 100  # sockaddr_un has 108 bytes, and 104 on macOS

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
"""Program that imports the kit first and the user's folder last.

A json.py in the user's folder must not hide Python's own.
"""


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
        self._turn = threading.RLock()
        self._second_look_seconds = _SECOND_LOOK
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

        There is no grace period, and exit handlers do not run. The launcher stays and can start
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
            if self._launcher.host:
                with contextlib.suppress(ProgramDied, ProgramSilent, HostError):
                    self.exchange("bye", _LEAVING_SECONDS)
                    # the host's exit handlers run now
                    self._launcher.wait_for_end(_LEAVING_SECONDS)
            self._launcher.close()

    @property
    def has_ended(self) -> bool:
        """Whether the host has ended by itself, as far as `pump` has seen."""
        return bool(self._launcher.ending)

    # -- asking --------------------------------------------------------------------------------

    def exchange(self, op: str, deadline: float, /, **members: Any) -> dict[str, Any]:
        """Return the host's answer, if it comes within ``deadline`` seconds of real time.

        Raises ProgramDied, ProgramSilent, HostBrokenByClientError, or HostError if the host
        itself failed.
        """
        with self._turn:
            number = next(self._numbers)
            request = json.dumps({"id": number, "op": op, **members}).encode() + b"\n"
            # One request at a time: the host answers in its main thread, and two readers would take
            # each other's lines.
            answer = self._answer(request, number, op, deadline)
        if "broken_by_client" in answer:
            raise HostBrokenByClientError(f"{answer['broken_by_client']}, when asked to {op}")
        if "broken" in answer:
            raise HostError(f"the client's host failed at {op}:\n{answer['broken']}")
        return answer

    def _answer(self, request: bytes, number: int, op: str, deadline: float) -> dict[str, Any]:
        launcher = self._launcher
        launcher.send(request)
        patience = _Patience(launcher.host, deadline, self._second_look_seconds)
        while not launcher.lines and not launcher.ending and not launcher.is_cut_off:
            if patience.is_over() and not self.clock.is_debugged:
                break
            launcher.pump(patience.next_look())
        # An answer that came before the end of the host counts: a client may answer and then exit.
        if launcher.lines:
            return self._read_answer(launcher.lines.popleft(), number, op)
        if launcher.ending:
            raise ProgramDied(f"{op} ended the program ({launcher.ending})", launcher.ending)
        # A client that has hung once probably hangs again, so the next hang is recognized earlier.
        self._second_look_seconds = _SECOND_LOOK_AFTER_HANG
        raise ProgramSilent(f"no answer to {op} within {deadline:g} s")

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
        self._launcher.cut_off()


class _Patience:
    """Time limit for a host: its deadline, or less if it uses the processor without end.

    A deadline may be long because a client may wait for the broker. A client that uses the
    processor for seconds waits for nothing.

    Processor time is read when the host should have answered, and again when it is clear that it
    computes. A prompt answer costs no look into /proc.
    """

    def __init__(self, pid: int, deadline: float, computed: float) -> None:
        self._pid = pid
        self._second_look = computed
        self._began = real_seconds()
        self._until = self._began + deadline
        self._used_before: float | None = None

    def next_look(self) -> float:
        """Return the seconds until the next check is due."""
        now = real_seconds()
        # The wait ends at the next of these, so that no look is late and none is made between them.
        moments = (self._until, *(self._began + each for each in (_FIRST_LOOK, self._second_look)))
        return min((each - now for each in moments if each > now), default=_LOOK_AGAIN_SECONDS)

    def is_over(self) -> bool:
        """Return whether the wait should end."""
        waited = real_seconds() - self._began
        if self._used_before is None and waited >= _FIRST_LOOK:
            self._used_before = _processor_seconds(self._pid)
        elif self._used_before is not None and waited >= self._second_look:
            used = _processor_seconds(self._pid) - self._used_before
            if used >= _BUSY_SHARE * (waited - _FIRST_LOOK):
                return True
        return real_seconds() >= self._until


def _processor_seconds(pid: int) -> float:
    """Return the processor time of a process in seconds; 0 if it is unknown."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        # The name of the program may have spaces and parentheses itself (proc_pid_stat(5)). So the
        # fields are counted from the last parenthesis.
        user, system = fields.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 0.0


class Output:
    """Latest part of a stream of output, addressed by byte position.

    Positions count from the start of the process, so a caller can ask for what came after its own
    call. Only the latest part is kept. Only the thread that pumps may add.
    """

    def __init__(self, is_debugged: Callable[[], bool]) -> None:
        self._is_debugged = is_debugged
        self._kept = bytearray()
        self.position = 0
        """Number of bytes received so far."""
        self.show: Callable[[bytes], None] = lambda _: None
        """Callback for each piece as it is read."""

    def add(self, piece: bytes) -> None:
        """Store a piece and pass it on."""
        self.position += len(piece)
        self._kept += piece
        del self._kept[:-_KEPT_OUTPUT]
        if self._is_debugged():
            os.write(_STDERR, piece)  # unchanged, because the user reads the debugger's prompt
        else:
            self.show(piece)

    def since(self, position: int) -> str:
        """Return the output after that position, the latest 4 MB at most.

        Bytes that are not UTF-8 are replaced. The result is empty for a position that has not been
        reached.
        """
        wanted = max(self.position - position, 0)
        kept = bytes(self._kept)
        return kept[len(kept) - min(wanted, len(kept)) :].decode("utf-8", "replace")


class _Launcher:
    """Launcher, and the connections to it and to its host.

    ``lines`` are answers that were read; ``host`` is the process id of the running host, or 0;
    ``ending`` says how a host ended without a command. `pump` updates them.

    Not safe for several threads, except `cut_off`: `HostProcess` serializes all calls.
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
        # A listener, not one connected pair: a client may close every descriptor of its process,
        # and the host then connects again.
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._path))
        self._listener.listen()
        # Its closing ends the launcher, also when this process is killed.
        self._control, theirs = socket.socketpair()
        # cut_off() writes to this pair, so that select() in another thread returns at once.
        self._woken, self._waker = socket.socketpair()
        # A full buffer has the same effect as one more byte, so cut_off() need not wait.
        self._waker.settimeout(0)
        self._output_end, output_theirs = os.pipe()
        # _read_output() reads until the pipe is empty.
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
        """Return a path for the socket, in a short folder if that of the sandbox is too long."""
        path = self._sandbox.outside / f"host-{secrets.token_hex(4)}.socket"
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            self._short_folder = tempfile.TemporaryDirectory(prefix="mb-", dir="/tmp")
            path = Path(self._short_folder.name) / "host.socket"
        return path

    def _spawned(self, control: socket.socket, output: int, target: str) -> int:
        """Start the launcher as a new interpreter, and return its process id.

        For a target that another process can import.
        """
        here = str(Path.cwd())
        # An empty entry means the working directory, which is another one in the child.
        path = [here, *(entry or here for entry in sys.path)]
        arguments = [str(control.fileno()), json.dumps(path), json.dumps(OWN_FOLDERS), target]
        self._popen = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", _LAUNCH, *arguments],
            stdout=output,
            stderr=output,
            # The descriptor keeps its number in the child, so the argument above names it.
            pass_fds=[control.fileno()],
            start_new_session=True,
        )
        return self._popen.pid

    def _forked(self, control: socket.socket, output: int, factory: ClientFactory) -> int:
        """Fork the launcher from this process, and return its process id.

        For a factory object, which exists in this process only.
        """
        from mockbroker_contract.drivers.host.launcher import run_launcher  # noqa: PLC0415 - only for a factory

        for stream in (sys.stdout, sys.stderr):
            # The child would write buffered text a second time. The user may have closed the
            # stream.
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()
        with warnings.catch_warnings():
            # Python 3.12 warns if there are threads. The child uses nothing that they may hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            # A Ctrl-C in the terminal must reach the judging process only.
            os.setsid()
            # The launcher ends when these are closed, so it must not hold copies of them.
            for ours in (self._control, self._listener, self._woken, self._waker):
                ours.close()
            os.close(self._output_end)
            for descriptor in (1, 2):
                os.dup2(output, descriptor)
            # It never returns, so the child never continues in the code of the user's test run.
            run_launcher(control, lambda: factory, is_forked=True)
        return pid

    # -- commands ------------------------------------------------------------------------------

    def execute(self, what: str, environment: dict[str, str] | None = None) -> bool:
        """Have the host started or killed; return whether the launcher did it in time."""
        # A command also ends a running host: nothing of that host may be taken for the next one's.
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
        # A new secret for each host: the process of an earlier client may still try to connect.
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
        """Stop waiting for the host; safe from any thread."""
        self.is_cut_off = True
        with contextlib.suppress(OSError):
            self._waker.send(b"!")

    def wait_for_end(self, seconds: float) -> None:
        """Wait until the host has ended by itself, at most that many seconds of real time."""
        until = real_seconds() + seconds
        while not self.ending and real_seconds() < until:
            self.pump(_LOOK_AGAIN_SECONDS)

    def close(self) -> None:
        """Close the control socket; the launcher then ends its children and itself."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        until = real_seconds() + _ENDING_SECONDS
        while not self._is_gone and real_seconds() < until:
            self.pump(_LOOK_AGAIN_SECONDS)
        self._kill_and_release()

    def end(self) -> None:
        """End a launcher that does not respond, and the processes that it would have ended."""
        if self.host:
            with contextlib.suppress(OSError):
                # The host called setsid(), so its process id is that of its group.
                os.killpg(self.host, signal.SIGKILL)
        self._kill_and_release()

    def _kill_and_release(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self._pid, signal.SIGKILL)
        # A launcher that ended in order is a zombie here, which the signal does not change. So the
        # status says whether it has ended the client's processes.
        if self._status():
            # The launcher was killed before it ended the processes of the client.
            end_users_of(self._sandbox.own)
        self._release()

    def _status(self) -> int:
        """Wait for the launcher's end, and return its exit status.

        It is negative for a signal, and 0 if another part of the test run has already waited for
        it.
        """
        if self._popen is not None:
            return self._popen.wait()
        with contextlib.suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return 0

    def _release(self) -> None:
        """Close every descriptor and remove the socket's file."""
        self._selector.close()
        for each in (*self._texts, self._control, self._listener, self._woken, self._waker):
            each.close()
        os.close(self._output_end)
        self._path.unlink(missing_ok=True)
        if self._short_folder is not None:
            self._short_folder.cleanup()

    # -- reading and writing -------------------------------------------------------------------

    def send(self, request: bytes) -> None:
        """Send a request to the host, or store it until the host is connected.

        A request that is lost with its connection is sent again when the host is connected again.
        """
        # A line that is there before the request is not its answer.
        self.lines.clear()
        # an earlier cut_off() may have come just after its request was answered
        self.is_cut_off = False
        self._sent += 1
        self._last_request = request
        if self._current is None:
            self._unsent = request
        else:
            with contextlib.suppress(OSError):  # the host connects again, or pump() sees its end
                self._current.sendall(request)

    def pump(self, seconds: float) -> None:
        """Read available data, and wait for it at most that many seconds of real time.

        It returns when something was read, or after that time. Output goes to ``output``, answers
        to ``lines``, reports to the attributes.
        """
        ready = [key.fileobj for key, _ in self._selector.select(seconds)]
        # Output is read before answers, because the client wrote it before the answer. The control
        # socket comes last, so that an answer is read before the end of the host.
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
            # every process that could write has closed it
            self._selector.unregister(self._output_end)

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
        """Take a line of the launcher, of the host, or of a new connection.

        A new connection becomes the host's only by a greeting with the secret.
        """
        if source is self._control:
            # Trusted: no code of the client runs in the launcher.
            self._take_note(json.loads(line))
        elif source is self._current:
            self.lines.append(line)
        elif (lines_read := self._lines_read_by(line)) is not None:
            self._current, unsent = source, self._unsent
            if not unsent and 0 <= lines_read < self._sent:
                unsent = self._last_request  # the request was lost with the last connection
            self._unsent = b""
            with contextlib.suppress(OSError):
                source.sendall(unsent)

    def _lines_read_by(self, greeting: bytes) -> int | None:
        """Return how many requests the host has read; None if the greeting has another secret."""
        try:
            members = json.loads(greeting)
            # Any process of this user can connect to the socket; the secret identifies the host.
            is_ours = hmac.compare_digest(str(members["secret"]), self._secret)
            return int(members["read"]) if is_ours else None
        except (ValueError, KeyError, TypeError):
            return None

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
        if source is self._current:
            self._current = None
        # The control socket closes only when the launcher has ended. The client cannot reach this
        # descriptor, but it can kill the process.
        if source is self._control:
            self._is_gone = True
            self.ending = self.ending or "its launcher was killed"


def _status_text(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
