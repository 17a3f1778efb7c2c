"""Switching of threads in the host during a burst."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

__all__ = ["eager_switching"]

_EAGER_SECONDS = 1e-5


@contextlib.contextmanager
def eager_switching() -> Iterator[None]:
    """Make threads switch so often that races between two statements become likely.

    Python switches every 5 ms by default. A client's check and its update of a token take a few
    microseconds, so threads would hardly ever meet between them.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_EAGER_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
