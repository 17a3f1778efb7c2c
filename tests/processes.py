"""Finding processes by a mark in their environment, which everything that they start inherits."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path

MARK = "MOCKBROKER_TEST_MARK"


def new_mark() -> str:
    """A mark that no other process has; put it into the environment as `MARK`."""
    return uuid.uuid4().hex


def marked(mark: str) -> list[str]:
    """The command lines of the processes with that mark that run; those that ended do not count."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append((folder / "cmdline").read_bytes().decode().replace("\0", " "))
    return found


def left_behind(mark: str, seconds: float = 5.0) -> list[str]:
    """The processes with that mark that still run after a while in which the kernel ends them."""
    until = time.monotonic() + seconds
    while (found := marked(mark)) and time.monotonic() < until:
        time.sleep(0.05)
    return found
