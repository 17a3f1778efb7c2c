"""Notice of a debugger in the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["report_debugger"]


def report_debugger(report: Callable[[], None]) -> None:
    """Call ``report`` whenever code of this process enters a debugger.

    pdb and debuggers derived from it start with `bdb.Bdb.set_trace`. It is replaced for the rest of
    the process, because a client may call breakpoint() at any time. A hook of sys.breakpointhook
    would not see a call of pdb.set_trace().
    """
    import bdb  # noqa: PLC0415 - the judging process imports this module, but needs no debugger

    set_trace = bdb.Bdb.set_trace

    def report_and_set_trace(*arguments: Any, **options: Any) -> None:
        report()
        set_trace(*arguments, **options)

    bdb.Bdb.set_trace = report_and_set_trace  # type: ignore[method-assign]
