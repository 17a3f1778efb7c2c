"""The kinds of hostile clients: what has to come of each, and how one is made.

Each factory is a kind: the model client, with one thing done at some of its uses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from examples.model_client import TokenError, TokenManager
from examples.model_client import make_client as make_model

__all__ = [
    "BREAKS_ITS_PROCESS",
    "CRASHES",
    "FEW_USES",
    "HANGS",
    "ODD",
    "SOUND",
    "Factory",
    "breaks",
    "crashes",
    "doing",
    "fetching",
    "hangs",
    "odd",
    "response_of",
    "sound",
]

Factory = Callable[[Any], Any]

SOUND: dict[str, Factory] = {}
"""What must be judged as the client that it is: every clause passes."""
CRASHES: dict[str, tuple[Factory, str]] = {}
"""What ends its process, and how that is told."""
BREAKS_ITS_PROCESS: dict[str, Factory] = {}
"""What spoils the process it lives in so that nothing can be asked of it: a crash that says so."""
HANGS: dict[str, Factory] = {}
"""What does not come back."""
ODD: dict[str, Factory] = {}
"""What does, returns or raises the strangest things: any verdict but an error of the kit."""

FEW_USES = 4
_USES = 0


def sound(factory: Factory) -> Factory:
    SOUND[factory.__name__] = factory
    return factory


def crashes(how: str) -> Callable[[Factory], Factory]:
    def register(factory: Factory) -> Factory:
        CRASHES[factory.__name__] = factory, how
        return factory

    return register


def breaks(factory: Factory) -> Factory:
    BREAKS_ITS_PROCESS[factory.__name__] = factory
    return factory


def hangs(factory: Factory) -> Factory:
    HANGS[factory.__name__] = factory
    return factory


def odd(factory: Factory) -> Factory:
    ODD[factory.__name__] = factory
    return factory


def doing(act: Callable[[], Any], config: Any, *, every: int = 1, client: Any = None) -> Any:
    """The model client, which does something before each, or each so many, of its uses."""
    client = client or make_model(config)
    manager = client.tokens
    get_token = manager.get_token

    def act_and_get_token() -> str:
        global _USES  # noqa: PLW0603 - counted over all clients of a process
        _USES += 1
        if _USES % every == 0:
            act()
        return get_token()

    manager.get_token = act_and_get_token
    return client


def fetching(fetch: Callable[[TokenManager], requests.Response], config: Any) -> Any:
    """The model client, which sends its token request in a way of its own."""
    client = make_model(config)
    manager = client.tokens
    manager._send_token_request = lambda: fetch(manager)
    return client


def response_of(status: int, content: bytes) -> requests.Response:
    if not status:
        raise TokenError("the broker cannot be reached")
    response = requests.Response()
    response.status_code, response._content = status, content
    return response
