"""Conversion of test cases to plain data and back, so that a file can store them.

Plain data are values of TOML. An array is a tuple. A value of another type is a table with one key
that names the type, as in ``{credentials = ["id", "secret"]}``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from mockbroker.model.credentials import Credentials

__all__ = ["ExampleError", "all_to_plain", "from_plain", "to_plain"]


class ExampleError(ValueError):
    """An example that cannot be stored or read; the message says why and quotes nothing of it."""


def to_plain(example: object) -> Any:
    """Convert an example to plain data. Raises ExampleError if a part of it has no such form.

    The result has only types that TOML has, so it can be written and compared.
    """
    kind = type(example)
    if isinstance(example, str) and not _is_unicode(example):
        raise ExampleError("it has half a surrogate pair")
    # The exact type, not a subclass: an enumeration of strings would come back as a bare string.
    if kind in {str, int, float, bool}:
        return example
    # Arrays are tuples, because most test cases are tuples of arguments and need no table.
    if isinstance(example, tuple):
        return [to_plain(part) for part in example]
    if isinstance(example, list):
        return {"list": [to_plain(part) for part in example]}
    if isinstance(example, dict) and all(type(name) is str for name in example):
        return {"dict": {to_plain(name): to_plain(part) for name, part in example.items()}}
    if isinstance(example, Credentials):
        return {"credentials": [to_plain(example.client_id), to_plain(example.client_secret)]}
    if isinstance(example, bytes):
        return {"bytes": example.hex()}
    if example is None:
        return {"none": True}
    raise ExampleError(f"a value of type {kind.__name__!r} cannot be stored as TOML")


def all_to_plain(examples: Mapping[str, object]) -> dict[str, Any]:
    """Convert the examples that have a form as plain data; leave out the others."""
    converted = {}
    for name, example in examples.items():
        with contextlib.suppress(ExampleError):
            converted[name] = to_plain(example)
    return converted


def _is_unicode(text: str) -> bool:
    """Return whether UTF-8 has a form for each character of the string."""
    # TOML files are UTF-8, which has no form for half a surrogate pair.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def from_plain(plain: object) -> Any:
    """Convert the data of `to_plain` back to an example. Raises ExampleError if it is invalid.

    The data come from a file that users edit, so nothing about them is taken for granted.

    ``from_plain(to_plain(example))`` equals the example. TOML itself has more types, such as dates;
    those are rejected.
    """
    if type(plain) in {str, int, float, bool}:
        return plain
    if isinstance(plain, list):
        return tuple(from_plain(part) for part in plain)
    # A second key would make the type ambiguous.
    if not isinstance(plain, dict) or len(plain) != 1:
        raise ExampleError(f"{type(plain).__name__!r} is not a valid part of an example")
    [(name, content)] = plain.items()
    if name not in _READERS:
        raise ExampleError(f"unknown kind of value {name!r}; known are {', '.join(_READERS)}")
    try:
        return _READERS[name](content)
    except (AttributeError, TypeError, ValueError):
        # The error's own message would quote the value, which may be a secret.
        raise ExampleError(f"the value of {name!r} is invalid") from None


def _credentials(pair: list[str]) -> Credentials:
    """Return the credentials of a pair. Raises ValueError or TypeError for anything else."""
    client_id, client_secret = pair
    if not isinstance(client_id, str) or not isinstance(client_secret, str):
        raise TypeError("credentials must be two strings")
    return Credentials(client_id, client_secret)


# One entry for each table that `to_plain` writes.
_READERS: dict[str, Callable[[Any], object]] = {
    "list": lambda parts: [from_plain(part) for part in parts],
    "dict": lambda pairs: {name: from_plain(part) for name, part in pairs.items()},
    "credentials": _credentials,
    "bytes": bytes.fromhex,
    "none": lambda _: None,
}
