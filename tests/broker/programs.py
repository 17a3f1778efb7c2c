"""The command line as a program of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

MAIN = (sys.executable, "-c", "from mockbroker.__main__ import main; main()")


def run(*arguments: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [*MAIN, *arguments],
        input=text,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=30,
        check=False,
        env=os.environ | variables,
    )


@contextmanager
def serving(
    *arguments: str, command: str = "serve", **variables: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A broker in a process of its own, and the banner that it printed."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*MAIN, command, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env=os.environ | variables,
    )
    try:
        assert process.stdout is not None
        banner = ""
        while "curl" not in banner:
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            banner += line
        yield process, banner
    finally:
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """End a command in order, so that its coverage is written; kill it if that takes long."""
    process.terminate()
    try:
        process.communicate(timeout=10)
    except (subprocess.TimeoutExpired, ValueError):  # a test may have closed a stream
        process.kill()
        process.wait()


def token_url(banner: str) -> str:
    found = re.search(r"token URL +(\S+)", banner)
    assert found
    return found[1]
