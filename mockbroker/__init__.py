"""A fake auth-broker that one can run, and the specification that it judges clients by."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockbroker.answers import TokenAnswer
    from mockbroker.broker import Broker
    from mockbroker.certificates import ServerCertificate, throw_away_certificate
    from mockbroker.clock import Clock
    from mockbroker.faults import Fault
    from mockbroker.journal import Journal
    from mockbroker.profiles import ConfigError
    from mockbroker.server import Server
    from mockbroker.spec.clause import Level
    from mockbroker.spec.credentials import AccessToken, Credentials, TokenState
    from mockbroker.spec.exchange import Exchange
    from mockbroker.spec.profile import Profile

__all__ = [
    "AccessToken",
    "Broker",
    "Clock",
    "ConfigError",
    "Credentials",
    "Exchange",
    "Fault",
    "Journal",
    "Level",
    "Profile",
    "Server",
    "ServerCertificate",
    "TokenAnswer",
    "TokenState",
    "throw_away_certificate",
]

_PLACES = {
    "AccessToken": "mockbroker.spec.credentials",
    "Broker": "mockbroker.broker",
    "Clock": "mockbroker.clock",
    "ConfigError": "mockbroker.profiles",
    "Credentials": "mockbroker.spec.credentials",
    "Exchange": "mockbroker.spec.exchange",
    "Fault": "mockbroker.faults",
    "Journal": "mockbroker.journal",
    "Level": "mockbroker.spec.clause",
    "Profile": "mockbroker.spec.profile",
    "Server": "mockbroker.server",
    "ServerCertificate": "mockbroker.certificates",
    "TokenAnswer": "mockbroker.answers",
    "TokenState": "mockbroker.spec.credentials",
    "throw_away_certificate": "mockbroker.certificates",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that the package itself costs nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
