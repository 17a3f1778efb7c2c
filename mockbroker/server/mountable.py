"""The interface between a server and the brokers that are mounted on it.

It keeps the server independent of `Broker`, and lets tests mount simpler objects.
"""

from __future__ import annotations

from typing import Protocol

from mockbroker.broker.answers import Reply
from mockbroker.broker.mounting import Connections
from mockbroker.model.messages import Request

__all__ = ["Mountable"]


class Mountable(Protocol):
    """A broker as the server sees it. The server calls it from many threads."""

    def handle(self, request: Request, origin: str) -> Reply:
        """Answer a request that ``origin`` received, the server's scheme, host and port.

        It may block for as long as it needs; each connection has a thread of its own.
        """
        ...

    def mounted_at(
        self,
        origin: str,
        prefix: str,
        ca_file: str | None = None,
        connections: Connections | None = None,
    ) -> None:
        """Record that URLs begin with ``origin + prefix``, and the CA file for clients.

        By ``connections`` the broker has the server close or refuse connections.
        """
        ...

    def unmounted(self) -> None:
        """Record that the server passes no more requests on; end every waiting answer."""
        ...
