"""A driver program: a process group that speaks JSON lines, with limits on its output."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from mockbroker.processes.tree import end_users_of
from mockbroker_contract.drivers.conversation import Conversation, ProgramDied, ProgramSilent
from mockbroker_contract.drivers.own_folders import OWN_FOLDERS
from mockbroker_contract.drivers.protocol import ProtocolError, Reply, read_reply, request_line
from mockbroker_contract.drivers.sandbox import Sandbox

__all__ = ["Program"]

# Tokens have at most some kilobytes. A megabyte allows for a burst of many, and a line without end
# does not fill the memory.
_LONGEST_LINE = 1_000_000
# Enough for the last tracebacks; a verbose program may write gigabytes in a run.
_KEPT_STDERR = 64_000
_PIECE = 65_536
_ENDING_SECONDS = 2.0
_REPORT_SECONDS = 1.0
# Starting is generous, because an interpreter on a busy CI machine may need seconds. Ending is
# short, because the program is killed afterwards in any case.
_STARTING_SECONDS = 30.0


_SUPERVISE = (
    "import sys; "
    # a json.py in the user's folder must not hide Python's own
    "sys.path[:] = filter(None, sys.path); "
    "import json; "
    "sys.path[:] = json.loads(sys.argv[2]); "
    "from mockbroker_contract.drivers.guarded_program import main; "
    "main(int(sys.argv[1]))"
)


class Program(Conversation):
    """Running program under a supervisor. Safe to use from many threads, one request at a time.

    It runs in the sandbox's folders, which ``environment`` names. Raises OSError if it cannot be
    started.

    The supervisor is a process of its own for two reasons. Adopting orphans changes a process for
    good, and cleaning up must survive the death of the judging process.
    """

    def __init__(
        self, argv: Sequence[str], sandbox: Sandbox, environment: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._sandbox = sandbox
        self._control, theirs = socket.socketpair()
        # The kit's folders come first, and the empty entry is dropped. It means the working
        # directory, which belongs to the user and may have modules of any name.
        ours = [*OWN_FOLDERS, *filter(None, sys.path)]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", _SUPERVISE, str(theirs.fileno()), json.dumps(ours)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                # A Ctrl-C in the terminal goes to the foreground process group; the judging process
                # alone handles it.
                start_new_session=True,
            )
        order = {
            # The program starts in the sandbox, where relative paths of the user's command lead
            # nowhere.
            "argv": [_absolute(word) for word in argv],
            "environment": dict(environment),
            "folder": str(sandbox.work),
            "own": str(sandbox.own),
            "root": str(sandbox.outside),
        }
        self._control.sendall(json.dumps(order).encode() + b"\n")
        self._last_report: dict[str, Any] = {}
        report = self._next_report(_STARTING_SECONDS)
        if "started" not in report:
            with self._process:  # closes the pipes, which no thread reads
                self._let_go()
            number = int(report.get("failed", errno.EIO))
            # Raised as `subprocess` would raise it, so that callers need not know of the
            # supervisor.
            raise OSError(number, os.strerror(number))
        self._stderr = bytearray()
        self.show: Callable[[bytes], None] = lambda _: None
        """Callback for each piece of stderr, called in the reading thread."""
        self._written = 0
        self.last_exchange: tuple[str, str] = ("", "")
        """The last request and its answer, as they were sent."""
        # A thread reads all the time. Otherwise a program that logs between requests would block as
        # soon as a pipe is full.
        self._reader = threading.Thread(target=self._read, name="driver output", daemon=True)
        self._reader.start()

    # -- speaking ------------------------------------------------------------------------------

    def exchange(self, op: str, deadline: float, /, **members: Any) -> Reply:
        """Return the answer to a request, if it comes within ``deadline`` seconds of real time.

        Raises ProtocolError for an invalid answer, ProgramDied, or ProgramSilent.
        """
        with self.turn:
            number = next(self.numbers)
            line = request_line(number, op, members)
            # Kept for the report of a driver that breaks the protocol: its author must see both
            # lines.
            self.last_exchange = (line.decode().strip(), "(nothing)")
            self.send(line, op)
            answer = self.next_line(op, deadline)
            # Checked here and not in the reading thread, because only here is the request known
            # that the message must name.
            if len(answer) > _LONGEST_LINE:
                raise ProtocolError(
                    f"the answer to {op} has more than {_LONGEST_LINE} bytes in one line"
                )
            self.last_exchange = (self.last_exchange[0], answer.decode("utf-8", "replace").strip())
            return read_reply(answer, number, op)

    def send(self, line: bytes, op: str) -> None:
        """Send a request. Raises ProgramDied, or ProtocolError for output before the request."""
        early = self.early_line()
        if early is not None:
            text = early.decode("utf-8", "replace").strip()
            self.last_exchange = (self.last_exchange[0], text)
            raise ProtocolError(
                f"stdout had a line before {op} was requested; an answer is one line, and anything "
                "else belongs on stderr"
            )
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(line)
            stdin.flush()
        # OSError: the pipe has no reader. ValueError: another thread has closed the pipe.
        except (OSError, ValueError):
            # A program that reads no more has usually ended; its exit status says more than "broken
            # pipe".
            raise ProgramDied(self.how_it_ended(op)) from None

    def how_it_ended(self, op: str) -> str:
        """Return, in words, how the program ended during that operation.

        Waits up to a second for the supervisor's report, because the end of a pipe may arrive
        first.
        """
        ended = self._next_report(_REPORT_SECONDS)
        if "status" in ended:
            status = int(ended["status"])
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            return f"the program ended ({how}) when asked to {op}"
        return f"the program closed its output when asked to {op}"

    def _next_report(self, seconds: float) -> dict[str, Any]:
        """Return the supervisor's next report within that many seconds, or else the last one.

        A report that is not read yet stays in the socket for the next call. The last one is
        repeated, because the status of an ended program may be asked for several times.
        """
        line = b""
        # A supervisor that was stopped or killed sends no report, and another thread may have
        # closed the socket.
        with contextlib.suppress(OSError):
            self._control.settimeout(seconds)
            # One byte at a time, so that the next report stays in the socket.
            while not line.endswith(b"\n") and (piece := self._control.recv(1)):
                line += piece
        self._last_report = json.loads(line) if line.endswith(b"\n") else self._last_report
        return self._last_report

    # -- listening -----------------------------------------------------------------------------

    def _read(self) -> None:
        """Read both pipes until they end; runs in a thread of its own."""
        stdout, stderr = self._process.stdout, self._process.stderr
        assert stdout is not None
        assert stderr is not None
        rest = b""
        with selectors.DefaultSelector() as selector:
            for pipe in (stdout, stderr):
                # stderr is also read when only stdout is ready.
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                ready = [key.fileobj for key, _ in selector.select()]
                # stderr is read first, so that output before an answer is there with the answer.
                for pipe in sorted((stdout, stderr), key=lambda pipe: pipe is stdout):
                    if pipe not in ready and pipe is not stderr:
                        continue
                    piece = _piece_of(pipe)
                    if piece == b"" and pipe in selector.get_map():
                        selector.unregister(pipe)
                        if pipe is stdout:  # no answer can come any more, even if stderr continues
                            self._put_end(rest)
                    elif piece and pipe is stderr:
                        self._keep(piece)
                    elif piece:
                        rest = self._take_lines(rest + piece)
        stdout.close()
        stderr.close()

    def _put_end(self, rest: bytes) -> None:
        """Queue the rest and the end: an answer without a line break is an answer."""
        if rest:
            self.put(rest)
        self.put(None)

    def _take_lines(self, text: bytes) -> bytes:
        """Queue complete lines, except blank ones, and return the rest."""
        *lines, rest = text.split(b"\n")
        for line in lines:
            if line.strip():
                self.put(line)
        # exchange() rejects the line; waiting for its end could use all memory.
        if len(rest) > _LONGEST_LINE:
            self.put(rest)
            return b""
        return rest

    def _keep(self, piece: bytes) -> None:
        """Store a piece of stderr, of which the latest 64 kB are kept."""
        self._written += len(piece)
        self._stderr += piece
        del self._stderr[:-_KEPT_STDERR]
        self.show(piece)

    @property
    def stderr_position(self) -> int:
        """Number of bytes of stderr received so far."""
        return self._written

    def stderr_since(self, position: int = 0) -> str:
        """Return the stderr output after that position, the latest 64 kB at most."""
        wanted = max(self._written - position, 0)
        kept = bytes(self._stderr)
        return kept[len(kept) - min(wanted, len(kept)) :].decode("utf-8", "replace")

    # -- ending --------------------------------------------------------------------------------

    def shut_down(self) -> str:
        """End the program; return in words what it did instead of exiting, empty if it exited.

        It takes at most some seconds of real time. The program is killed in any case, with all
        processes that it started.
        """
        problem = ""
        try:
            self.exchange("bye", _ENDING_SECONDS)
        except (ProtocolError, ProgramSilent) as error:
            problem = str(error)
        except ProgramDied:
            pass  # it may exit before it answers
        ended = self._next_report(_ENDING_SECONDS)
        # Asked of the supervisor, not of the pipes: a program may close its output and continue to
        # run.
        if "status" not in ended:
            problem = problem or f"the program still ran {_ENDING_SECONDS:g} s after bye"
        elif ended["left"]:
            problem = problem or "the program left other processes running after bye"
        self.kill()
        return problem

    def kill(self) -> None:
        """End the program and every process that it has started.

        No exit handlers of the program run. May be called again, and after `shut_down`.
        """
        self._let_go()
        self._reader.join(_ENDING_SECONDS)

    def _let_go(self) -> None:
        """Have the supervisor end the program and itself."""
        with contextlib.suppress(OSError):  # the supervisor has already ended
            # The supervisor kills everything with SIGKILL. A graceful signal would give a hung
            # client the choice to ignore it.
            self._control.sendall(b"end\n")
        self._control.close()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(_STARTING_SECONDS)
        except subprocess.TimeoutExpired:  # the program may have stopped the supervisor
            self._process.kill()
            self._process.wait()
        if self._process.returncode:
            # The supervisor was killed before it ended the processes of the program.
            end_users_of(self._sandbox.own)


def _absolute(word: str) -> str:
    """Return a word of a command, as absolute paths if it names files here.

    A class path, as Java has it, names several: files, folders and `folder/*`.
    """
    # A word that names no file here may be found through PATH, or is an option; it stays unchanged.
    with contextlib.suppress(OSError):  # such as an argument that is too long for a name
        entries = word.split(os.pathsep)
        if all(entry and Path(entry.removesuffix("/*")).exists() for entry in entries):
            return os.pathsep.join(str(Path(entry).absolute()) for entry in entries)
    return word


def _piece_of(pipe: IO[bytes]) -> bytes | None:
    """Return the next piece; empty at the end, None if there is none yet."""
    try:
        return os.read(pipe.fileno(), _PIECE)
    except BlockingIOError:
        return None
    # The reader of a program that has closed its output, or whose pipe kill() has closed.
    except (OSError, ValueError):
        return b""
