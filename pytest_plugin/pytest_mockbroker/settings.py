"""The settings of a contract run: from the options of a command or of pytest to values."""

from __future__ import annotations

import secrets
import shlex
import shutil
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from mockbroker.broker.profiles import ConfigError, profile_named
from mockbroker.cli.options import (
    BUDGET,
    CLIENT,
    CONFIG,
    COPY,
    EXAMPLES,
    EXEC,
    EXPLORE,
    FAIL_ON,
    KNOWN,
    OUTPUTS,
    PROFILE,
    PYTEST_OPTIONS,
    SEED,
    SHOW_OUTPUT,
    TLS,
    TRACEBACK,
    WRITE_KNOWN,
    Option,
    OptionError,
    Surface,
    Values,
)
from mockbroker.contract.clause import Level
from mockbroker.model.escaping import printable_lines
from mockbroker.model.profile import Profile
from mockbroker.report.formats import problem_with_outputs
from mockbroker.report.known_failures import KnownFailures
from mockbroker.report.known_file import read_known_failures
from mockbroker_contract.drivers.program_driver import ProgramClients
from mockbroker_contract.drivers.target import TargetError, check_target, file_of_target
from mockbroker_contract.harness.settings import RunSettings

__all__ = [
    "OPTION_VALUES",
    "REPLAYS",
    "argv_of",
    "check_arguments",
    "check_settings",
    "fail_on",
    "known_failures",
    "output_files",
    "problem_with",
    "program_from_options",
    "run_settings",
    "target_from_options",
    "values_of",
]

_KNOWN = pytest.StashKey[KnownFailures]()
OPTION_VALUES = pytest.StashKey[Values]()
"""The values of the options. `mockbroker check` puts those of the command here."""
REPLAYS = pytest.StashKey[dict[str, Any]]()
"""Plain examples, by clause id, to try first, in addition to those of known failures."""


def values_of(config: pytest.Config) -> Values:
    """Return the values of the options; the command line overrides the ini file.

    Paths in the ini file are relative to its folder. Raises pytest.UsageError for an invalid value.
    """
    if OPTION_VALUES not in config.stash:
        try:
            given = {
                option: found for option in PYTEST_OPTIONS if (found := _given(config, option))
            }
            config.stash[OPTION_VALUES] = Values(given, Surface.PYTEST)
        except OptionError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[OPTION_VALUES]


def _given(config: pytest.Config, option: Option[Any]) -> tuple[Sequence[str], Surface] | None:
    """Return the value that the user wrote for an option, and where; None if there is none."""
    raw = config.getoption(f"contract_{option.key}")
    if raw is not None:
        return _texts(raw), Surface.PYTEST
    try:
        # pytest converts the value here, and raises different exceptions for a malformed one.
        raw = config.getini(f"contract_{option.key}")
    except (TypeError, ValueError, pytest.UsageError) as error:  # such as a malformed Boolean
        raise OptionError(f"{Surface.INI.spell(option)}: {error}") from None
    # As pytest does with its own paths: a run from a folder below the root has the same settings.
    folder = config.inipath.parent if config.inipath is not None else Path.cwd()
    texts = [str(folder / text) if option.is_path(text) else text for text in _texts(raw)]
    return (texts, Surface.INI) if texts else None


def _texts(raw: object) -> list[str]:
    if isinstance(raw, (list, tuple)):
        return [str(text) for text in raw]
    return [str(raw)] if raw else []


def fail_on(config: pytest.Config) -> Level:
    """Return the lowest level whose breach fails the run.

    Breaches of weaker levels are advice.
    """
    return values_of(config)[FAIL_ON]


def check_settings(config: pytest.Config) -> None:
    """Raise pytest.UsageError if a setting is invalid or the target names no client factory.

    Called at the start where possible, so that a typo costs no time.
    """
    problem = problem_with(values_of(config))
    if problem:
        raise pytest.UsageError(problem)
    # Read now, so that a malformed file is reported before the first clause is judged.
    known_failures(config)


def problem_with(values: Values) -> str:
    """Return why a run with these options cannot begin, in one sentence; empty if it can.

    The sentence may quote what a target raised; control characters in it are escaped.

    Nothing is imported or started, so that a typo is reported before a slow start.
    """
    target, command = values[CLIENT], values[EXEC]
    try:
        profile_of(values)
        if target:
            check_target(target)
        if command:
            argv_of(command)
    except (ConfigError, TargetError) as error:
        return printable_lines(str(error))
    if target and command:
        client, program = values.spelled(CLIENT), values.spelled(EXEC)
        return f"{client} and {program} name two clients; check one at a time"
    known = values[KNOWN] or values[WRITE_KNOWN]
    files = {values.spelled(OUTPUTS[name]): file for name, file in values.files().items()}
    # A report must not overwrite a file that the run reads.
    read = {
        "the client's file": file_of_target(target),
        "the file of known failures": str(known or ""),
    }
    return problem_with_outputs(files, read)


