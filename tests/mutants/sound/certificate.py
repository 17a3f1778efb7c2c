"""Sound clients that authenticate by a certificate, each in another way."""

from __future__ import annotations

import functools
import ssl
from typing import Any

import httpx
import requests
from requests.adapters import HTTPAdapter

from examples.certificate_client import CertificateApiClient, CertificateTokenManager
from examples.model_client import TokenError

__all__ = ["PRESENTING"]


class LoadsTheCertificateOnce(HTTPAdapter):
    """An adapter of requests with a TLS context of its own."""

    def __init__(self, files: Any, verify: Any) -> None:
        self._context = ssl.create_default_context(cafile=verify)
        self._context.load_cert_chain(*files)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)


class HasContexts(CertificateTokenManager):
    """Presents the certificate by a TLS context that was made once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        files, self._session.cert = self._session.cert, None
        self._session.mount("https://", LoadsTheCertificateOnce(files, self._verify))


class OpensAConnectionForEachToken(CertificateTokenManager):
    """Sends client_id first, each time over a new connection."""

    def _token_parameters(self) -> dict[str, str]:
        return {"client_id": self._client_id, **super()._token_parameters()}

    def _send_token_request(self) -> requests.Response:
        try:
            return super()._send_token_request()
        finally:
            self._session.close()


class UsesHttpx(CertificateTokenManager):
    """Requests tokens by httpx."""

    @functools.cached_property
    def _httpx(self) -> httpx.Client:
        context = ssl.create_default_context(cafile=self._verify)
        context.load_cert_chain(*self._session.cert)
        return httpx.Client(verify=context, timeout=self._timeout)

    def _send_token_request(self) -> Any:
        try:
            return self._httpx.post(
                self._token_url, data=self._token_parameters(), headers=self._token_headers()
            )
        except httpx.HTTPError as error:
            raise TokenError(f"the auth-broker cannot be reached: {type(error).__name__}") from None

    def close(self) -> None:
        self._httpx.close()
        super().close()


class SharesTheSession(CertificateApiClient):
    """Calls the API by the session of the token manager, over the same connections."""

    def __init__(self, tokens: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(tokens, *args, **kwargs)
        self._session.close()
        self._session = tokens._session


PRESENTING: tuple[type, ...] = (
    CertificateTokenManager,
    HasContexts,
    OpensAConnectionForEachToken,
    UsesHttpx,
    SharesTheSession,
)
"""Sound clients of a profile with ``tls_client_auth``; each is half of one."""
