"""Time zone of the host."""

from __future__ import annotations

import os
import time

__all__ = ["UTC", "VARIABLE", "TimeZone"]

UTC = "UTC"
"""Name of UTC for the C library, also without a zone database, and for zoneinfo."""

VARIABLE = "TZ"
"""Environment variable with the zone's name."""


class TimeZone:
    """Local time zone of this process; children inherit it by the variable TZ."""

    def __init__(self) -> None:
        self._original = os.environ.get(VARIABLE)

    def set(self, name: str) -> None:
        """Use the time zone with that name, as in the variable TZ."""
        os.environ[VARIABLE] = name
        _read_variable()

    def restore(self) -> None:
        """Use the time zone of the process's start."""
        if self._original is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = self._original
        _read_variable()


def _read_variable() -> None:
    # The C library reads the variable only on request. It converts local times for every library
    # in the process, so freezegun's offset alone would not suffice.
    if hasattr(time, "tzset"):
        time.tzset()
