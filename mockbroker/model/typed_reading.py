"""Conversion of parsed JSON and TOML into typed values, with an error of one sentence.

msgspec decides whether a value fits a type, and makes the typed value. Its error messages leave
out the keys of tables and the user's words for types. Therefore this module finds the innermost
part that msgspec does not accept, and words the message itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from mockbroker.model.type_words import (
    TOML,
    Wording,
    bare,
    did_you_mean,
    is_union,
    listed,
    mismatch,
    shortened,
)

__all__ = ["ReadingError", "field_problem", "read"]

T = TypeVar("T")
# The way to a value: names of keys, and [0], [1] and so on for the items of a list.
Keys = tuple[str, ...]


class ReadingError(ValueError):
    """A value does not have the expected type; the message is one sentence that says where.

    The sentence has the source, the keys that lead to the value, and what was expected.
    """


def read(
    value: object,
    kind: type[T],
    source: str,
    *,
    keys: Keys = (),
    given: Mapping[str, object] | None = None,
    wording: Wording = TOML,
) -> T:
    """Convert a value that a parser of JSON or TOML returned into a ``kind``.

    ``kind`` is a msgspec Struct or a dataclass. A dataclass, as a Struct with
    ``forbid_unknown_fields``, accepts no other keys than its fields. ``source`` names the file or
    the message, and ``keys`` lead to the value in it. ``given`` are fields that the value itself
    must not state. Raises ReadingError.
    """
    given = given or {}
    problem = _find_problem(value, kind, keys, given.keys(), wording)
    if problem is not None:
        raise ReadingError(_sentence(source, problem))
    members = {**value, **given} if isinstance(value, Mapping) else value
    try:
        return msgspec.convert(members, kind)
    except msgspec.ValidationError as error:
        # The class itself raised, in __post_init__: its types allow more than it does.
        problem = _Problem(keys, str(error.__cause__ or error))
        raise ReadingError(_sentence(source, problem)) from None


def field_problem(instance: object) -> str:
    """Return what is wrong with the first invalid field of a dataclass; empty if all are valid.

    A class calls it in ``__post_init__``. A program then gets the rules and the words that a file
    gets from `read`.
    """
    kind: Any = type(instance)
    for name, field in _declared(kind).items():
        problem = _find_problem(getattr(instance, name), field.kind, (name,), (), TOML)
        if problem is not None:
            return _sentence("", problem)
    return ""


class _Problem(NamedTuple):
    """What is wrong with a value, and the keys that lead to it."""

    keys: Keys
    what: str


def _sentence(source: str, problem: _Problem) -> str:
    """Return a message: the source, the keys and what is wrong, without empty parts."""
    place = "".join(key if key.startswith("[") else f".{key}" for key in problem.keys)
    return ": ".join(filter(None, [source, shortened(place.removeprefix(".")), problem.what]))


def _find_problem(
    value: object, kind: Any, keys: Keys, given: Collection[str], wording: Wording
) -> _Problem | None:
    """Return what is wrong with the innermost invalid part; None if the value is valid."""
    # The tag decides which type is meant. Without it every field of the other types would be an
    # error.
    wrong_tag = _wrong_tag(value, kind, keys, wording)
    if wrong_tag is not None:
        return wrong_tag
    container = _container_for(value, kind)
    if container is None:
        if _fits(value, kind):
            return None
        advice = _advice_on_tables(value, kind, keys) if wording is TOML else ""
        return _Problem(keys, mismatch(value, kind, wording) + advice)
    declared = _fields_of(container)
    if declared is not None and isinstance(value, Mapping):
        wrong = _wrong_key(value, container, declared, given, wording)
        if wrong:
            return _Problem(keys, wrong)
    for key, part, part_kind in _parts(value, container, declared):
        found = _find_problem(part, part_kind, (*keys, key), (), wording)
        if found is not None:
            return found
    # Its parts are valid, so only its length can be wrong, and only an empty list has no parts
    # whose class may be what msgspec rejects.
    if isinstance(value, (list, tuple)) and not value and not _fits(value, kind):
        return _Problem(keys, mismatch(value, kind, wording))
    return None


def _advice_on_tables(value: object, kind: Any, keys: Keys) -> str:
    """Return what to write if one table stands where TOML needs an array of tables."""
    lists = [member for member in _members(kind) if get_origin(member) in {list, tuple}]
    items = [item for each in lists for item in _members(get_args(each)[0])]
    if isinstance(value, Mapping) and any(map(_fields_of, items)):
        name = ".".join(keys)
        return f"; write [[{name}]], not [{name}]"
    return ""


def _fits(value: object, kind: Any) -> bool:
    """Return whether msgspec accepts the value, constraints of the type included."""
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError):
        # Half a surrogate pair is a str, but msgspec reads numbers and dates from its UTF-8.
        return False
    return True


def _container_for(value: object, kind: Any) -> Any:
    """Return the type, or the member of a union, that has the value's shape; None for scalars."""
    by_tag = _by_tag(kind)
    if by_tag and isinstance(value, Mapping):
        return by_tag[value[_tag_field(kind)]]
    return next((member for member in _members(kind) if _is_container(value, member)), None)


