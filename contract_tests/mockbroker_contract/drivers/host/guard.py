"""Guard of the client's writes: only its own folders are writable.

There are two guards, one in the kernel and one in Python. Landlock (Linux 5.13) binds the process
and every child, in any language, until they end. Where the kernel has no Landlock, Python's audit
hook rejects what Python code opens; programs that the client starts are then not bound.

The hook is installed in any case. It also covers changes of modes, owners and times, which Landlock
does not restrict, and it records what was rejected.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "UNGUARDED_CHILDREN",
    "UNGUARDED_FOR_COVERAGE",
    "UNGUARDED_PROGRAM",
    "WriteGuard",
    "has_landlock",
    "restrict_writes",
]

UNGUARDED_CHILDREN = (
    "this system has no Landlock, so only Python code is kept from writing outside of the client's "
    "folders: programs that the client starts, and C libraries, are not"
)
UNGUARDED_FOR_COVERAGE = (
    "coverage measures the client's process and writes beside the project, so only Python code is "
    "kept from writing outside of the client's folders"
)
UNGUARDED_PROGRAM = (
    "this system has no Landlock, so nothing keeps the driver from writing outside of its folders"
)

# Devices have no contents to protect. Without /dev/shm no lock of multiprocessing could be made,
# and without ptmx and pts no terminal.
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm")
_SYSTEM_PLACES = (*(f"/dev/{name}" for name in _DEVICES), "/proc")

# linux/landlock.h; the numbers of the system calls are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_NO_NEW_PRIVILEGES = 38  # prctl(2)
_WRITE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
# remove entries, and make entries of every kind
_CHANGE_FOLDER = sum(1 << bit for bit in range(4, 13))
_REFER_SINCE, _TRUNCATE_SINCE = 2, 3


class _Ruleset(ctypes.Structure):
    _fields_ = [("handled_access_fs", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    # The kernel's struct is packed: without this ctypes would add four bytes at its end.
    _pack_ = 1
    # Python 3.14 deprecates _pack_ without a layout; "ms" is what it has always implied.
    _layout_ = "ms"
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def has_landlock() -> bool:
    """Return whether the kernel can restrict the writes of a process and its children.

    It needs no privileges, but a container's seccomp profile may forbid the system calls.
    """
    return _landlock_version() > 0


def _landlock_version() -> int:
    """Return the version of Landlock's interface; 0 or less if the kernel has none."""
    if not sys.platform.startswith("linux"):
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    flag = ctypes.c_uint32(_VERSION_FLAG)
    return int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), flag))


def restrict_writes(folders: Iterable[Path]) -> bool:
    """Forbid this process and its children to write outside of these folders, by Landlock.

    Devices without contents, such as /dev/null, stay writable, and so does shared memory. Returns
    False, and changes nothing, where the kernel has no Landlock.

    It cannot be undone, and binds threads that are started later. Other threads that exist already
    are not bound, so call it while there is one.
    """
    version = _landlock_version()
    if version < 1:  # pragma: no cover - a kernel without Landlock
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    # Rights that are not handled stay allowed everywhere. Reading is not handled, because clients
    # import from anywhere.
    handled = _WRITE_FILE | _CHANGE_FOLDER
    # Without this right a rename between two folders is refused, even between the client's own.
    handled |= _REFER if version >= _REFER_SINCE else 0
    handled |= _TRUNCATE if version >= _TRUNCATE_SINCE else 0
    attributes = _Ruleset(handled)
    ruleset = libc.syscall(
        _CREATE_RULESET,
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
        ctypes.c_uint32(0),
    )
    if ruleset < 0:  # pragma: no cover - a kernel that refuses it
        return False
    try:
        for place in (*folders, *map(Path, _SYSTEM_PLACES)):
            _allow(libc, ruleset, place, handled)
        # landlock_restrict_self(2) requires it of processes without privileges: a set-uid program
        # must not be restricted by its caller.
        if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
            return False
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: Any, ruleset: int, place: Path, handled: int) -> None:
    """Add a place to the ruleset, with all rights on folders and with writing on files."""
    with contextlib.suppress(OSError):  # a container may lack the device
        # O_PATH needs no permission to read the place.
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
        try:
            # The kernel rejects a rule that grants rights on folders for a file.
            allowed = handled if place.is_dir() else handled & (_WRITE_FILE | _TRUNCATE)
            rule = _PathBeneath(allowed, descriptor)
            libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))
        finally:
            os.close(descriptor)


