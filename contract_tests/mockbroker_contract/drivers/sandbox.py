"""The sandbox of a client under test: separate folders and environment."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.drivers.removal import remove, remove_tree
from mockbroker_contract.drivers.target import TargetError
from mockbroker_contract.isolation.proxies import LOOPBACK_HOSTS, proxy_variables

__all__ = ["CA_VARIABLES", "Sandbox"]

# A client reads some files of settings. More than this means that a whole project or a home was
# named by mistake.
_MAX_COPIED_BYTES = 64 * 1024 * 1024
_MAX_COPIED_FILES = 10_000
# Folders of tools: large, and never read by a client as its settings.
_NOT_COPIED = frozenset({".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", "__pycache__"})

CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"""The variables that name a CA file to the common TLS libraries; some read them at start only."""

# They would lead the client to files of the user: another CA, a start-up script, other credentials.
# requests sends those of a netrc file by itself.
_UNSET = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONSTARTUP", "NETRC")
_UNSET_PREFIX = "XDG_"
"""Prefix of variables that name folders; without them programs use the client's HOME."""


class Sandbox:
    """Working directory, HOME and temporary folder that no other program uses.

    They contain no files of the user except copies of ``copies``: files and folders. Each copy is
    at its own path below the working directory, or below HOME for originals in the user's home.
    Raises TargetError for a path that cannot be copied.

    It owns the folders, and `close` removes them. The environment of the judging process is never
    changed: `environment` returns a copy for the child.
    """

    def __init__(self, copies: Sequence[str] = ()) -> None:
        # Resolved, because the write guard compares real paths.
        # /tmp itself is often a link, on macOS always.
        base = Path(tempfile.gettempdir()).resolve()
        self._storage = tempfile.TemporaryDirectory(
            prefix="client-", dir=base, ignore_cleanup_errors=True
        )
        root = self.outside = Path(self._storage.name)
        """Folder beside those of the client, for files of the run itself."""
        # `tempfile` makes it private. The clause `secrecy.files` asks what others could read. The
        # mode of a client's file must decide that, not the mode of a folder above it.
        root.chmod(0o755)
        self.keeps_proxies = True
        """Whether processes of the client get the variables that name a proxy."""
        self.own = root / "client"
        """Folder that contains the client's folders, and in which it may write."""
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
        """Create folders again that a client has removed, replaced or locked.

        Existing contents stay. What cannot be created is left as it is: the client's failure then
        shows it.
        """
        for folder in (self.own, *self.folders):
            with contextlib.suppress(OSError):
                # Never follow a link of the client: the kit may write where the guard forbids it to
                # the client.
                if folder.is_symlink() or not folder.is_dir():
                    folder.unlink(missing_ok=True)
                folder.mkdir(mode=0o755, exist_ok=True)
                folder.chmod(0o755)

    @contextlib.contextmanager
    def file_in_home(self, name: str, content: str) -> Iterator[None]:
        """Provide a private file in HOME; the file of that name before it is restored at the end.

        Raises NotTested if the file cannot be written, because of what a client has made there.
        """
        self.restore()
        path = self.folders[1] / name
        try:
            before = path.read_bytes() if path.exists() else None
            # netrc readers reject a file that others can read, so it is private before it is full.
            path.touch()
            path.chmod(0o600)
            path.write_text(content, encoding="utf-8")
        except OSError as error:
            raise NotTested(f"~/{name} could not be written: {error.strerror}") from None
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                if before is None:
                    path.unlink(missing_ok=True)
                else:
                    path.write_bytes(before)

    def files(self) -> dict[Path, tuple[int, int, int]]:
        """Return the regular files in the client's folders, each with inode, time and size.

        Two results differ in the files that were written between them.
        """
        found = {}
        for folder, _, names in os.walk(self.own):
            for path in (Path(folder) / name for name in names):
                with contextlib.suppress(OSError):  # the client removes it meanwhile
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode):
                        found[path] = (status.st_ino, status.st_mtime_ns, status.st_size)
        return found

    @contextlib.contextmanager
    def file_for_home(self) -> Iterator[None]:
        """Put a file in the place of HOME while the context lasts: no program can write there."""
        home = self.folders[1]
        away = home.with_name("home-away")
        home.rename(away)
        home.touch()
        try:
            yield
        finally:
            remove(home)
            away.rename(home)

    def environment(self, trusted: str | None = None) -> dict[str, str]:
        """Return the environment variables for a process of the client.

        ``trusted`` is a CA file for the common TLS libraries, or None.
        """
        _, home, temporary = map(str, self.folders)
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in _UNSET and not name.startswith(_UNSET_PREFIX)
        }
        for name in () if self.keeps_proxies else proxy_variables():
            del kept[name]
        own = {
            # Token caches and configurations of the user must neither decide a verdict nor be
            # overwritten.
            "HOME": home,
            "TMPDIR": temporary,
            # Both spellings, because curl and Python's urllib prefer the lower-case one.
            "NO_PROXY": LOOPBACK_HOSTS,
            "no_proxy": LOOPBACK_HOSTS,
            "PYTHONDONTWRITEBYTECODE": "1",  # no __pycache__ beside the user's modules
            # Shells and Go's os.Getwd trust it, and it would name the user's directory.
            "PWD": str(self.work),
        }
        return {**kept, **own, **self.trust(trusted)}

    @staticmethod
    def trust(trusted: str | None) -> dict[str, str]:
        """Return the variables that name a CA file to the common TLS libraries."""
        # All at once, because the kit cannot know which TLS library a client uses.
        return {} if trusted is None else dict.fromkeys(CA_VARIABLES, trusted)

    def close(self) -> None:
        """Remove the folders.

        May be called twice. What a client has made unremovable is left behind.
        """
        # the launcher may have begun the removal, which moves folders into this one
        remove_tree(self.outside)
        self._storage.cleanup()

    # -- copies --------------------------------------------------------------------------------

    def _copy(self, given: Path) -> None:
        """Copy what the user named. Raises TargetError if it does not exist or cannot be read."""
        source = given.expanduser()
        if not source.exists():
            raise TargetError(f"{str(given)!r}, to be copied, does not exist; check --copy")
        target = self._place_of(source.absolute())
        try:
            _copy_files(source, target, given)
        except OSError as error:
            raise TargetError(
                f"{str(given)!r} cannot be copied for the client: {error.strerror}"
            ) from None

    def _place_of(self, source: Path) -> Path:
        """Return the path of the copy, relative to the sandbox as the original to its folder."""
        work, home, _ = self.folders
        for original, folder in ((Path.cwd(), work), (_home(), home)):
            if original is not None and source.is_relative_to(original):
                return folder / source.relative_to(original)
        return work / source.name


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # the user has no home directory
        return None


