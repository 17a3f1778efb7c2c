"""The client under test: what it is given, and what it may offer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Union

__all__ = ["ClientConfig", "ClientFactory", "MaybeAwaitable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """What a factory needs to make a client.

    ``timeout`` is in seconds: what the client should use if it can be told. ``ca_file`` is a
    path to a PEM file to trust beside or instead of the system's, or None. ``scope`` is a
    space-separated list, empty by default.
    """

    token_url: str
    api_base_url: str
    client_id: str
    client_secret: str = field(repr=False)
    timeout: float = 5.0
    ca_file: str | None = None
    scope: str = ""


MaybeAwaitable = Union[Any, Awaitable[Any]]
ClientFactory = Callable[[ClientConfig], Any]
"""Makes the client under test; may be ``async def``."""
