"""Results of pure functions, remembered as long as the state that they were computed for."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from operator import is_
from typing import Any, Generic, TypeVar

__all__ = ["Remembered"]

R = TypeVar("R")


class Remembered(Generic[R]):
    """The latest results of a pure function, of one state only; thread-safe.

    The first arguments of the function are the state: immutable values, such as the registered
    clients. The others are what the results are looked up by, at most ``count`` of them; they must
    be hashable, and short, because they are kept.
    """

    def __init__(self, function: Callable[..., R], *, count: int) -> None:
        self._function = function
        self._count = count
        # Replaced as a whole, so that a thread never reads a state with results of another one.
        self._current: tuple[tuple[Any, ...], Callable[..., R]] | None = None

    def of(self, *state: object) -> Callable[..., R]:
        """Return the function for a state, with the results that were remembered for it.

        A state is the same while each part of it is the same object. Equality would not do:
        credentials that differ in their keys only are equal.
        """
        current = self._current
        # The parts are held, so that no new object can have the identity of one of them.
        if current is not None and all(map(is_, current[0], state)):
            return current[1]
        # The function sees the state only as its arguments, and so never a newer one.
        remembering = lru_cache(maxsize=self._count)(partial(self._function, *state))
        self._current = (state, remembering)
        return remembering