def _copy_files(source: Path, target: Path, given: Path) -> None:
    """Copy a file, or every regular file below a folder; raise TargetError for too many.

    A link to a file becomes that file. A link to a folder is kept if it leads to a place below
    ``source``, and left out otherwise: no link in the copy may lead out of it.
    """
    size = count = 0
    for file in _files_in(source):
        place = target / file.relative_to(source) if source.is_dir() else target
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            if _leads_inside(file, source):
                place.symlink_to(file.readlink())
            continue
        if not file.is_file():  # a socket, a device, or a dangling link
            continue
        size, count = size + file.stat().st_size, count + 1
        if size > _MAX_COPIED_BYTES or count > _MAX_COPIED_FILES:
            raise TargetError(
                f"{str(given)!r} has more than {_MAX_COPIED_BYTES // 1024**2} MiB or "
                f"{_MAX_COPIED_FILES} files; name only what the client reads: --copy PATH"
            )
        shutil.copy2(file, place)


def _files_in(source: Path) -> Iterator[Path]:
    """Yield the file itself, or the files below a folder and the links to folders."""
    if not source.is_dir():
        yield source
        return
    for folder, names, files in os.walk(source):
        # Changed in place, as os.walk requires for leaving folders out. Sorted, so that the limit
        # is exceeded at the same file in each run.
        names[:] = sorted(name for name in names if name not in _NOT_COPIED)
        links = [name for name in names if (Path(folder) / name).is_symlink()]
        yield from (Path(folder) / name for name in (*files, *links))


def _leads_inside(link: Path, source: Path) -> bool:
    return not link.readlink().is_absolute() and link.resolve().is_relative_to(source.resolve())
