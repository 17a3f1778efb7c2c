"""Our packages beside this one, found by where they lie instead of by their names.

A project may have a package ``contract_tests`` or a module ``pytest_plugin`` itself. Where its
folder comes first in ``sys.path``, as below ``python -m``, an import by name finds that one.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

__all__ = ["OWN_PACKAGES", "load_own_package", "what_hides"]

OWN_PACKAGES = ("contract_tests", "pytest_plugin")

_ROOT = Path(__file__).resolve().parents[1]


def load_own_package(name: str, alias: str = "") -> None:
    """Import a package of ours, below another name if one is given.

    Nothing happens if there is a module of that name already. Below an alias only those of its
    modules can be imported that import each other relatively.
    """
    alias = alias or name
    folder = _ROOT / name
    if alias in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        alias, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module
    spec.loader.exec_module(module)


def what_hides(name: str) -> str:
    """Return the path of what an import of a package of ours finds instead; empty if ours."""
    spec = getattr(sys.modules.get(name), "__spec__", None) or importlib.util.find_spec(name)
    places = [*(spec.submodule_search_locations or ()), spec.origin or ""] if spec else [""]
    return "" if Path(places[0]).resolve() == _ROOT / name else places[0] or name
