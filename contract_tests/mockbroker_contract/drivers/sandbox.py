"""Where a client under test lives: folders and an environment of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mockbroker_contract.drivers.removal import remove_tree
from mockbroker_contract.drivers.target import TargetError

__all__ = ["CA_VARIABLES", "Sandbox"]

_MOST_COPIED_BYTES = 64 * 1024 * 1024
_MOST_COPIED_FILES = 10_000
_NOT_COPIED = frozenset({".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", "__pycache__"})

CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"""By which the common TLS libraries are told whom to trust, some of them only at their start."""

_UNSET = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONSTARTUP", "NETRC")
_UNSET_PREFIX = "XDG_"
"""Folders below HOME, which without these variables are found below the client's own."""

_NO_PROXY = "127.0.0.1,localhost,::1"
"""Brokers are on this machine, which no proxy reaches."""


class Sandbox:
    """A working directory, HOME and folder for temporary files that no other program uses.

    They hold nothing of the user's but copies of what ``copies`` names: files and folders, each
    at its own place below the working directory, or below HOME if that is where it is. Raises
    TargetError for a path that cannot be copied.
    """

    def __init__(self, copies: Sequence[str] = ()) -> None:
        # Resolved, for the guard of the client's writes compares real paths.
        base = Path(tempfile.gettempdir()).resolve()
        self._storage = tempfile.TemporaryDirectory(
            prefix="client-", dir=base, ignore_cleanup_errors=True
        )
        root = self.outside = Path(self._storage.name)
        """A folder beside those of the client, for what the run itself keeps in files."""
        root.chmod(0o755)
        self.own = root / "client"
        """The folder in which those of the client are, and in which it may write."""
        self.folders = tuple(self.own / name for name in ("work", "home", "tmp"))
        """The working directory, HOME, and the folder for temporary files."""
        self.restore()
        try:
            for text in copies:
                self._copy(Path(text))
        except BaseException:
            self.close()
            raise

    @property
    def work(self) -> Path:
        """The working directory."""
        return self.folders[0]

    def restore(self) -> None:
        """Make the folders again that a client has removed, replaced, or locked itself out of."""
        for folder in (self.own, *self.folders):
            with contextlib.suppress(OSError):
                # Never through a link that the client has put there: we may write where it leads.
                if folder.is_symlink() or not folder.is_dir():
                    folder.unlink(missing_ok=True)
                folder.mkdir(mode=0o755, exist_ok=True)
                folder.chmod(0o755)

    def environment(self, trusted: str | None = None) -> dict[str, str]:
        """The environment variables for a process of the client.

        ``trusted`` is a CA file that the common TLS libraries are to trust, or None.
        """
        _, home, temporary = map(str, self.folders)
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in _UNSET and not name.startswith(_UNSET_PREFIX)
        }
        own = {
            "HOME": home,
            "TMPDIR": temporary,
            "NO_PROXY": _NO_PROXY,
            "no_proxy": _NO_PROXY,
            "PYTHONDONTWRITEBYTECODE": "1",  # beside the user's modules
            "PWD": str(self.work),
        }
        return {**kept, **own, **self.trust(trusted)}

    @staticmethod
    def trust(trusted: str | None) -> dict[str, str]:
        """The variables by which the common TLS libraries are told to trust a CA file."""
        return {} if trusted is None else dict.fromkeys(CA_VARIABLES, trusted)

    def close(self) -> None:
        """Remove the folders."""
        remove_tree(self.outside)  # which the launcher may have begun, and moved folders there
        self._storage.cleanup()

    # -- copies --------------------------------------------------------------------------------

    def _copy(self, given: Path) -> None:
        source = given.expanduser()
        if not source.exists():
            raise TargetError(f"there is no {str(given)!r} to copy for the client; check --copy")
        target = self._place_of(source.absolute())
        try:
            _copy_files(source, target, given)
        except OSError as error:
            raise TargetError(
                f"{str(given)!r} cannot be copied for the client: {error.strerror}"
            ) from None

    def _place_of(self, source: Path) -> Path:
        """Where the copy belongs: at the same place relative to where the original is."""
        work, home, _ = self.folders
        for original, folder in ((Path.cwd(), work), (_home(), home)):
            if original is not None and source.is_relative_to(original):
                return folder / source.relative_to(original)
        return work / source.name


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # the user has none
        return None


def _copy_files(source: Path, target: Path, given: Path) -> None:
    """Copy a file, or every regular file below a folder; raises TargetError for too many.

    A link to a file becomes that file. A link to a folder is kept if it leads to a place below
    ``source``, and left out otherwise: nothing in the copy may lead out of it.
    """
    size = count = 0
    for file in _files_in(source):
        place = target / file.relative_to(source) if source.is_dir() else target
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            if _leads_inside(file, source):
                place.symlink_to(file.readlink())
            continue
        if not file.is_file():  # a socket, a device, or a link to nothing
            continue
        size, count = size + file.stat().st_size, count + 1
        if size > _MOST_COPIED_BYTES or count > _MOST_COPIED_FILES:
            raise TargetError(
                f"{str(given)!r} has more than {_MOST_COPIED_BYTES // 1024**2} MiB or "
                f"{_MOST_COPIED_FILES} files; name only what the client reads: --copy PATH"
            )
        shutil.copy2(file, place)


def _files_in(source: Path) -> Iterator[Path]:
    """The file itself, or the files below a folder and the links to folders."""
    if not source.is_dir():
        yield source
        return
    for folder, names, files in os.walk(source):
        names[:] = sorted(name for name in names if name not in _NOT_COPIED)
        links = [name for name in names if (Path(folder) / name).is_symlink()]
        yield from (Path(folder) / name for name in (*files, *links))


def _leads_inside(link: Path, source: Path) -> bool:
    return not link.readlink().is_absolute() and link.resolve().is_relative_to(source.resolve())
