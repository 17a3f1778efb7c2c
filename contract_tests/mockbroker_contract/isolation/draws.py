"""Examples that depend on nothing but their strategy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

from hypothesis.internal.conjecture import providers

__all__ = ["without_constants_of_modules"]

_permitted: dict[Any, Any] = {}
"""Which of Hypothesis' own constants a strategy may draw, kept apart from those of others."""


@contextlib.contextmanager
def without_constants_of_modules() -> Iterator[None]:
    """Have Hypothesis draw no constants from the source of whatever is imported.

    It would otherwise mix in those of every module outside of site-packages: a verdict would
    depend on how the kit is installed and on what else the client imports, and each run would
    begin by parsing all of them. Hypothesis has no public switch for it. A release that does not
    have what is replaced here either draws no such constants, or fails our tests.
    """
    with contextlib.ExitStack() as replaced:
        if hasattr(providers, "_get_local_constants"):
            from hypothesis.internal.constants_ast import Constants  # noqa: PLC0415 - as new

            nothing = Constants()
            for name, value in (
                ("_get_local_constants", lambda: nothing),
                ("CONSTANTS_CACHE", _permitted),
            ):
                replaced.enter_context(mock.patch.object(providers, name, value))
        yield
