"""Clock of a program that cannot move it itself, by libfaketime where it is installed.

The preflight checks whether a program follows the clock, before any clause is judged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["FakedClock", "faked_clocks", "find_libfaketime"]

# Debian's and Fedora's packages, a build from source, and Homebrew on both kinds of Mac. The MT
# library is safe in programs with threads; the plain one is not.
_PLACES = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib*/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
    "/opt/homebrew/lib/faketime/libfaketime.1.dylib",
    "/usr/local/lib/faketime/libfaketime.1.dylib",
)


class FakedClock:
    """Clock that is seen by programs started in its environment.

    The program's clock runs on, with a difference to the machine's. libfaketime reads that
    difference from a file, so it can change while the program runs.

    Not safe for several threads.
    """

    def __init__(self, library: Path, file: Path, *, is_monotonic_faked: bool) -> None:
        self._file = file
        self._moved = 0.0
        preload = "DYLD_INSERT_LIBRARIES" if sys.platform == "darwin" else "LD_PRELOAD"
        flat = {"DYLD_FORCE_FLAT_NAMESPACE": "1"} if sys.platform == "darwin" else {}
        # Some runtimes wait on the monotonic clock, and a wait that ends by a faked one may never
        # end.
        left_alone = {} if is_monotonic_faked else {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.environment: Mapping[str, str] = {
            preload: str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            # Without it libfaketime reads the file only every 10 s.
            "FAKETIME_NO_CACHE": "1",
            **flat,
            **left_alone,
        }
        self.advance(0)

    def advance(self, seconds: float) -> None:
        """Move the clock forward by that many seconds.

        The program sees the new time at its next reading of the clock. A timer that it has already
        set is not moved.
        """
        self._moved += seconds
        # Replaced in one step, because the program may read the file at any moment.
        written = self._file.with_suffix(".new")
        written.write_text(f"+{self._moved:.3f}\n", encoding="ascii")
        written.replace(self._file)


def faked_clocks(folder: Path) -> Iterator[FakedClock]:
    """Yield the clocks that this machine supports; their files are in the folder.

    Some runtimes measure time by the monotonic clock and must see it move. Others stop if it is
    faked.
    """
    library = find_libfaketime()
    if library is not None:
        yield FakedClock(library, folder / "clock", is_monotonic_faked=True)
        yield FakedClock(library, folder / "wall-clock", is_monotonic_faked=False)


def find_libfaketime() -> Path | None:
    """Return the path of the library, if it is in one of its usual places.

    None means that it is not installed: the client is then checked in real time.
    """
    found = (path for place in _PLACES for path in Path("/").glob(place.lstrip("/")))
    return next(found, None)
