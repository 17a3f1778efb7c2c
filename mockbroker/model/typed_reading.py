"""Reading plain data as a type, with an error that says where and what was expected."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

__all__ = ["ReadingError", "nearest", "read_typed"]

T = TypeVar("T")


class ReadingError(ValueError):
    """Data does not have the expected type; the message is one sentence with the place."""


def read_typed(value: object, kind: type[T]) -> T:
    """Return plain data, as JSON or TOML gives it, as that type.

    Raises ReadingError if a key is unknown or missing, or a value has another type.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        # The library's error has neither the index in a list nor the name that was meant.
        message = _problem(value, kind, "") or str(error)
        raise ReadingError(message) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a question that offers the most similar name; empty if none is similar."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _problem(value: object, kind: Any, place: str) -> str:
    """Return what is wrong with the value, and where; empty if nothing is."""
    origin, arguments = get_origin(kind), get_args(kind)
    if _is_struct(kind):
        return _struct_problem(value, kind, place)
    if origin in (Union, types.UnionType):
        return _union_problem(value, kind, place)
    if origin in (list, tuple) and isinstance(value, (list, tuple)) and _is_uniform(kind):
        problems = (_problem(v, arguments[0], f"{place}[{n}]") for n, v in enumerate(value))
        return next(filter(None, problems), "")
    if origin is dict and isinstance(value, Mapping):
        problems = (_problem(v, arguments[1], _below(place, k)) for k, v in value.items())
        return next(filter(None, problems), "")
    return _mismatch(value, kind, place)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _is_uniform(kind: Any) -> bool:
    """Whether every element of a list or tuple has the same type."""
    return get_origin(kind) is list or get_args(kind)[-1] is Ellipsis


def _struct_problem(value: object, kind: type[msgspec.Struct], place: str) -> str:
    if not isinstance(value, Mapping):
        return f"{place or 'the whole'} must have keys, and is of type {type(value).__name__}"
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    tag_field = kind.__struct_config__.tag_field
    known = [*fields, *([tag_field] if tag_field else [])]
    for key in value:
        if key not in known:
            return f"unknown key {_below(place, str(key))!r}{nearest(str(key), known)}"
    for name, field in fields.items():
        if name not in value and field.required:
            return f"missing key {_below(place, name)!r}"
        problem = _problem(value[name], field.type, _below(place, name)) if name in value else ""
        if problem:
            return problem
    return ""


def _union_problem(value: object, kind: Any, place: str) -> str:
    structs = [part for part in get_args(kind) if _is_struct(part)]
    by_tag = {part.__struct_config__.tag: part for part in structs}
    if not structs or not isinstance(value, Mapping):
        return _mismatch(value, kind, place)
    tag_field = structs[0].__struct_config__.tag_field
    if tag_field is None:
        return _struct_problem(value, structs[0], place)
    tag = value.get(tag_field)
    if tag in by_tag:
        return _struct_problem(value, by_tag[tag], place)
    return f"unknown {_below(place, tag_field)} {tag!r}{nearest(str(tag), by_tag)}"


def _mismatch(value: object, kind: Any, place: str) -> str:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return f"{place or 'the whole'}: {error}"
    return ""


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
