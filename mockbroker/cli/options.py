"""The table of options, for the commands, for pytest and for the ini file.

pytest reads this table at every start, so this module imports nothing slow.

It declares options and converts strings. click and pytest parse the command line; the effect of a
value is left to the code that uses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypeVar

from mockbroker.contract.level import Level
from mockbroker.contract.selection import EVERY_CLAUSE, Selection
from mockbroker.report.defaults import DEFAULT_EXAMPLES
from mockbroker.report.formats import FORMATS

__all__ = [
    "AUDIT_OPTIONS",
    "BUDGET",
    "CHECK_OPTIONS",
    "CLIENT",
    "CONFIG",
    "COPY",
    "EXAMPLES",
    "EXEC",
    "EXPLORE",
    "FAIL_ON",
    "FIRST_FAILURE",
    "JOBS",
    "KNOWN",
    "ONLY",
    "OUTPUTS",
    "PROFILE",
    "PYTEST_OPTIONS",
    "SEED",
    "SHOW_OUTPUT",
    "TLS",
    "TRACEBACK",
    "VERBOSE",
    "WRITE_KNOWN",
    "Option",
    "OptionError",
    "Surface",
    "Values",
    "clauses_selected_by",
    "read_option",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class OptionError(ValueError):
    """An option has an invalid value; the message is one sentence that names the option."""


class Surface(Enum):
    """A place where a user writes options. The value is the prefix of their names there.

    Messages name an option as the user wrote it, so each value remembers its surface.
    """

    COMMAND = "--"
    PYTEST = "--contract-"
    INI = "contract_"

    def spell(self, option: Option[Any]) -> str:
        """Return the name of the option as the user writes it in this place."""
        # `mockbroker check TARGET` has an argument where pytest and the ini file have an option.
        if self is Surface.COMMAND and option.argument:
            return option.argument
        return self.value + (option.key if self is Surface.INI else option.name)


# Not a dataclass: making one costs each start of pytest as much as the whole table. Options compare
# by identity: they are keys of dicts, and each of them exists once.
class Option(Generic[T_co]):
    """An option: its name, its default, its reader and its help.

    ``read`` converts the user's strings, one for each time the option was given. It raises
    ValueError with a message that completes "OPTION …". An option without ``metavar`` is a flag.
    ``letter`` is its short form on the command line, empty without one.
    ``argument`` is set if the command line takes the option as an argument of that name.
    ``is_path`` says whether a string is a path, which an ini file gives relative to its folder.
    """

    def __init__(
        self,
        *,
        name: str,
        help: str,  # noqa: A002 - as click and argparse call it
        default: T_co,
        read: Callable[[Sequence[str]], T_co],
        metavar: str = "",
        letter: str = "",
        is_repeatable: bool = False,
        argument: str = "",
        is_path: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.name = name
        self.help = help
        self.default = default
        self.read = read
        self.metavar = metavar
        self.letter = letter
        self.is_repeatable = is_repeatable
        self.argument = argument
        self.is_path = is_path

    @property
    def key(self) -> str:
        """The name as an identifier."""
        return self.name.replace("-", "_")

    @property
    def is_flag(self) -> bool:
        """Whether the option takes no value."""
        return not self.metavar

    @property
    def help_with_default(self) -> str:
        """The help, and the default unless it is empty."""
        if self.is_flag or self.default in (None, "", (), EVERY_CLAUSE):
            return self.help
        # 300, not 300.0, as a user would write it.
        default = f"{self.default:g}" if isinstance(self.default, float) else self.default
        default = default.value.lower() if isinstance(default, Level) else default
        return f"{self.help} (default: {default})"


def read_option(option: Option[T], texts: Sequence[str], surface: Surface) -> T:
    """Return the value of an option that was given. Raises OptionError if it is invalid.

    The reader's message has no name of the option; it is added here, as the user wrote it.
    """
    try:
        return option.read(texts)
    except ValueError as error:
        raise OptionError(f"{surface.spell(option)} {error}") from error


class Values:
    """The values of options, each of its option's type: ``values[EXAMPLES]`` is an integer.

    ``given`` has the options that the user gave, each with its strings and its place. The others
    have their defaults, and messages name them as on ``surface``.

    All values are read at construction, which raises OptionError for the first invalid one.
    """

    def __init__(
        self, given: Mapping[Option[Any], tuple[Sequence[str], Surface]], surface: Surface
    ) -> None:
        self._surface = surface
        self._surfaces = {option: where for option, (_, where) in given.items()}
        self._values = {
            option: read_option(option, texts, where) for option, (texts, where) in given.items()
        }

    def __getitem__(self, option: Option[T]) -> T:
        value: T = self._values.get(option, option.default)
        return value

    def spelled(self, option: Option[Any]) -> str:
        """Return the option as the user wrote it, or would write it."""
        return self._surfaces.get(option, self._surface).spell(option)

    def files(self) -> dict[str, str]:
        """Return the files for the report, by the name of the format."""
        return {name: str(self[option]) for name, option in OUTPUTS.items() if self[option]}


# Readers: they take the user's strings and return a value, or raise ValueError("must be …").


def _last(read: Callable[[str], T]) -> Callable[[Sequence[str]], T]:
    """Return a reader that uses the last of several values."""
    # As with most commands, the last one counts if an option is given twice: a script can add its
    # own after those of a user.
    return lambda texts: read(texts[-1])


def _given(texts: Sequence[str]) -> bool:
    """Read a flag: the option was given at least once."""
    return bool(texts)


def _integer(lowest: int) -> Callable[[str], int]:
    """Return a reader of integers that are ``lowest`` or more."""

    def read(text: str) -> int:
        # int() would also accept "1_0", " 1 " and digits of other scripts.
        digits = text.isascii() and text.isdigit()
        try:
            # A value below the limit stands for every invalid text, so that one message serves all.
            value = int(text) if digits else lowest - 1
        except ValueError:  # Python limits the number of digits that it converts
            value = lowest - 1
        if value < lowest:
            raise ValueError(f"must be an integer >= {lowest}, not {text!r}")
        return value

    return read


def _seconds(text: str) -> float:
    """Read a finite number of seconds >= 0."""
    try:
        value = float(text)
    except ValueError:
        # NaN fails both conditions below, so that all invalid values get one message.
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"must be a number of seconds >= 0 (0 means no limit), not {text!r}")
    return value


def _level(text: str) -> Level:
    """Read a level in any case."""
    try:
        return Level(text.upper())
    except ValueError:
        known = ", ".join(level.value.lower() for level in Level)
        raise ValueError(f"must be one of {known}, not {text!r}") from None


def _file(text: str) -> Path | None:
    """Read a path; an empty string means none."""
    return Path(text) if text else None


def clauses_selected_by(texts: Iterable[str]) -> Selection:
    """Return the selection from the catalogue. Raises SelectionError if a pattern has none.

    Commas separate patterns within a string.
    """
    # The catalogue imports every chapter; pytest reads this table in projects that never check a
    # client.
    from mockbroker.contract.catalogue import CATALOGUE  # noqa: PLC0415 - only if used
    from mockbroker.contract.selection import select  # noqa: PLC0415 - only if used

    return select(texts, CATALOGUE)


def _is_file_target(text: str) -> bool:
    """Return whether a TARGET names a file instead of a module."""
    # A target such as package.module:factory is not relative to any folder.
    return ".py" in text


def _always(_: str) -> bool:
    """Return True: every value of the option is a path."""
    return True


# The table


CLIENT: Option[str] = Option(
    name="client",
    argument="TARGET",
    metavar="TARGET",
    default="",
    read=_last(str),
    is_path=_is_file_target,
    help="Client to check: package.module:factory or path/to/file.py:factory. The factory is "
    "make_client unless named.",
)
EXEC: Option[str] = Option(
    name="exec",
    metavar="COMMAND",
    default="",
    read=_last(str),
    help="Driver program of a client in any language, with its arguments. It speaks JSON lines "
    "and runs without a shell.",
)
PROFILE: Option[str] = Option(
    name="profile",
    metavar="NAME",
    # Empty for the project's own: [tool.mockbroker] profile in pyproject.toml, or autograb.
    default="",
    read=_last(str),
    help="Profile of the provider. By default that of [tool.mockbroker] in pyproject.toml, "
    "otherwise autograb.",
)
CONFIG: Option[Path | None] = Option(
    name="config",
    metavar="FILE",
    default=None,
    read=_last(_file),
    is_path=_always,
    help="TOML file with your own profiles.",
)
FAIL_ON: Option[Level] = Option(
    name="fail-on",
    metavar="LEVEL",
    default=Level.MUST,
    read=_last(_level),
    help="Lowest level whose breach fails the run: must, should, may or practice.",
)
ONLY: Option[Selection] = Option(
    name="only",
    metavar="PATTERN",
    default=EVERY_CLAUSE,
    read=clauses_selected_by,
    is_repeatable=True,
    help="Judge only these clauses: by id (refresh.ahead), chapter (refresh), level (must) or "
    "wildcard ('basic.*'). Separate several with commas, or repeat the option.",
)
EXAMPLES: Option[int] = Option(
    name="examples",
    metavar="N",
    default=DEFAULT_EXAMPLES,
    read=_last(_integer(1)),
    help="Number of examples to draw for a clause, in addition to the cases that are always "
    "tried; four times as many where they find most.",
)
EXPLORE: Option[bool] = Option(
    name="explore",
    default=False,
    read=_given,
    help="Draw random examples. The report shows how to repeat a failure.",
)
SEED: Option[int | None] = Option(
    name="seed",
    metavar="N",
    default=None,
    read=_last(_integer(0)),
    help="Draw the examples of an earlier run with this seed.",
)
BUDGET: Option[float] = Option(
    name="budget",
    metavar="SECONDS",
    default=300.0,
    read=_last(_seconds),
    help="Real time that the run may take; 0 means no limit.",
)
COPY: Option[tuple[str, ...]] = Option(
    name="copy",
    metavar="PATH",
    default=(),
    read=tuple,
    is_repeatable=True,
    is_path=_always,
    help="File or folder that the client reads. The client runs in an empty folder and finds a "
    "copy there. Repeat the option for several.",
)
SHOW_OUTPUT: Option[bool] = Option(
    name="show-output",
    default=False,
    read=_given,
    help="Print what the client writes, on stderr.",
)
TLS: Option[bool] = Option(
    name="tls",
    default=False,
    read=_given,
    help="Serve by https, for a client that takes nothing else. Its configuration has ca_file.",
)
KNOWN: Option[Path | None] = Option(
    name="known",
    metavar="FILE",
    default=None,
    read=_last(_file),
    is_path=_always,
    help="TOML file that lists known failures.",
)
JOBS: Option[int | None] = Option(
    name="jobs",
    letter="j",
    metavar="N",
    default=None,
    read=_last(_integer(1)),
    help="Number of processes that judge clauses, by default one for each processor, and one more "
    "with --exec. Use 1 to debug a client.",
)
TRACEBACK: Option[bool] = Option(
    name="traceback",
    default=False,
    read=_given,
    help="Add the traceback of the client's exception to each finding; secrets are masked.",
)
FIRST_FAILURE: Option[bool] = Option(
    name="first-failure",
    default=False,
    read=_given,
    help="End the run at the first breach that fails it. The report is then partial.",
)
VERBOSE: Option[bool] = Option(
    name="verbose",
    letter="v",
    default=False,
    read=_given,
    help="Print a line for each clause, and the steps of each advice.",
)
WRITE_KNOWN: Option[Path | None] = Option(
    name="write-known",
    metavar="FILE",
    default=None,
    read=_last(_file),
    is_path=_always,
    help="Write the failures into a TOML file of known failures. Entries that pass are removed; "
    "comments and formatting stay.",
)
# From the registry of formats, so that a new format has its options everywhere.
OUTPUTS: dict[str, Option[Path | None]] = {
    form.name: Option(
        name=form.name,
        metavar="FILE",
        default=None,
        read=_last(_file),
        is_path=_always,
        help=form.help,
    )
    for form in FORMATS.values()
}
"""The options by which a report is written, by the name of the format."""


def _table() -> Iterator[Option[Any]]:
    """Yield the options that pytest and `mockbroker check` share, in the order of --help."""
    yield from (CLIENT, EXEC, PROFILE, CONFIG, FAIL_ON, ONLY, EXAMPLES, EXPLORE, SEED, BUDGET)
    yield from (FIRST_FAILURE, TLS, COPY, SHOW_OUTPUT, TRACEBACK, VERBOSE, KNOWN)
    yield from OUTPUTS.values()


PYTEST_OPTIONS: tuple[Option[Any], ...] = tuple(_table())
"""The options ``--contract-NAME`` of pytest, and the settings ``contract_NAME`` of its ini file."""

CHECK_OPTIONS: tuple[Option[Any], ...] = (*PYTEST_OPTIONS, WRITE_KNOWN, JOBS)
"""The options of `mockbroker check`."""

AUDIT_OPTIONS: tuple[Option[Any], ...] = (FAIL_ON, VERBOSE, *OUTPUTS.values())
"""The options that `mockbroker audit` has in addition to those of `mockbroker serve`."""
