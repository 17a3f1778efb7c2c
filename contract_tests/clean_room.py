"""Where a client under test lives: folders of its own, and a process that it cannot upset."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contract_tests.client_thread import in_client_thread

__all__ = ["CA_VARIABLES", "CleanRoom", "environment_trusting"]

_UMASK = 0o022
_MOST_LINKS = 500

CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"""By which the common TLS libraries are told whom to trust, some of them only at their start."""

# Brokers are on this machine, which no proxy reaches, and a client is told whom to trust.
_ENVIRONMENT: dict[str, str | None] = {
    "XDG_CACHE_HOME": None,
    "NO_PROXY": "127.0.0.1,localhost,::1",
    "no_proxy": "127.0.0.1,localhost,::1",
    "REQUESTS_CA_BUNDLE": None,
    "CURL_CA_BUNDLE": None,
}


class CleanRoom:
    """A working directory, HOME and folder for temporary files that nobody else uses.

    A client may keep tokens in files: those of one run must not be read by the next, nor be left
    where the user works. What the user's own folders hold is linked into them, so that a client
    finds its settings; what a client writes there stays here.
    """

    def __init__(self) -> None:
        self._storage = tempfile.TemporaryDirectory(prefix="client-", ignore_cleanup_errors=True)
        self._depth = 0
        self._exit = contextlib.ExitStack()
        root = self.outside = Path(self._storage.name)
        """A folder beside those of the client, for what the run itself keeps in files."""
        root.chmod(0o755)
        self.folders = tuple(root / name for name in ("work", "home", "tmp"))
        """The working directory, HOME, and the folder for temporary files."""
        for folder, original in zip(self.folders, (Path.cwd(), _home(), None), strict=True):
            folder.mkdir(mode=0o755)
            _link_contents(original, folder)

    def close(self) -> None:
        """Remove the folders."""
        self._storage.cleanup()

    def __enter__(self) -> CleanRoom:
        if not self._depth:
            self._exit.enter_context(_process_of(*self.folders))
        self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._exit.close()


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # nobody's home
        return None


def _link_contents(original: Path | None, folder: Path) -> None:
    if original is None:
        return
    with contextlib.suppress(OSError):  # unreadable, or a platform without links
        for entry in sorted(original.iterdir())[:_MOST_LINKS]:
            if entry.name != ".cache":
                (folder / entry.name).symlink_to(entry.absolute())


@contextlib.contextmanager
def _process_of(work: Path, home: Path, temporary: Path) -> Iterator[None]:
    """The process as a client may find it; restored afterwards, whatever it has done to it."""
    umask, directory = os.umask(_UMASK), Path.cwd()
    timeout, tempdir = socket.getdefaulttimeout(), tempfile.tempdir
    changes = {**_ENVIRONMENT, "HOME": str(home), "TMPDIR": str(temporary)}
    before = {name: os.environ.get(name) for name in changes}
    _set_environment({**changes, "XDG_CACHE_HOME": str(home / ".cache")})
    tempfile.tempdir = str(temporary)
    os.chdir(work)
    try:
        with _exit_guarded(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a user's "-W error" would make errors of them
            yield
    finally:
        os.umask(umask)
        os.chdir(directory)
        socket.setdefaulttimeout(timeout)
        tempfile.tempdir = tempdir
        _set_environment(before)


@contextlib.contextmanager
def environment_trusting(ca_file: str | None) -> Iterator[None]:
    """Have the common TLS libraries trust a CA file, by the environment variables they heed."""
    before = {name: os.environ.get(name) for name in CA_VARIABLES}
    if ca_file is not None:
        _set_environment(dict.fromkeys(CA_VARIABLES, ca_file))
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(environment: Mapping[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextlib.contextmanager
def _exit_guarded() -> Iterator[None]:
    """Let `os._exit` in a client end that client, not the run."""
    really_exit: Any = os._exit

    def leave(status: int) -> None:
        if in_client_thread():
            sys.exit(f"os._exit({status})")
        really_exit(status)

    os._exit = leave  # type: ignore[assignment]  # which never returns, but for clients
    try:
        yield
    finally:
        os._exit = really_exit
