"""Log records and warnings of the host, while a test case looks for secrets in them."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator

__all__ = ["all_records"]


@contextlib.contextmanager
def all_records(handler: logging.Handler, show_warning: Callable[..., None]) -> Iterator[None]:
    """Pass log records of every level to ``handler``, and warnings to ``show_warning``.

    A secret in a record that the client's settings suppress is a risk too: the settings of another
    user of the client show it. The root logger is changed, since a client may log under any name.
    """
    root = logging.getLogger()
    level, disabled = root.level, root.manager.disable
    with warnings.catch_warnings():
        # By default Python shows a warning once per place, and the host ignores all of them.
        warnings.simplefilter("always")
        warnings.showwarning = show_warning
        root.addHandler(handler)
        root.setLevel(1)
        # A call of logging.disable() by the client overrides every level.
        logging.disable(logging.NOTSET)
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
            logging.disable(disabled)
