"""Where a broker is mounted: its URLs, and its paths below the server's prefix.

A broker does not know its URL before a server mounts it. One server can carry many brokers, each
below its own prefix, so every path is compared without that prefix.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Protocol
from urllib.parse import unquote

from mockbroker.contract.request_hints import hint_on_path, is_usual_token_path
from mockbroker.contract.unknown_path import KnownPaths
from mockbroker.model.messages import Request
from mockbroker.model.metadata import Metadata
from mockbroker.model.profile import Profile
from mockbroker.model.profile_placeholders import filled, values_in

__all__ = ["CONTROL_PATH", "Connections", "Mounting"]

CONTROL_PATH = "/__mockbroker__"
"""The path, below a broker's prefix, of its control API. No provider has an endpoint there."""


class Connections(Protocol):
    """The connections of the server on which a broker is mounted. Thread-safe."""

    def close_idle(self) -> None:
        """Close the connections on which the server waits for a request."""
        ...

    def refuse(self, *, refuses: bool) -> None:
        """Refuse further connections and close the idle ones, or accept connections again."""
        ...


class Mounting:
    """The place of one broker on a server; thread-safe.

    ``ca_file`` is the path of the certificate, in PEM, that clients must trust to reach the broker
    over TLS; None without TLS. ``connections`` are the server's, None under another WSGI server.
    ``prefix`` is empty, or begins and does not end with a slash. ``profile`` decides the paths; it
    may be replaced by another one at any time.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._initial_profile = profile
        self._base_url = ""
        self.prefix = ""
        self.ca_file: str | None = None
        self.connections: Connections | None = None
        self._lock = threading.Lock()

    def reset_profile(self) -> None:
        """Return to the profile given at construction."""
        self.profile = self._initial_profile

    def mount(
        self, origin: str, prefix: str, ca_file: str | None, connections: Connections | None
    ) -> None:
        """Record that the broker's URLs start with ``origin`` and ``prefix``."""
        with self._lock:
            self.connections = connections
            self.ca_file = ca_file
            # Origin and prefix arrive with the mount only: the same broker can be mounted again
            # elsewhere, and port 0 has no number before the server listens.
            self._base_url, self.prefix = origin + prefix, prefix

    def unmount(self) -> None:
        """Record that the broker has no URLs any more."""
        with self._lock:
            # The prefix stays: a request that is being answered still reads it.
            self._base_url = ""
            self.connections = None

    @property
    def token_url(self) -> str:
        """The URL of the token endpoint. Raises RuntimeError while the broker is not mounted."""
        query = f"?{self.profile.token_query}" if self.profile.token_query else ""
        return self._mounted_base() + self.profile.own_token_path + query

    @property
    def api_url(self) -> str:
        """The base URL of the API. Raises RuntimeError while the broker is not mounted."""
        return self._mounted_base() + self.profile.api_prefix

    def _mounted_base(self) -> str:
        """Return the URL below which both endpoints lie. Raises RuntimeError without one."""
        if not self._base_url:
            raise RuntimeError("the broker is not running; use `with broker.running():`")
        return self._base_url

    @property
    def control_url(self) -> str:
        """The URL below which the control API lies. Raises RuntimeError without one."""
        return self._mounted_base() + CONTROL_PATH

    @property
    def token_path(self) -> str:
        """The path of the token endpoint, prefix included."""
        return self.prefix + self.profile.own_token_path

    @property
    def api_path(self) -> str:
        """The path below which the API is, prefix included."""
        return self.prefix + self.profile.api_prefix

    @property
    def api_prefix(self) -> str:
        """The prefix of the API as the profile has it, below which paths of routes are."""
        return self.profile.api_prefix

    @property
    def known_paths(self) -> KnownPaths:
        """The paths of the endpoints, for a hint on another path."""
        return KnownPaths(profile=self.profile, prefix=self.prefix, control=CONTROL_PATH)

    def jwks_path_for(self, requested_path: str) -> str | None:
        """Return the path of the public keys for the placeholders of a path; prefix included.

        None if tokens are not signed.
        """
        if self.profile.token_format != "jwt":  # noqa: S105 - a format, not a password
            return None
        path = (self.profile.metadata or Metadata()).jwks_path
        return self.prefix + filled(path, self.path_values(requested_path))

    def is_metadata_path(self, requested_path: str) -> bool:
        """Return whether a path is that of a document about the broker, or of its keys."""
        metadata = self.profile.metadata
        if metadata is not None and "/.well-known/" in requested_path:
            issuer = self.issuer_path_for(requested_path).rstrip("/")
            # RFC 8414, 3: the well-known string is inserted "between the host component and the
            # path component", without a slash at the end of that. OpenID Connect Discovery 1.0, 4,
            # appends it, and providers do either with both documents.
            for name in metadata.documents:
                document = f"/.well-known/{name}"
                if requested_path in (document + issuer, issuer + document):
                    return True
        return self.is_jwks_path(requested_path)

    def is_jwks_path(self, requested_path: str) -> bool:
        """Return whether a path is that of the public keys, with any placeholders."""
        return requested_path == self.jwks_path_for(requested_path)

    def path_values(self, requested_path: str) -> Mapping[str, str]:
        """Return the values of the profile's placeholders in a path, or else its own values.

        Each tenant of a provider has a token endpoint, a document and keys of its own.
        """
        below = requested_path.removeprefix(self.prefix)
        for pattern in self._patterns():
            # The document that RFC 8414 places first has the server's prefix behind its own part.
            found = values_in(pattern, below) or values_in(pattern, requested_path)
            if found:
                return {**self.profile.path_values, **found}
        return self.profile.path_values

    def _patterns(self) -> Iterator[str]:
        """Yield the paths with placeholders that the profile has."""
        yield from self.profile.token_paths
        metadata = self.profile.metadata
        if metadata is not None:
            yield metadata.jwks_path
            issuer = metadata.issuer_path.rstrip("/")
            for name in metadata.documents:
                yield f"/.well-known/{name}{self.prefix}{issuer}"
                yield f"{issuer}/.well-known/{name}"

    def expected_token_path(self, requested_path: str) -> str:
        """Return the path that a token request to ``requested_path`` should have used.

        A profile may have several spellings of one endpoint, also by placeholders.
        """
        is_below = requested_path.startswith(self.prefix)
        is_one = is_below and self.profile.has_token_path(requested_path.removeprefix(self.prefix))
        return requested_path if is_one else self.token_path

    def audiences(self, origin: str, request: Request) -> tuple[str, ...]:
        """Return the audiences that an assertion may have, that of the configured URL first.

        A client may reach the broker by another name than the one it was started with, such as that
        of a container, so the request's own host counts as well.
        """
        host = request.headers.get("Host") or origin.partition("://")[2]
        origins = dict.fromkeys([origin, f"{origin.partition('://')[0]}://{host}"])
        if self.profile.assertion.audience == "issuer":
            issuer = self.issuer_path_for(request.path)
            return tuple(each + issuer for each in origins)
        query = f"?{self.profile.token_query}" if self.profile.token_query else ""
        path = self.expected_token_path(request.path)
        return tuple(each + path + query for each in origins)

    @property
    def issuer(self) -> str:
        """The issuer's URL. Raises RuntimeError while the broker is not mounted."""
        return self._mounted_base().removesuffix(self.prefix) + self.issuer_path_for("")

    def issuer_path_for(self, requested_path: str) -> str:
        """Return what follows the origin in the issuer's URL, for the placeholders of a path.

        That is the prefix, and the profile's own path.
        """
        path = self.profile.metadata.issuer_path if self.profile.metadata else ""
        return self.prefix + filled(path, self.path_values(requested_path))

    def is_token_path(self, requested_path: str) -> bool:
        """Return whether the client means the token endpoint, even by a misspelt path.

        A path whose last segment is that of the token endpoint counts, in any case and encoding.
        """
        path = requested_path.removeprefix(self.prefix)
        if self.profile.has_token_path(path):
            return True
        # A client with a wrong base URL still sends a token request. Judged as one it gets a hint
        # on the path and an OAuth error; as an unknown path it would get a bare 404.
        if _last_part(path) == _last_part(self.profile.own_token_path):
            return True
        if self.is_api_path(requested_path):
            return False
        return is_usual_token_path(path) or bool(hint_on_path(path, self.profile.own_token_path))

    def is_api_path(self, requested_path: str) -> bool:
        """Return whether a path is the API's prefix or lies below it."""
        path = requested_path.removeprefix(self.prefix)
        # With slashes on both sides, so that /v2 does not match /v20/vehicle.
        return (path + "/").startswith(self.profile.api_prefix.rstrip("/") + "/")

    def path_below_api(self, requested_path: str) -> str:
        """Return an API path without the server's prefix and the API's.

        A path outside the API loses the server's prefix only.
        """
        path = requested_path.removeprefix(self.prefix)
        return path.removeprefix(self.profile.api_prefix)


def _last_part(path: str) -> str:
    """Return the last segment of a path, decoded and in lower case.

    Slashes at the end and path parameters (RFC 3986, 3.3) do not count.
    """
    return unquote(path.rstrip("/").rpartition("/")[2].partition(";")[0]).lower()
