"""What pytest loads at its start, by a name that no project has.

The plugin is loaded below an alias: it takes no name away from the project whose tests are run,
and a project's own ``pytest_plugin`` is not taken for it.
"""

from __future__ import annotations

from mockbroker.own_packages import load_own_package

__all__ = ["pytest_plugins"]

_ALIAS = "_mockbroker_pytest_plugin"

load_own_package("pytest_plugin", _ALIAS)
pytest_plugins = [f"{_ALIAS}.plugin"]
