"""The contract run's settings: from pytest's options and ini settings to values."""

from __future__ import annotations

import math
import secrets
import shlex
import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from mockbroker.broker.profiles import ConfigError, profile_named
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Level
from mockbroker.contract.selection import is_meant, patterns_in
from mockbroker.model.escaping import printable_lines
from mockbroker.model.profile import AUTOGRAB
from mockbroker.report.formats import OUTPUTS, problem_with_outputs
from mockbroker.report.known_failures import KnownFailures
from mockbroker.report.known_file import read_known_failures
from mockbroker_contract.drivers.program_driver import ProgramClients
from mockbroker_contract.drivers.target import TargetError, check_target, file_of_target
from mockbroker_contract.harness.run import RunSettings

__all__ = [
    "BUDGET_SECONDS",
    "REPLAYS",
    "argv_of",
    "check_arguments",
    "check_settings",
    "fail_on",
    "known_failures",
    "option",
    "output_files",
    "problem_with",
    "program_from_options",
    "run_settings",
    "target_from_options",
]

BUDGET_SECONDS = 300.0
"""How much real time a run may take unless the user says otherwise."""

_PATHS = {*OUTPUTS, "known"}
_KNOWN = pytest.StashKey[KnownFailures]()
REPLAYS = pytest.StashKey[dict[str, Any]]()
"""Plain examples, by clause id, that are to be played first beside those of known failures."""


def option(config: pytest.Config, name: str) -> str:
    """What the command line says, or else the ini file; empty if neither does.

    Paths in the ini file are seen from the folder where it lies.
    """
    given = config.getoption(f"contract_{name}")
    if given is not None:
        return str(given)
    text = str(config.getini(f"contract_{name}") or "")
    is_path = name in _PATHS or (name == "client" and ".py" in text)
    if text and is_path and config.inipath is not None:
        return str(config.inipath.parent / text)
    return text


def fail_on(config: pytest.Config) -> Level:
    """The lowest level whose breach fails the run. Raises pytest.UsageError for no level."""
    text = option(config, "fail_on") or Level.MUST.value
    try:
        return Level(text.upper())
    except ValueError:
        levels = ", ".join(level.value.lower() for level in Level)
        raise pytest.UsageError(f"--contract-fail-on {text!r} is none of {levels}") from None


def check_settings(config: pytest.Config) -> None:
    """Raise pytest.UsageError if a setting is wrong or the target names no client factory."""
    fail_on(config)
    _examples(config)
    _seed(config)
    _budget(config)
    problem = problem_with(
        **{name: option(config, name) for name in ("client", "profile", "only", "known")},
        files=output_files(config),
        command=option(config, "exec"),
        prefix="--contract-",
    )
    if problem:
        raise pytest.UsageError(problem)
    known_failures(config)


def problem_with(
    *,
    client: str,
    command: str,
    profile: str,
    only: str,
    known: str,
    files: Mapping[str, str],
    prefix: str,
) -> str:
    """In one sentence, why a run with these options cannot begin; empty if it can.

    The sentence may quote what a target raised; control characters in it are escaped. ``files``
    are those to write, by option; ``prefix`` is how the options' names begin where the user has
    written them.
    """
    try:
        profile_named(profile or "autograb")
        if client:
            check_target(client)
        if command:
            argv_of(command)
    except (ConfigError, TargetError) as error:
        return printable_lines(str(error))
    if client and command:
        return f"a client and {prefix}exec are two clients; check one at a time"
    for part in patterns_in(only):
        if not any(is_meant(known.id, part) for known in CATALOGUE):
            return f"{prefix}only {part!r} matches no clause; `mockbroker clauses` lists them"
    read = {"the client's file": file_of_target(client), "the file of known failures": known}
    return problem_with_outputs(files, read, prefix)


def output_files(config: pytest.Config) -> dict[str, str]:
    """The files to which the report is to be written, by the name of the option."""
    return {name: option(config, name) for name in OUTPUTS}


def known_failures(config: pytest.Config) -> KnownFailures:
    """The failures that are expected, as of the day on which the session began.

    Raises pytest.UsageError if the file that lists them cannot be used.
    """
    file = option(config, "known")
    if _KNOWN not in config.stash:
        try:
            entries = read_known_failures(Path(file)) if file else {}
        except ConfigError as error:
            raise pytest.UsageError(f"--contract-known: {error}") from error
        today = datetime.now(tz=timezone.utc).astimezone().date()
        config.stash[_KNOWN] = KnownFailures(file, today, entries)
    return config.stash[_KNOWN]


def argv_of(command: str) -> list[str]:
    """A command as a list of words. Raises TargetError if it cannot be run."""
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise TargetError(f"the command {command!r} cannot be read: {error}") from None
    if not argv or shutil.which(argv[0]) is None:
        raise TargetError(
            f"there is no program {(argv or [''])[0]!r}; a command is a program and its arguments, "
            "and is run without a shell"
        )
    return argv


def program_from_options(config: pytest.Config) -> ProgramClients | None:
    """The clients of the program that ``--contract-exec`` names, if it names one."""
    command = option(config, "exec")
    return ProgramClients(argv_of(command)) if command else None


def target_from_options(config: pytest.Config) -> str:
    """The target that ``--contract-client`` names. Raises TargetError if it names none."""
    target = option(config, "client")
    if not target:
        raise TargetError(
            "the contract needs a client: pass --contract-client TARGET or --contract-exec "
            "COMMAND, or override the fixture contract_client_factory in a conftest.py"
        )
    return target


def run_settings(config: pytest.Config) -> RunSettings:
    """The settings of a contract run."""
    others = config.stash.get(REPLAYS, None) or {}
    return RunSettings(
        profile=profile_named(option(config, "profile") or "autograb"),
        examples=_examples(config),
        seed=_seed(config),
        budget=_budget(config),
        fail_on=fail_on(config),
        target=option(config, "client") or option(config, "exec"),
        copies=_copies(config),
        shows_output=option(config, "show_output") == "True",
        replays={**others, **known_failures(config).replays},
    )


def check_arguments(config: pytest.Config) -> tuple[str, ...]:
    """Return the arguments of `mockbroker check` for the same client; empty if it has no name."""
    client, command = option(config, "client"), option(config, "exec")
    named = ("--exec", command) if command else (client,) if client else ()
    profile = option(config, "profile")
    is_usual = profile in {"", AUTOGRAB.name}
    return named if is_usual or not named else (*named, "--profile", profile)


def _copies(config: pytest.Config) -> tuple[str, ...]:
    given = config.getoption("contract_copy")
    if given is not None:
        return tuple(given)
    folder = config.inipath.parent if config.inipath is not None else Path.cwd()
    return tuple(str(folder / path) for path in config.getini("contract_copy"))


def _seed(config: pytest.Config) -> int | None:
    text = option(config, "seed")
    if text and not text.isdigit():
        raise pytest.UsageError(f"--contract-seed {text!r} is not a whole number from 0")
    if text:
        return int(text)
    return secrets.randbelow(2**32) if option(config, "explore") == "True" else None


def _examples(config: pytest.Config) -> int:
    text = option(config, "examples") or str(RunSettings().examples)
    if not text.isdigit() or int(text) < 1:
        raise pytest.UsageError(f"--contract-examples {text!r} is not a whole number from 1")
    return int(text)


def _budget(config: pytest.Config) -> float:
    text = option(config, "budget") or str(BUDGET_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise pytest.UsageError(
            f"--contract-budget {text!r} is not a number of seconds >= 0; 0 is no limit"
        )
    return seconds
