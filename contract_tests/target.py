"""Finding the client under test by the name that a user typed."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TypeVar

from contract_tests.client import ClientFactory

__all__ = ["Target", "TargetError", "load_target"]

Loaded = TypeVar("Loaded")
DEFAULT_FACTORY = "make_client"


class TargetError(Exception):
    """The target names no usable client; the message is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A client factory and the words by which the user named it."""

    factory: ClientFactory
    name: str
    text: str


def load_target(text: str) -> Target:
    """The factory named ``package.module:factory`` or ``path/to/file.py:factory``.

    Without a factory's name, ``make_client`` is taken. Raises TargetError if the module or file
    cannot be imported, or has no such callable.
    """
    place, factory_name = _split(text)
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    factory: Any = module
    for part in factory_name.split("."):
        factory = getattr(factory, part, None)
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


def _split(text: str) -> tuple[str, str]:
    place, colon, factory_name = text.rpartition(":")
    if not colon or (len(place) == 1 and factory_name[:1] in "\\/"):
        return text, DEFAULT_FACTORY
    if not place or not factory_name:
        raise TargetError(
            f"TARGET {text!r} is incomplete; "
            "write package.module:factory or path/to/file.py:factory"
        )
    return place, factory_name


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise TargetError(f"there is no file {str(path)!r}; TARGET is path/to/file.py:factory")
    name = f"contract_target_{path.stem}"
    loaded = sys.modules.get(name)
    if loaded is not None and Path(loaded.__file__ or "").resolve() == path.resolve():
        return loaded
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise TargetError(f"{str(path)!r} is not a Python file that can be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path[:0] = [str(path.resolve().parent), str(Path.cwd())]
    loader = spec.loader
    try:
        _run(lambda: loader.exec_module(module), str(path))
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _load_module(name: str) -> ModuleType:
    if "/" in name or "\\" in name:
        raise TargetError(f"{name!r} is neither a .py file nor a module's dotted name")
    sys.path.insert(0, str(Path.cwd()))
    return _run(lambda: importlib.import_module(name), name)


def _run(load: Callable[[], Loaded], name: str) -> Loaded:
    try:
        with _no_way_out():
            return load()
    except (KeyboardInterrupt, TargetError):
        raise
    except BaseException as error:  # a target may even call sys.exit while it is imported
        raise TargetError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _no_way_out() -> Iterator[None]:
    """Let ``os._exit`` raise SystemExit while the context lasts: it would end us unheard."""

    def leave(status: int) -> NoReturn:
        raise SystemExit(f"os._exit({status})")

    way_out = os._exit
    os._exit = leave
    try:
        yield
    finally:
        os._exit = way_out