def _members(kind: Any) -> tuple[Any, ...]:
    """Return the types of a union without their constraints, or the type itself."""
    members = get_args(bare(kind)) if is_union(bare(kind)) else (kind,)
    return tuple(map(bare, members))


def _by_tag(kind: Any) -> Mapping[str, Any]:
    """Return the Structs of a union by their tags; empty for other types."""
    structs = [m for m in _members(kind) if isinstance(m, type) and issubclass(m, msgspec.Struct)]
    configs = [(each.__struct_config__.tag, each) for each in structs]
    return {str(tag): each for tag, each in configs if tag is not None}


def _tag_field(kind: Any) -> str:
    """Return the key whose value is the tag of a Struct of the union; empty for other types."""
    fields_of_tags = (each.__struct_config__.tag_field for each in _by_tag(kind).values())
    return next(fields_of_tags, None) or ""


def _wrong_tag(value: object, kind: Any, keys: Keys, wording: Wording) -> _Problem | None:
    """Return what is wrong with the tag of a value that is one of several Structs."""
    by_tag, tag_field = _by_tag(kind), _tag_field(kind)
    # Compared one by one: a tag that a file gives as a list cannot be looked up.
    if not by_tag or not isinstance(value, Mapping) or value.get(tag_field) in [*by_tag]:
        return None
    if tag_field not in value:
        return _Problem(keys, f"{tag_field} is missing")
    tag = value[tag_field]
    what = f"unknown {tag_field} {wording.of_value(tag)}"
    return _Problem(keys, f"{what}{did_you_mean(str(tag), by_tag)}")


def _is_container(value: object, kind: Any) -> bool:
    """Return whether a value with parts has the shape of the type, whatever its parts are."""
    if isinstance(value, Mapping):
        return get_origin(kind) is dict or _fields_of(kind) is not None
    return isinstance(value, (list, tuple)) and get_origin(kind) in {list, tuple}


class _Field(NamedTuple):
    """The type of a field with its constraints; a required one has no default."""

    kind: Any
    is_required: bool


def _fields_of(kind: Any) -> Mapping[str, _Field] | None:
    """Return the fields of a Struct or a dataclass by their keys; None for any other type."""
    is_class = isinstance(kind, type) and (issubclass(kind, msgspec.Struct) or is_dataclass(kind))
    return _declared(kind) if is_class else None


@lru_cache(maxsize=64)  # evaluating the annotations of a class takes a tenth of a millisecond
def _declared(kind: Any) -> Mapping[str, _Field]:
    """Return the fields of a class by their keys in a file."""
    if issubclass(kind, msgspec.Struct):
        return {f.encode_name: _Field(f.type, f.required) for f in msgspec.structs.fields(kind)}
    # With the extras, because Annotated holds the constraints and their descriptions.
    hints = get_type_hints(kind, include_extras=True)
    return {
        f.name: _Field(hints[f.name], f.default is MISSING and f.default_factory is MISSING)
        for f in fields(kind)
    }


def _parts(
    value: Any, container: Any, declared: Mapping[str, _Field] | None
) -> Iterator[tuple[str, object, Any]]:
    """Yield each part of a list or a mapping with its key and its type."""
    if isinstance(value, (list, tuple)):
        item_kind = get_args(container)[0]
        yield from ((f"[{index}]", item, item_kind) for index, item in enumerate(value))
    elif declared is None:
        value_kind = get_args(container)[1]
        yield from ((key, member, value_kind) for key, member in value.items())
    else:
        named = [(key, member) for key, member in value.items() if key in declared]
        yield from ((key, member, declared[key].kind) for key, member in named)


def _wrong_key(
    value: Mapping[str, object],
    kind: type,
    declared: Mapping[str, _Field],
    given: Collection[str],
    wording: Wording,
) -> str:
    """Return which key of a mapping is unknown or missing, empty if none is."""
    tag_field = _tag_field(kind)
    known = [key for key in declared if key not in given]
    others = [key for key in value if key not in {*known, tag_field}]
    if others and _forbids_unknown(kind):
        # In TOML a wrong table name is a common mistake, and "key" would mislead.
        is_table = isinstance(value[others[0]], Mapping) and wording is TOML
        what = f"unknown {'table' if is_table else 'key'} {others[0]!r}"
        return shortened(what) + did_you_mean(others[0], known)
    for key in known:
        if declared[key].is_required and key not in value:
            # The unknown keys are shown because one of them is probably the missing one, misspelt.
            return f"{key} is missing" + (f"; found {listed(others)}" if others else "")
    return ""


def _forbids_unknown(kind: type) -> bool:
    """Return whether keys other than the fields are errors; for a dataclass they always are."""
    return not issubclass(kind, msgspec.Struct) or kind.__struct_config__.forbid_unknown_fields
