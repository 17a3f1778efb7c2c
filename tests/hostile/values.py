"""Clients that return and raise what no client should."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

from examples.model_client import make_client as make_model
from tests.hostile.kinds import FEW_USES, ODD, doing, odd, sound


class _Text(str):
    __slots__ = ()

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __str__(self) -> str:
        return "another"


def _returning(change: Callable[[str], Any], config: Any) -> Any:
    client = make_model(config)
    methods = {
        "get_token": lambda _: change(client.get_token()),
        "request": lambda _, *arguments, **options: client.request(*arguments, **options),
    }
    return type("Client", (), methods)()


@sound
def returns_a_text_of_its_own(config):
    return _returning(_Text, config)


class _AttrDict(dict):  # type: ignore[type-arg]
    __getattr__ = dict.__getitem__


@sound
def returns_an_attribute_dict(config):
    client = make_model(config)
    request = client.request

    def call(*arguments: Any, **options: Any) -> Any:
        response = request(*arguments, **options)
        return _AttrDict(code=response.status_code, body=response.text)

    client.request = call
    return client


class _Response:
    """Everything about it raises, exits or lies."""

    status = property(lambda _: sys.exit("status"))
    status_code = 10**5000

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return int


@sound
def returns_what_lies(config):
    client = make_model(config)
    request = client.request

    def call(*arguments: Any, **options: Any) -> Any:
        request(*arguments, **options)
        return _Response()

    client.request = call
    return client


def _raising(error: Callable[[], BaseException], config: Any) -> Any:
    def fail():
        raise error()

    return doing(fail, config, every=FEW_USES)


class _ExitsInStr(Exception):
    def __str__(self) -> str:
        os._exit(0)


class _ExitsInRepr(Exception):
    def __repr__(self) -> str:
        sys.exit("repr")

    __str__ = __repr__


class _Meta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("name")


class _Nameless(Exception, metaclass=_Meta):
    pass


def _cyclic() -> Exception:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one


def _deep() -> Exception:
    error: list[Any] = []
    for _ in range(100_000):
        error = [error]
    return ValueError(error)


_RAISED: dict[str, Callable[[], BaseException]] = {
    "half_a_surrogate": lambda: ValueError("\ud800 boom"),
    "a_number_of_5000_digits": lambda: ValueError(10**5000),
    "control_characters": lambda: ValueError("\x1b[31m\r\n::error::x\x00\x85\u2028\u202e"),
    "ten_megabytes": lambda: ValueError("x" * 10_000_000),
    "deep_nesting": _deep,
    "cyclic_causes": _cyclic,
    "exits_in_str": lambda: _ExitsInStr(),
    "exits_in_repr": lambda: _ExitsInRepr(),
    "nameless": lambda: _Nameless("x"),
    "base_exception": lambda: BaseException("base"),
    "generator_exit": lambda: GeneratorExit("generator"),
    "cancelled": lambda: asyncio.CancelledError("cancelled"),
    "keyboard_interrupt": lambda: KeyboardInterrupt("ctrl"),
    "stop_iteration": lambda: StopIteration("stop"),
    "recursion": lambda: RecursionError("deep"),
}
for _name, _error in _RAISED.items():
    ODD[f"raises_{_name}"] = lambda config, error=_error: _raising(error, config)  # type: ignore[misc]


@odd
def returns_ten_megabytes(config):
    return _returning(lambda token: token + "x" * 10_000_000, config)


@odd
def returns_a_surrogate(config):
    return _returning(lambda _: "\udcff", config)


class _Anything:
    """Has every attribute, each of which can be called."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self


@odd
def is_anything(config):
    return _Anything()


def __getattr__(name: str) -> Any:
    if name in ODD:
        return ODD[name]
    raise AttributeError(name)
