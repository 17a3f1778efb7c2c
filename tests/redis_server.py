"""A Redis that tests start, kill and start again on the same port."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mockbroker.server.ports import listen_at

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
START_LIMIT_SECONDS = 30.0


class RedisServer:
    """A Redis on a free port that keeps nothing on the disk; it runs from its construction on."""

    def __init__(self, folder: Path, *options: str) -> None:
        with listen_at("127.0.0.1", 0) as free:
            self.port = free.getsockname()[1]
        self._command = [
            *(str(PROGRAM), "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(folder), *options),
        ]
        self._log = folder / f"redis-{self.port}.log"
        self.start()

    def start(self) -> None:
        """Start it, and return once it accepts connections."""
        with self._log.open("ab") as log:
            # In a session of its own: if a process of an orphaned group ends while another one of
            # the group is stopped, Linux sends SIGHUP to the whole group, which is the test run.
            self._process = subprocess.Popen(  # noqa: S603 - a known program
                self._command, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + START_LIMIT_SECONDS
        while not self._listens():
            assert time.monotonic() < until, self._log.read_text()
            assert self._process.poll() is None, self._log.read_text()

    def _listens(self) -> bool:
        """Whether it accepts connections."""
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """Kill it: connections break, and what it knew is lost."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Have it answer nothing, while its connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it answer again."""
        self._process.send_signal(signal.SIGCONT)

    def new_url(self) -> str:
        """The URL of a state that does not exist yet."""
        return f"redis://127.0.0.1:{self.port}/0?namespace={uuid.uuid4().hex}"


@contextlib.contextmanager
def redis_running(folder: Path, *options: str) -> Iterator[RedisServer]:
    """Run a Redis of one's own; skip the test if the machine has none."""
    if PROGRAM is None:
        reason = "redis-server is not on the PATH; Debian's package redis-server has it"
        # CI installs it, so that there a missing Redis is a mistake.
        assert not os.environ.get("MOCKBROKER_NEEDS_REDIS"), reason
        pytest.skip(reason)
    server = RedisServer(folder, *options)
    try:
        yield server
    finally:
        server.kill()
