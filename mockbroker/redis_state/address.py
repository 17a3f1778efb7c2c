"""The address of a state: the URL of a Redis, and a namespace in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from redis.connection import ConnectionPool

from mockbroker.broker.profiles import ConfigError

__all__ = ["StateAddress"]

DEFAULT_NAMESPACE = "mockbroker"
_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,64}")
TIMEOUT_SECONDS = 2.0
"""How long a request waits for a connection, and for an answer, before it gets 503. The URL can
set others: ``socket_connect_timeout`` and ``socket_timeout``."""


@dataclass(frozen=True, slots=True)
class StateAddress:
    """Where a state lies; ``name`` is the URL without its password and its options.

    ``pool`` has the class of a connection and its settings. It holds no connections itself.
    """

    name: str
    namespace: str
    # Left out of the repr: it has the password.
    pool: ConnectionPool = field(repr=False)

    @classmethod
    def of(cls, url: str) -> StateAddress:
        """Return the address that a URL names. Raises ConfigError if it is malformed."""
        try:
            parts = urlsplit(url)
            options = dict(parse_qsl(parts.query, keep_blank_values=True))
            namespace = options.pop("namespace", DEFAULT_NAMESPACE)
            # Not put together from its parts, which would lose slashes of unix:///path.
            pool = _pool(f"{url.partition('?')[0]}?{urlencode(options)}")
            name = _name(parts)
        except (ValueError, TypeError) as error:
            # The URL is not quoted, and its value in the error neither: both may have a password.
            raise ConfigError(
                "the state's URL must be like redis://HOST:PORT/0, rediss://USER:PASSWORD@HOST/0 "
                "or unix:///run/redis.sock, with ?namespace=NAME and options of redis-py; "
                f"it is malformed ({type(error).__name__})"
            ) from None
        if not _NAMESPACE.fullmatch(namespace):
            raise ConfigError(
                f"the namespace in the state's URL must be 1 to 64 letters, digits, dots, hyphens "
                f"or underscores, not {namespace!r}"
            )
        return cls(name, namespace, pool)

    def new_connection(self) -> Any:
        """Return a connection that connects when it is first used."""
        return self.pool.connection_class(**self.pool.connection_kwargs)


def _pool(url: str) -> ConnectionPool:
    """Return the settings of connections to the URL. Raises ValueError or TypeError."""
    from redis.backoff import NoBackoff  # noqa: PLC0415 - beside its only use
    from redis.retry import Retry  # noqa: PLC0415 - beside its only use

    pool: ConnectionPool = ConnectionPool.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        # A change that is sent twice may be made twice, such as taking a fault.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    # An unknown option is an unknown argument of the class.
    pool.connection_class(**pool.connection_kwargs)
    return pool


def _name(parts: SplitResult) -> str:
    """Return the URL with its password masked, and without its options."""
    user, at, host = parts.netloc.rpartition("@")
    masked = f"{user.partition(':')[0]}:***@" if at else ""
    return f"{parts.scheme}://{masked}{host}{parts.path}"
