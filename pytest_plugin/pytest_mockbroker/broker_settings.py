"""The settings of the fixtures: those of the ini file, and those of a test's marker."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mockbroker.broker.client_setup import filled_variable, setup_of
from mockbroker.broker.profiles import ConfigError, profile_named
from mockbroker.fake_broker import Broker
from mockbroker.model.profile import Profile

__all__ = ["IniSettings", "marker_errors", "marker_settings"]

_MARKER_SETTINGS = frozenset({"expires_in", "profile", "strict", "tls"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IniSettings:
    """The ini settings of the fixtures.

    ``environment`` has the lines of ``auth_broker_env``. ``tls`` says whether the brokers speak
    HTTPS. ``strict_faults`` makes scripted faults that were never applied fail their test.
    """

    root: Path
    environment: tuple[str, ...]
    profile: str
    tls: bool
    strict_faults: bool

    @classmethod
    def of(cls, config: pytest.Config) -> IniSettings:
        """Return the settings of a run."""
        return cls(
            root=config.rootpath,
            environment=tuple(config.getini("auth_broker_env")),
            profile=config.getini("auth_broker_profile"),
            tls=config.getini("auth_broker_tls"),
            strict_faults=config.getini("auth_broker_strict_faults"),
        )

    def profile_of_session(self) -> Profile:
        """Return the profile of the brokers. Raises pytest.UsageError if it is unknown."""
        with _usage_errors("the ini setting auth_broker_profile"):
            return self.profile_named(self.profile)

    def profile_named(self, name: str | Profile) -> Profile:
        """Return the profile of that name. Raises ConfigError if it is unknown."""
        # From the root of the project, because pytest may be started in any folder of it.
        return name if isinstance(name, Profile) else profile_named(name, directory=self.root)

    def environment_for(self, broker: Broker) -> Mapping[str, str]:
        """Return the variables that ``auth_broker_env`` asks for, with the values of that broker.

        Raises pytest.UsageError if a line is malformed.
        """
        settings = setup_of(broker).settings
        with _usage_errors("auth_broker_env"):
            return dict(filled_variable(line, settings) for line in self.environment)


@contextlib.contextmanager
def _usage_errors(what: str) -> Iterator[None]:
    """Raise pytest.UsageError, which says what is wrong, for a value that a broker rejects."""
    try:
        yield
    except (ConfigError, TypeError, ValueError) as error:
        raise pytest.UsageError(f"{what}: {error}") from error


def marker_errors(item: pytest.Item) -> contextlib.AbstractContextManager[None]:
    """Raise pytest.UsageError, which names the test, for a value that a broker rejects."""
    return _usage_errors(f"{item.nodeid}: the auth_broker marker")


def marker_settings(item: pytest.Item) -> dict[str, Any]:
    """Return the settings of the test's closest marker.

    Raises pytest.UsageError for an unknown setting.
    """
    marker = item.get_closest_marker("auth_broker")
    if marker is None:
        return {}
    unknown = sorted(marker.kwargs.keys() - _MARKER_SETTINGS)
    if unknown or marker.args:
        # All of them at once, so that a user corrects a marker in one go.
        named = ", ".join([*unknown, *map(repr, marker.args)])
        raise pytest.UsageError(
            f"{item.nodeid}: the auth_broker marker has no setting {named}; "
            f"there are {', '.join(sorted(_MARKER_SETTINGS))}, each as setting=value"
        )
    # A copy, because entries are removed from it, and tests of a class may share the marker.
    return dict(marker.kwargs)
