"""Examples that depend only on their strategy.

Hypothesis has no public switch for it, so this module replaces internal names of its provider. The
requirement in pyproject.toml has bounds for this reason, and a test checks each assumption.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from hypothesis.internal.conjecture import providers

__all__ = ["without_constants_of_modules"]

_permitted: dict[Any, Any] = {}
"""Hypothesis's own constants that a strategy may draw, separate from those of modules.

It replaces the cache of the provider, whose entries contain both kinds. So the cache that the
user's own tests fill has no effect here, and is not changed.
"""


@contextlib.contextmanager
def without_constants_of_modules() -> Iterator[None]:
    """Prevent Hypothesis from drawing constants of imported modules.

    Hypothesis would otherwise include those of every module outside of site-packages. A verdict
    would then depend on how the kit is installed and on what else the client imports. Each run
    would begin with parsing all of these modules.

    A later release may lack the names that are replaced here. The check then works with draws that
    depend on the installation, which is better than no check; the project's tests fail.
    """
    with contextlib.ExitStack() as replaced:
        if hasattr(providers, "_get_local_constants") and hasattr(providers, "CONSTANTS_CACHE"):
            from hypothesis.internal.constants_ast import Constants  # noqa: PLC0415 - as new

            nothing = Constants()
            for name, value in (
                ("_get_local_constants", lambda: nothing),
                ("CONSTANTS_CACHE", _permitted),
            ):
                # Not by unittest.mock, which imports asyncio: 5 MB for two names.
                replaced.callback(setattr, providers, name, getattr(providers, name))
                setattr(providers, name, value)
        yield
