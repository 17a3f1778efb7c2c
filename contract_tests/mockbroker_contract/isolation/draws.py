"""Examples that depend only on their strategy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

from hypothesis.internal.conjecture import providers

__all__ = ["without_constants_of_modules"]

_permitted: dict[Any, Any] = {}
"""Hypothesis's own constants that a strategy may draw, separate from those of modules."""


@contextlib.contextmanager
def without_constants_of_modules() -> Iterator[None]:
    """Prevent Hypothesis from drawing constants of imported modules.

    Hypothesis would otherwise include those of every module outside of site-packages. A verdict
    would then depend on how the kit is installed and on what else the client imports. Each run
    would begin with parsing all of these modules. Hypothesis has no public switch for it. A release
    without the functions that are replaced here either draws no such constants, or fails the
    project's tests.
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
