"""The client under test: its configuration and its factory.

Users of the kit write such a factory; docs/judging.md shows examples.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

__all__ = ["ClientConfig", "ClientFactory", "MaybeAwaitable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """The configuration from which a factory makes a client.

    ``timeout`` is in seconds, for clients whose timeout can be configured. ``ca_file`` is the path
    of a PEM file to trust, in addition to the system's certificates or instead of them; or None.
    ``scope`` is a space-separated list, empty by default. ``parameters`` are further parameters of
    the token request that the provider requires, such as an audience.

    The next four are for clients that authenticate by a signed assertion, and empty for others:
    the private key in PEM, its ``kid``, the algorithm to sign by, and the value of ``aud``. The
    last two are for clients that authenticate by a certificate: the paths of the certificate and of
    its private key, in PEM.
    """

    token_url: str
    api_base_url: str
    client_id: str
    # Left out of the repr, which pytest prints for a failing test.
    client_secret: str = field(repr=False)
    timeout: float = 5.0
    ca_file: str | None = None
    scope: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    private_key: str = field(default="", repr=False)
    key_id: str = ""
    algorithm: str = ""
    audience: str = ""
    certificate_file: str = ""
    key_file: str = ""


# A client may be synchronous or asynchronous, so the kit awaits whatever is awaitable.
MaybeAwaitable = Union[Any, Awaitable[Any]]
ClientFactory = Callable[[ClientConfig], Any]
"""A function that makes the client under test from its configuration; may be ``async def``."""
