"""The pytest session of `mockbroker check`, which the user's pytest settings must not change."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

__all__ = ["without_hypothesis_plugins", "without_user_settings"]

_SETTINGS_OF_USER = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")
_NO_HYPOTHESIS_PLUGINS = "HYPOTHESIS_NO_PLUGINS"


@contextlib.contextmanager
def without_hypothesis_plugins() -> Iterator[None]:
    """Keep Hypothesis from loading plugins of installed packages, if the context imports it first.

    Plugins register strategies for types that no clause draws. Loading them imports their packages:
    trio alone takes a quarter of a second and 12 MB.
    """
    before = os.environ.get(_NO_HYPOTHESIS_PLUGINS)
    os.environ[_NO_HYPOTHESIS_PLUGINS] = "1"
    try:
        yield
    finally:
        # The client inherits the environment.
        del os.environ[_NO_HYPOTHESIS_PLUGINS]
        if before is not None:
            os.environ[_NO_HYPOTHESIS_PLUGINS] = before


@contextlib.contextmanager
def without_user_settings() -> Iterator[None]:
    """Make a pytest session in this process load no plugins and no options of the user.

    pytest reads these only from the environment. Hypothesis writes to a temporary folder instead of
    the user's, and reads the folder's name from the environment too.
    """
    before, unraisable = dict(os.environ), sys.unraisablehook
    sys.unraisablehook = _discard  # an error in a client's __del__ is not a verdict
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in _SETTINGS_OF_USER:
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="mockbroker-", ignore_cleanup_errors=True) as storage:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = storage
        try:
            yield
        finally:
            sys.unraisablehook = unraisable
            # In full, because pytest sets variables of its own, such as PYTEST_CURRENT_TEST.
            os.environ.clear()
            os.environ.update(before)


def _discard(_: object) -> None:
    """Replace a hook that prints."""
