"""What a server carries: anything that answers requests and wants to know its URLs."""

from __future__ import annotations

from typing import Protocol

from mockbroker.broker.answers import Reply
from mockbroker.model.messages import Request

__all__ = ["Mountable"]


class Mountable(Protocol):
    """A broker as the server sees it. The server calls it from many threads."""

    def handle(self, request: Request, origin: str) -> Reply:
        """Answer a request that came to ``origin``, the server's scheme, host and port."""
        ...

    def mounted_at(self, origin: str, prefix: str, ca_file: str | None = None) -> None:
        """Note that URLs begin with ``origin + prefix``, and which certificate to trust."""
        ...

    def unmounted(self) -> None:
        """Note that the server no longer passes requests on; end every answer that waits."""
        ...
