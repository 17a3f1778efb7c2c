"""The process of the launcher, which starts and ends the hosts of a Python client."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from mockbroker.model.client import ClientFactory
from mockbroker_contract.drivers.own_folders import OWN_FOLDERS

__all__ = ["LauncherProcess"]

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


class LauncherProcess:
    """Launcher, as a process: a new interpreter, or a fork of this process.

    ``source`` is the name of a target or a factory object. A fork closes ``ours``, sockets of this
    process. ``control`` is the end of a socket pair: commands go out and notes come in. Closing it
    ends the launcher. ``output_end`` is the reading end of a pipe for the output of the host.
    """

    def __init__(self, source: str | ClientFactory, ours: Sequence[socket.socket]) -> None:
        # Its closing ends the launcher, also when this process is killed.
        self.control, theirs = socket.socketpair()
        self.output_end, output_theirs = os.pipe()
        # The reader reads until the pipe is empty.
        os.set_blocking(self.output_end, False)
        self._popen: subprocess.Popen[bytes] | None = None
        try:
            if isinstance(source, str):
                self._pid = self._spawned(theirs, output_theirs, source)
            else:
                self._pid = self._forked(theirs, output_theirs, source, ours)
        finally:
            # The child has copies. With these open, the end of the launcher would not be seen as
            # the end of its streams.
            theirs.close()
            os.close(output_theirs)

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

    def _forked(
        self,
        control: socket.socket,
        output: int,
        factory: ClientFactory,
        ours: Sequence[socket.socket],
    ) -> int:
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
            for each in (self.control, *ours):
                each.close()
            os.close(self.output_end)
            for descriptor in (1, 2):
                os.dup2(output, descriptor)
            # It never returns, so the child never continues in the code of the user's test run.
            run_launcher(control, lambda: factory, is_forked=True)
        return pid

    def kill(self) -> int:
        """End the launcher at once, and return its exit status.

        A launcher that has ended in order is a zombie here, which the signal does not change. The
        status is negative for a signal, and 0 if another part of the test run has already waited
        for the process.
        """
        with contextlib.suppress(OSError):
            os.kill(self._pid, signal.SIGKILL)
        if self._popen is not None:
            return self._popen.wait()
        with contextlib.suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return 0

    def close(self) -> None:
        """Close the descriptors of this process."""
        self.control.close()
        os.close(self.output_end)
