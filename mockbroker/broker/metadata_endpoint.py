"""What an authorization server publishes: its metadata (RFC 8414) and its keys (RFC 7517).

Clients find the token URL by it, and resource servers the keys by which they verify tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mockbroker.broker.answers import json_response
from mockbroker.broker.arrivals import Arrival, Outcome
from mockbroker.broker.faults import FaultScript
from mockbroker.broker.mounting import Mounting
from mockbroker.broker.signing_keys import KeyRing
from mockbroker.model.exchange import Endpoint
from mockbroker.model.messages import Request, Response
from mockbroker.model.metadata import Metadata
from mockbroker.model.profile import Profile
from mockbroker.model.profile_placeholders import filled

__all__ = ["MetadataEndpoint", "issuer_at"]

_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
_METHOD_NAMES = {"basic": "client_secret_basic", "post": "client_secret_post"}
"""The names of client authentication methods that RFC 8414 has otherwise than profiles."""


def issuer_at(request: Request, origin: str, mounting: Mounting) -> str:
    """Return the issuer identifier for a request that came to ``origin``."""
    return _origin_for(request, origin) + mounting.issuer_path_for(request.path)


def _origin_for(request: Request, origin: str) -> str:
    """Return the origin by the name under which the client knows the broker."""
    # In a container network the server's own address is not that of its clients. RFC 8414, 3.3: the
    # issuer MUST be that from which the client made the URL of the document.
    host = request.headers.get("Host") or ""
    scheme = origin.partition("://")[0]
    return f"{scheme}://{host}" if _HOST.fullmatch(host) else origin


class MetadataEndpoint:
    """The documents of a broker and its keys. No clause judges requests for them."""

    kind = Endpoint.ELSEWHERE

    def __init__(self, mounting: Mounting, keys: KeyRing, script: FaultScript) -> None:
        # Always empty: a test scripts faults for the two endpoints only.
        self.script = script
        self._mounting = mounting
        self._keys = keys

    def respond(self, arrival: Arrival) -> Outcome:
        """Answer a request for a document or for the keys."""
        request = arrival.request
        if request.method not in ("GET", "HEAD"):
            message = "this document is read by GET"
            refusal = json_response(405, {"error": True, "message": message}, ("Allow", "GET"))
            return Outcome(response=refusal)
        if self._mounting.is_jwks_path(request.path):
            return Outcome(response=self._key_set())
        return Outcome(response=json_response(200, self._document(request, arrival.origin)))

    def _key_set(self) -> Response:
        """Return the public keys, the oldest first."""
        return json_response(200, {"keys": [key.public for key in self._keys.published()]})

    def _document(self, request: Request, origin: str) -> Mapping[str, Any]:
        """Return the metadata as a client at that origin needs it."""
        profile = self._mounting.profile
        issuer = issuer_at(request, origin, self._mounting)
        own = _origin_for(request, origin)
        token_path = filled(profile.token_path, self._mounting.path_values(request.path))
        members: dict[str, Any] = {
            "issuer": issuer,
            "token_endpoint": own + self._mounting.prefix + token_path + _query_of(profile),
            "token_endpoint_auth_methods_supported": [
                _METHOD_NAMES.get(name, name) for name in profile.authentication_methods
            ],
            "grant_types_supported": ["client_credentials"],
            # RFC 8414, 2: it is required, and by 3.2 no list is empty. Without an authorization
            # endpoint no response has a type; "none" is the registered name for that.
            "response_types_supported": ["none"],
        }
        jwks_path = self._mounting.jwks_path_for(request.path)
        if jwks_path is not None:
            members["jwks_uri"] = own + jwks_path
        if profile.certificate_method:
            # RFC 8705, 3.3; the default of the member is false.
            members["tls_client_certificate_bound_access_tokens"] = profile.certificate.bound_tokens
        if profile.issued_scope:
            members["scopes_supported"] = profile.issued_scope.split()
        if "openid-configuration" in request.path:
            # OpenID Connect Discovery 1.0, 3, requires all three.
            members["authorization_endpoint"] = issuer.rstrip("/") + "/authorize"
            members["subject_types_supported"] = ["public"]
            members["id_token_signing_alg_values_supported"] = ["RS256"]
        metadata = profile.metadata or Metadata()
        own_members = {n: v.replace("{issuer}", issuer) for n, v in metadata.members.items()}
        return members | own_members


def _query_of(profile: Profile) -> str:
    """Return the query of the token URL with its question mark, empty if there is none."""
    return f"?{profile.token_query}" if profile.token_query else ""
