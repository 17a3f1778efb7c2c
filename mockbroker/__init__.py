"""A fake OAuth 2.0 authorization server for tests, and the contract that it judges clients by."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockbroker.broker.answers import TokenAnswer
    from mockbroker.broker.clock import Clock
    from mockbroker.broker.faults import Fault, UnappliedFaultWarning
    from mockbroker.broker.journal import Journal
    from mockbroker.broker.profiles import ConfigError
    from mockbroker.broker.routes import ApiRoutes, HandlerError, Route, RouteCall
    from mockbroker.broker.state import StateError
    from mockbroker.contract.level import Level
    from mockbroker.fake_broker import Broker
    from mockbroker.model.client import ClientConfig
    from mockbroker.model.credentials import AccessToken, Credentials, TokenState
    from mockbroker.model.exchange import Exchange
    from mockbroker.model.metadata import Metadata
    from mockbroker.model.profile import (
        Answer,
        ErrorForm,
        ParameterNames,
        Profile,
        Quota,
        Source,
    )
    from mockbroker.server.certificates import ServerCertificate, throw_away_certificate
    from mockbroker.server.listener import Server

__all__ = [
    "AccessToken",
    "Answer",
    "ApiRoutes",
    "Broker",
    "ClientConfig",
    "Clock",
    "ConfigError",
    "Credentials",
    "ErrorForm",
    "Exchange",
    "Fault",
    "HandlerError",
    "Journal",
    "Level",
    "Metadata",
    "ParameterNames",
    "Profile",
    "Quota",
    "Route",
    "RouteCall",
    "Server",
    "ServerCertificate",
    "Source",
    "StateError",
    "TokenAnswer",
    "TokenState",
    "UnappliedFaultWarning",
    "throw_away_certificate",
]

# Where each public name is defined. The plugin for pytest imports this package in every run of
# every project that has it installed. Importing all of these there would cost each run Flask's
# import.
_PLACES = {
    "AccessToken": "mockbroker.model.credentials",
    "Answer": "mockbroker.model.profile",
    "ApiRoutes": "mockbroker.broker.routes",
    "Broker": "mockbroker.fake_broker",
    "ClientConfig": "mockbroker.model.client",
    "Clock": "mockbroker.broker.clock",
    "ConfigError": "mockbroker.broker.profiles",
    "Credentials": "mockbroker.model.credentials",
    "ErrorForm": "mockbroker.model.profile",
    "Exchange": "mockbroker.model.exchange",
    "Fault": "mockbroker.broker.faults",
    "HandlerError": "mockbroker.broker.routes",
    "Journal": "mockbroker.broker.journal",
    "Level": "mockbroker.contract.level",
    "ParameterNames": "mockbroker.model.profile",
    "Metadata": "mockbroker.model.metadata",
    "Profile": "mockbroker.model.profile",
    "Quota": "mockbroker.model.profile",
    "Route": "mockbroker.broker.routes",
    "RouteCall": "mockbroker.broker.routes",
    "Server": "mockbroker.server.listener",
    "ServerCertificate": "mockbroker.server.certificates",
    "Source": "mockbroker.model.profile",
    "StateError": "mockbroker.broker.state",
    "TokenAnswer": "mockbroker.broker.answers",
    "TokenState": "mockbroker.model.credentials",
    "UnappliedFaultWarning": "mockbroker.broker.faults",
    "throw_away_certificate": "mockbroker.server.certificates",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing the package stays fast.

    No __dir__ lists these names: freezegun reads every name that dir() has of every
    module, and would import Flask at the first freeze of each project that has the plugin.
    """
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    # Python calls `__getattr__` only for names that the module lacks, so the next access is direct.
    globals()[name] = value
    return value
