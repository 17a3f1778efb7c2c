"""Lookup of the client under test by the name that a user typed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from mockbroker.model.client import ClientFactory
from mockbroker_contract.drivers.host.errors import bounded_text, name_of_class
from mockbroker_contract.drivers.host.tracebacks import place_of

__all__ = [
    "Target",
    "TargetError",
    "absolute_target",
    "check_target",
    "file_of_target",
    "load_target",
]

Loaded = TypeVar("Loaded")
DEFAULT_FACTORY = "make_client"


class TargetError(Exception):
    """Invalid target; the message is one sentence that says why.

    It is a mistake in what the user typed or named. The run ends with exit status 4, and the client
    gets no verdict.
    """


@dataclass(frozen=True, slots=True)
class Target:
    """Client factory and the name that the user typed for it."""

    factory: ClientFactory
    name: str
    text: str


def check_target(text: str) -> None:
    """Raise TargetError if the string is not a target, without importing anything.

    It is for a quick error at the start: whether the factory exists is seen only in the client's
    process.
    """
    place, _ = _split(text)
    if place.endswith(".py"):
        if not _is_file(Path(place)):
            raise TargetError(f"file {place!r} does not exist; TARGET is path/to/file.py:factory")
    elif "/" in place or "\\" in place:
        raise TargetError(f"{place!r} is neither a .py file nor a module's dotted name")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def load_target(text: str) -> Target:
    """Return the factory named ``package.module:factory`` or ``path/to/file.py:factory``.

    The default factory is ``make_client``. A file is imported under the name that its folder gives
    it. So other processes of the client can import it as well. Raises TargetError if the module or
    file cannot be imported, or has no such callable.

    Called in the client's process, as importing runs code of the user. ``sys.path`` is changed for
    a file.
    """
    check_target(text)
    place, factory_name = _split(text)
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    factory: Any = module
    for part in factory_name.split("."):
        # A module may define __getattr__, so this may run code of the user.
        factory = _run(partial(getattr, factory, part, None), text)
    if factory is None:
        raise TargetError(
            f"{place} has no {factory_name!r}: expected a function that takes a ClientConfig and "
            f"returns the client; name it as TARGET {place}:FUNCTION"
        )
    if not callable(factory):
        raise TargetError(
            f"{text}: {factory_name!r} is a {type(factory).__name__}, not a callable; "
            "name a function that takes a ClientConfig and returns the client"
        )
    return Target(factory, Path(place).stem if place.endswith(".py") else place, text)


def absolute_target(text: str) -> str:
    """Return the target for use in another working directory. Raises TargetError.

    A module's name is returned unchanged: it is found by ``sys.path`` from any directory.
    """
    place, factory_name = _split(text)
    return f"{Path(place).resolve()}:{factory_name}" if place.endswith(".py") else text


def file_of_target(text: str) -> str:
    """Return the file that a target names; empty if it names a module. Raises TargetError."""
    place, _ = _split(text) if text else ("", "")
    return place if place.endswith(".py") else ""


def _split(text: str) -> tuple[str, str]:
    # The last colon, because a path may have others.
    place, colon, factory_name = text.rpartition(":")
    # A colon after one letter and before a slash belongs to a drive of Windows, not to a factory.
    if text and (not colon or (len(place) == 1 and factory_name[:1] in "\\/")):
        return text, DEFAULT_FACTORY
    if not place or not factory_name:
        raise TargetError(
            f"TARGET {text!r} is incomplete; "
            "write package.module:factory or path/to/file.py:factory"
        )
    return place, factory_name


def _load_file(path: Path) -> ModuleType:
    """Import a file by its name, or by its path if another module has that name."""
    root, name = _importable(path.resolve())
    # First, so that the client's own imports find the modules beside its file before any other.
    sys.path[:0] = [str(root)]

    def load() -> ModuleType:
        # A file named like an installed module, such as requests.py, would import that module
        # instead.
        if _is_free(name, path.resolve()):
            return importlib.import_module(name)
        return _load_by_path(path.resolve())

    return _run(load, str(path))


def _importable(path: Path) -> tuple[Path, str]:
    """Return the folder to import from, and the dotted name of the file."""
    folder, name = path.parent, path.stem
    # The file belongs to a package. Its relative imports work only under the full dotted name.
    while (folder / "__init__.py").is_file():
        folder, name = folder.parent, f"{folder.name}.{name}"
    return folder, name


def _is_free(name: str, path: Path) -> bool:
    """Return whether that name leads to the file, not to a module found before it."""
    if not all(part.isidentifier() for part in name.split(".")):
        return False
    try:
        # It imports the parent packages, which may fail in any way that importlib reports.
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == path


def _load_by_path(path: Path) -> ModuleType:
    """Import a file under a name that no other module has."""
    name = f"contract_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{str(path)!r} is not a Python file that can be imported")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs, as importlib does: dataclasses and pickle look their module up
    # there.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _load_module(name: str) -> ModuleType:
    return _run(lambda: importlib.import_module(name), name)


def _run(load: Callable[[], Loaded], name: str) -> Loaded:
    """Return what the function returns. Raises TargetError for any exception, exits included."""
    try:
        return load()
    except TargetError:
        raise
    except BaseException as error:  # a target may even call sys.exit during its import
        said = bounded_text(partial(str, error))
        problem = ": ".join(filter(None, (name_of_class(type(error)), said)))
        place = place_of(error)
        if place is not None:
            problem += f" ({place['file']}:{place['line']} in {place['function']})"
        raise TargetError(f"{name} cannot be imported: {problem}") from error
