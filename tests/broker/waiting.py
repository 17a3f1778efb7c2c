"""Waiting for what another thread or process does, without sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT_SECONDS = 60.0


def becomes(is_so: Callable[[], bool]) -> bool:
    """Whether it becomes so within the limit."""
    until = time.monotonic() + LIMIT_SECONDS
    while not is_so():
        if time.monotonic() > until:
            return False
    return True
