"""The interface between a server and the brokers that are mounted on it.

It keeps the server independent of `Broker`, and lets tests mount simpler objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mockbroker.broker.answers import Reply
from mockbroker.broker.mounting import Connections
from mockbroker.model.messages import Request

__all__ = ["Mountable"]


class Mountable(Protocol):
    """A broker as the server sees it. The server calls it from many threads."""

    @property
    def asks_for_certificates(self) -> bool:
        """Whether clients should be asked for a certificate in the TLS handshake."""
        ...

    def accepted_certificates(self) -> Sequence[str]:
        """Return the certificates of clients, and of their authorities, that TLS accepts, in PEM.

        None if it does not ask for certificates. It may read a shared state.
        """
        ...

    @property
    def is_prompt(self) -> bool:
        """Whether `handle` never waits for anything.

        The server may then call it in the thread that watches the other connections.
        """
        ...

    def handle(self, request: Request, origin: str) -> Reply:
        """Answer a request that ``origin`` received, the server's scheme, host and port.

        Unless the broker is prompt, it may block for as long as it needs: the connection has a
        thread of its own meanwhile.
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
