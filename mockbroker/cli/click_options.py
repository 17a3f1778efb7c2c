"""click options made from the table of options.

click declares and counts the options. The table reads their values. The command line,
pytest and the ini file therefore accept the same strings and print the same messages.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click

from mockbroker.cli.options import Option, OptionError, Surface, Values, read_option

__all__ = ["click_option", "with_options"]

# A decorator of click's, which adds an option to the function of a command.
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def click_option(option: Option[Any]) -> Decorator:
    """Return a decorator that adds one option of the table; the command gets its value.

    An invalid value raises click.UsageError, whose message names the option as on the command line.
    """

    def read(_context: click.Context, _parameter: click.Parameter, raw: Any) -> Any:
        """Read the strings by the option's own reader; no string means the default."""
        texts = _texts(raw)
        try:
            return read_option(option, texts, Surface.COMMAND) if texts else option.default
        except OptionError as error:
            raise click.UsageError(str(error)) from error

    return _declared(option, callback=read)


def with_options(options: Sequence[Option[Any]]) -> Callable[[Callable[..., None]], Any]:
    """Return a decorator that adds options of the table; the command gets them as ``values``.

    One value instead of many parameters: a new option changes the table only.

    An invalid value raises click.UsageError before the command begins.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapper(*arguments: Any, **raw: Any) -> None:
            texts = {option: _texts(raw.pop(option.key)) for option in options}
            given = {option: (each, Surface.COMMAND) for option, each in texts.items() if each}
            try:
                values = Values(given, Surface.COMMAND)
            except OptionError as error:
                raise click.UsageError(str(error)) from error
            command(*arguments, values=values, **raw)

        # Decorators apply from the last to the first; --help must show the order of the table.
        for option in reversed(options):
            _declared(option)(wrapper)
        return wrapper

    return decorate


def _declared(option: Option[Any], **settings: Any) -> Decorator:
    """Return click's decorator for an option of the table, without a reader by default."""
    if option.argument:
        return click.argument(option.key, metavar=f"[{option.argument}]", default="", **settings)
    if option.is_flag:
        settings["is_flag"] = True
    else:
        # Without a type click keeps the string; `read_option` is the only reader.
        settings |= {"metavar": option.metavar, "multiple": option.is_repeatable}
    names = [f"--{option.name}", *([f"-{option.letter}"] if option.letter else [])]
    return click.option(*names, option.key, help=option.help_with_default, **settings)


def _texts(raw: Any) -> tuple[str, ...]:
    """Return the strings that the user gave for an option, one for each time.

    click passes a tuple for an option that may be repeated. It passes True for a flag that was
    given, and None or False for an option that was not.
    """
    if isinstance(raw, tuple):
        return raw
    return () if raw is None or raw is False else (str(raw),)
