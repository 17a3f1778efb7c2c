"""Tracebacks of a client as plain values: the line of the client's own code, and the whole text.

The frames of the host itself are left out. They show nothing about the client.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from traceback import FrameSummary, StackSummary, format_list, walk_tb
from types import TracebackType
from typing import Any

from mockbroker_contract.drivers.host.errors import bounded_text, chain_of, name_of_class

__all__ = ["place_of", "traceback_of"]

_KIT = str(Path(__file__).parents[2])
_LIBRARIES = tuple(
    {str(Path(sysconfig.get_path(name))) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_SITES = frozenset({"site-packages", "dist-packages"})
_LONGEST_TRACEBACK = 20_000
_MAX_FRAMES = 100


def place_of(error: BaseException) -> dict[str, Any] | None:
    """Return file, line and function of the client's last frame; None without a traceback.

    The client's code is what belongs to no library. For a client that is itself a library it is the
    package that was called.
    """
    frames = _frames_of(error)
    if not frames:
        return None
    own = [frame for frame in frames if not _is_library(frame.filename)]
    package = _package_of(frames[0].filename)
    found = (own or [frame for frame in frames if _package_of(frame.filename) == package])[-1]
    return {"file": _short(found.filename), "line": found.lineno or 0, "function": found.name}


def traceback_of(error: BaseException) -> str:
    """Return the traceback with those of the causes, bounded; empty without one."""
    parts = [
        "".join([*format_list(frames), _last_line(each)])
        for each in chain_of(error)
        if (frames := _frames_of(each))
    ]
    # As Python prints it, the cause comes first.
    return "\nwhich led to\n".join(reversed(parts))[-_LONGEST_TRACEBACK:]


def _frames_of(error: BaseException) -> Sequence[FrameSummary]:
    try:
        traceback: TracebackType | None = error.__traceback__
        # Without the source, which is read only when a traceback is formatted.
        frames = StackSummary.extract(walk_tb(traceback), lookup_lines=False)[-_MAX_FRAMES:]
    except Exception:  # noqa: BLE001 - the client may have made it a property, or removed its file
        return ()
    return [frame for frame in frames if not frame.filename.startswith(_KIT)]


def _last_line(error: BaseException) -> str:
    text = bounded_text(lambda: str(error))
    return f"{name_of_class(type(error))}{': ' if text else ''}{text}"


def _is_library(file: str) -> bool:
    return file.startswith((*_LIBRARIES, "<frozen")) or bool(_SITES & set(Path(file).parts))


def _package_of(file: str) -> str:
    """Return the folder of the top-level package of a library's file, or the file's folder."""
    parts = Path(file).parts
    for number, part in enumerate(parts):
        if part in _SITES:
            return str(Path(*parts[: number + 2]))
    return str(Path(file).parent)


def _short(file: str) -> str:
    """Return the path below the entry of `sys.path` that has the file, else its name.

    Paths of the machine differ from run to run; a report must not.
    """
    folders = [entry for entry in map(str, sys.path) if entry and file.startswith(f"{entry}/")]
    longest = max(folders, key=len, default="")
    return file[len(longest) + 1 :] if longest else Path(file).name
