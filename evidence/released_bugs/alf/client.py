"""alf's client, which is a requests session that signs by itself."""

from __future__ import annotations

from typing import Any

from alf.client import Client


class TimedClient(Client):
    """The library's own timeout concerns its token requests only; here calls have one too."""

    timeout: float

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request that the library signs."""
        kwargs.setdefault("timeout", self.timeout)
        return super().request(*args, **kwargs)


def make_client(config: Any) -> TimedClient:
    """Return the client to check."""
    client = TimedClient(
        token_endpoint=config.token_url,
        client_id=config.client_id,
        client_secret=config.client_secret,
        token_request_params={"timeout": config.timeout},
    )
    client.timeout = config.timeout
    return client