# For each event of https://docs.python.org/3/library/audit_events.html: the indexes of the written
# path and of the folder's descriptor to which it is relative.
_WRITES: dict[str, Sequence[tuple[int, int | None]]] = {
    "os.chflags": [(0, None)],
    "os.chmod": [(0, 2)],
    "os.chown": [(0, 3)],
    "os.link": [(0, 2), (1, 3)],
    "os.mkdir": [(0, 2)],
    "os.remove": [(0, 1)],
    "os.removexattr": [(0, None)],
    "os.rename": [(0, 2), (1, 3)],
    "os.rmdir": [(0, 1)],
    "os.setxattr": [(0, None)],
    "os.symlink": [(1, 2)],
    "os.truncate": [(0, None)],
    "os.utime": [(0, 3)],
}
_WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MAX_REFUSED = 20
_KNOWS_PATHS = hasattr(os, "O_PATH") and os.path.isdir("/proc/self/fd")  # noqa: PTH112
_open, _readlink, _close = os.open, os.readlink, os.close  # a client may replace them
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class WriteGuard:
    """Audit hook that rejects writes outside of some folders; it cannot be removed again.

    ``may_also_write`` returns whether a path elsewhere belongs to a tool of the user that measures
    the client, such as coverage. ``refused`` has the rejected paths.

    It runs at every audited event of the process, its own included. So it must be fast, and opens
    nothing for writing.
    """

    def __init__(
        self, folders: Iterable[Path], may_also_write: Callable[[str], bool] = lambda _: False
    ) -> None:
        places = [*map(str, folders), *_SYSTEM_PLACES]
        self._allowed = tuple(place.rstrip("/") for place in map(os.path.realpath, places))
        self._may_also_write = may_also_write
        self.refused: list[str] = []

    def install(self) -> None:
        """Reject writes from now on, in this process and in those that are forked from it.

        Raises nothing: a hook of the user may veto it, which Python then ignores.
        """
        # PEP 578: an audit hook stays for the life of the process, which is why it runs in the host
        # only.
        sys.addaudithook(self._on_event)

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            # A descriptor as the path was opened before, and was judged then.
            if isinstance(flags, int) and flags & _WRITING_FLAGS and not isinstance(path, int):
                self._judge(path, None)
        elif event in _WRITES:
            for path_index, folder_index in _WRITES[event]:
                folder = None if folder_index is None else arguments[folder_index]
                self._judge(arguments[path_index], folder)

    def _judge(self, path: Any, folder: Any) -> None:
        """Raise PermissionError if the path is outside of the allowed places."""
        try:
            place = _place_of(path, folder)
        except (OSError, TypeError, ValueError):
            return  # the operation fails by itself
        if any(place == each or place.startswith(f"{each}/") for each in self._allowed):
            return
        if self._may_also_write(place):
            return
        # A client may try the same file at each use, for thousands of uses.
        if len(self.refused) < _MAX_REFUSED and place not in self.refused:
            self.refused.append(place)
        # EACCES, as Landlock returns it: a client meets the same error from either guard.
        raise PermissionError(
            errno.EACCES, "a client under test may write only in its own folders", place
        )


def _place_of(path: Any, folder: Any) -> str:
    """Return the real path of the path's folder, with the path's last name."""
    if isinstance(path, int):
        return os.path.realpath(f"/proc/self/fd/{path}")
    # bytes, str and path objects alike; anything else raises TypeError, as the operation itself
    # will.
    text = os.fsdecode(path)
    if isinstance(folder, int) and folder >= 0 and not os.path.isabs(text):  # noqa: PTH117 - no Path is made
        text = f"/proc/self/fd/{folder}/{text}"
    parent, name = os.path.split(text.rstrip("/") or "/")
    if name in ("", ".", ".."):
        return _real_folder(text)
    real = os.path.join(_real_folder(parent), name)  # noqa: PTH118
    # open() follows a link at the end of a path, so the file that it leads to is judged.
    return os.path.realpath(real) if os.path.islink(real) else real  # noqa: PTH114


def _real_folder(folder: str) -> str:
    """Return the folder's real path, as the kernel knows it.

    `os.path.realpath` looks up each folder on the way by its whole path, which takes minutes for a
    thousand nested folders. Raises OSError if the kernel does not return the path, because it has
    more than 4096 bytes. No path can name such a file either.
    """
    if not _KNOWS_PATHS:
        return os.path.realpath(folder)
    try:
        descriptor = _open(folder or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in _SHORTAGES:
            raise
        return os.path.realpath(folder)
    try:
        return _readlink(f"/proc/self/fd/{descriptor}")
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise
        return os.path.realpath(folder)  # the folder is outside of the process's root directory
    finally:
        _close(descriptor)