def output_files(config: pytest.Config) -> dict[str, str]:
    """Return the files to which the report is to be written, by the name of the format.

    Empty if no file is asked for. The report is printed in any case.
    """
    return values_of(config).files()


def known_failures(config: pytest.Config) -> KnownFailures:
    """Return the expected failures, as of the day on which the session began.

    Raises pytest.UsageError for an invalid known-failures file.
    """
    if _KNOWN not in config.stash:
        values = values_of(config)
        file = values[KNOWN]
        try:
            entries = read_known_failures(file) if file else {}
        except ConfigError as error:
            raise pytest.UsageError(f"{values.spelled(KNOWN)}: {error}") from error
        # The user's date, once for the session: an entry must not expire in the middle of a run at
        # midnight.
        today = datetime.now(tz=timezone.utc).astimezone().date()
        config.stash[_KNOWN] = KnownFailures(str(file or ""), today, entries)
    return config.stash[_KNOWN]


def argv_of(command: str) -> list[str]:
    """Return a command as a list of words. Raises TargetError if it cannot be run.

    The program is looked up in PATH, as the shell would.
    """
    try:
        # No shell: its expansions would differ from machine to machine, and quoting is enough for
        # file names.
        argv = shlex.split(command)
    except ValueError as error:
        raise TargetError(f"the command {command!r} cannot be read: {error}") from None
    if not argv or shutil.which(argv[0]) is None:
        raise TargetError(
            f"the program {(argv or [''])[0]!r} does not exist; a command is a program and its "
            "arguments, and is run without a shell"
        )
    return argv


def program_from_options(config: pytest.Config) -> ProgramClients | None:
    """Return the clients of the program that the options name, if they name one.

    The program is not started here.
    """
    command = values_of(config)[EXEC]
    return ProgramClients(argv_of(command)) if command else None


def target_from_options(config: pytest.Config) -> str:
    """Return the target that the options name. Raises TargetError if they name none.

    The target is not imported here: that happens in the client's own process.
    """
    target = values_of(config)[CLIENT]
    if not target:
        raise TargetError(
            "the contract needs a client: pass --contract-client TARGET or --contract-exec "
            "COMMAND, or override the fixture contract_client_factory in a conftest.py"
        )
    return target


def profile_of(values: Values) -> Profile:
    """Return the profile that the options choose. Raises ConfigError if it is unknown."""
    return profile_named(values[PROFILE], config=values[CONFIG])


def profile_and_sources(values: Values) -> tuple[Profile, tuple[str, ...]]:
    """Return the profile, and where its facts stand: its own sources, or else its file."""
    config = values[CONFIG]
    try:
        profile = profile_of(values)
    except ConfigError:  # the file has changed during the run; the report is written all the same
        return Profile(name=values[PROFILE]), ()
    return profile, profile.source_names or ((str(config),) if config else ())


def run_settings(config: pytest.Config) -> RunSettings:
    """Return the settings of a contract run.

    With --explore and without a seed, each call draws another seed.
    """
    values = values_of(config)
    others = config.stash.get(REPLAYS, None) or {}
    seed = values[SEED]
    # Drawn here and shown in the report, so that a user can repeat what --explore has found.
    if seed is None and values[EXPLORE]:
        # At most ten digits, which a user can type.
        seed = secrets.randbelow(2**32)
    return RunSettings(
        profile=profile_of(values),
        examples=values[EXAMPLES],
        seed=seed,
        budget=values[BUDGET],
        fail_on=values[FAIL_ON],
        target=values[CLIENT] or values[EXEC],
        copies=values[COPY],
        shows_output=values[SHOW_OUTPUT],
        shows_tracebacks=values[TRACEBACK],
        tls=values[TLS],
        # An entry of the file that the user names precedes the example of the command.
        replays={**others, **known_failures(config).replays},
    )


def check_arguments(config: pytest.Config) -> tuple[str, ...]:
    """Return the arguments of `mockbroker check` for the same client; empty if it has no name.

    They are for the command that a report shows to reproduce a finding.
    """
    values = values_of(config)
    client, command = values[CLIENT], values[EXEC]
    named = ("--exec", command) if command else (client,) if client else ()
    if not named:
        return ()
    # The command finds the project's own profile by itself, so the user need not type it.
    profile = ("--profile", values[PROFILE]) if values[PROFILE] else ()
    file = ("--config", str(values[CONFIG])) if values[CONFIG] else ()
    return (*named, *file, *profile, *(("--tls",) if values[TLS] else ()))
