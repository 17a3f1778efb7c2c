"""Client that authenticates by a certificate in TLS (tls_client_auth), to be copied as well.

It is the model client with another authentication: RFC 8705 instead of HTTP Basic. Tokens that are
bound to the certificate need it in the calls of the API as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from examples.model_client import ApiClient, TokenManager

__all__ = [
    "CertificateApiClient",
    "CertificateTokenManager",
    "make_client",
]

CertificateFiles = tuple[str, str]
"""The paths of a certificate and of its private key, in PEM."""


class CertificateTokenManager(TokenManager):
    """Token manager that presents a certificate at the token endpoint."""

    def __init__(
        self,
        token_url: str,
        client_id: str,
        certificate: CertificateFiles,
        *,
        scope: str = "",
        parameters: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        verify: bool | str = True,
    ) -> None:
        super().__init__(
            token_url,
            client_id,
            "",  # the certificate replaces the secret
            scope=scope,
            parameters=parameters,
            timeout=timeout,
            verify=verify,
        )
        # A pair of paths. They are read for each new connection, so that a renewed certificate
        # needs no restart.
        self._session.cert = certificate

    def _token_parameters(self) -> dict[str, str]:
        # RFC 8705, 2: the broker finds the registration by it, and not by the certificate.
        return {**super()._token_parameters(), "client_id": self._client_id}

    def _token_headers(self) -> dict[str, str]:
        return {"Accept": "application/json"}


class CertificateApiClient(ApiClient):
    """Client of the API that presents the same certificate: the token is bound to it."""

    def __init__(
        self,
        tokens: TokenManager,
        api_base_url: str,
        certificate: CertificateFiles,
        *,
        timeout: float = 10.0,
        verify: bool | str = True,
    ) -> None:
        super().__init__(tokens, api_base_url, timeout=timeout, verify=verify)
        self._session.cert = certificate


def make_client(config: Any) -> CertificateApiClient:
    """Return the client that `mockbroker check` judges."""
    verify = config.ca_file or True
    certificate = (config.certificate_file, config.key_file)
    tokens = CertificateTokenManager(
        config.token_url,
        config.client_id,
        certificate,
        scope=config.scope,
        parameters=config.parameters,
        timeout=config.timeout,
        verify=verify,
    )
    return CertificateApiClient(
        tokens, config.api_base_url, certificate, timeout=config.timeout, verify=verify
    )
