"""The contract run's settings: from pytest's options and ini settings to values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from contract_tests.client import ClientFactory
from contract_tests.run import ContractRun, RunSettings
from contract_tests.target import TargetError, load_target
from mockbroker.profiles import ConfigError, profile_named
from mockbroker.spec.clause import Level
from mockbroker.spec.profile import Profile

__all__ = ["check_settings", "contract_run", "factory_from_options", "fail_on", "option"]

_USAGE_ERROR = 4


def option(config: pytest.Config, name: str) -> str:
    """What the command line says, or else the ini file; empty if neither does."""
    given = config.getoption(f"contract_{name}")
    return str(config.getini(f"contract_{name}") or "") if given is None else str(given)


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
    _settings(config)
    try:
        load_target(option(config, "client"))
    except TargetError as error:
        raise pytest.UsageError(str(error)) from None


def factory_from_options(config: pytest.Config) -> ClientFactory:
    """The factory that ``--contract-client`` names; without it the run ends, exit status 4."""
    target = option(config, "client")
    if not target:
        pytest.exit(
            "the contract needs a client: pass --contract-client TARGET, or override the fixture "
            "contract_client_factory in a conftest.py",
            returncode=_USAGE_ERROR,
        )
    return load_target(target).factory


@contextlib.contextmanager
def contract_run(config: pytest.Config, factory: ClientFactory) -> Iterator[ContractRun]:
    """A contract run for that factory; ends the session, exit status 4, if it makes no client."""
    with contextlib.closing(ContractRun(factory, _settings(config))) as run:
        try:
            run.rehearsal  # noqa: B018 - it is here that an unusable client shows
        except TargetError as error:
            pytest.exit(str(error), returncode=_USAGE_ERROR)
        yield run


def _settings(config: pytest.Config) -> RunSettings:
    return RunSettings(
        profile=_profile(config),
        examples=_examples(config),
        explore=option(config, "explore") == "True",
        fail_on=fail_on(config),
        target=option(config, "client"),
    )


def _profile(config: pytest.Config) -> Profile:
    try:
        return profile_named(option(config, "profile") or "autograb", directory=config.rootpath)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None


def _examples(config: pytest.Config) -> int:
    text = option(config, "examples") or str(RunSettings().examples)
    if not text.isdigit() or int(text) < 1:
        raise pytest.UsageError(f"--contract-examples {text!r} is not a whole number from 1")
    return int(text)
