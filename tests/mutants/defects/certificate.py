"""Clients with one defect of the chapter ``certificate``."""

from __future__ import annotations

from typing import Any, ClassVar

from examples.certificate_client import CertificateApiClient, CertificateTokenManager
from examples.model_client import TokenManager
from mockbroker.contract import clauses
from mockbroker.model.profile import Profile
from tests.mutants.workshop import breaks

# Issued certificates, so that each one passes the handshake and the broker judges it.
MUTUAL = Profile(name="mutual", client_authentication="tls_client_auth")


@breaks(
    clauses.certificate.PRESENTED,
    blocks=[clauses.certificate.CLIENT_ID, clauses.certificate.ONLY, clauses.certificate.API],
    profile=MUTUAL,
)
class UsesBasicInPlaceOfACertificate(CertificateTokenManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._session.cert = None

    def _token_parameters(self) -> dict[str, str]:
        return TokenManager._token_parameters(self)

    def _token_headers(self) -> dict[str, str]:
        return TokenManager._token_headers(self)


class _FirstFiles:
    """The certificate of the first client that was made, which all others use."""

    first: ClassVar[Any] = None

    @classmethod
    def of(cls, own: Any) -> Any:
        cls.first = cls.first or own
        return cls.first


@breaks(clauses.certificate.PRESENTED, clauses.certificate.API, profile=MUTUAL)
class PresentsTheFirstCertificateForTokens(CertificateTokenManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._session.cert = _FirstFiles.of(self._session.cert)


@breaks(clauses.certificate.CLIENT_ID, profile=MUTUAL)
class LeavesOutTheClientId(CertificateTokenManager):
    def _token_parameters(self) -> dict[str, str]:
        parameters = super()._token_parameters()
        del parameters["client_id"]
        return parameters


@breaks(clauses.certificate.CLIENT_ID, profile=MUTUAL)
class SendsTheSubjectAsClientId(CertificateTokenManager):
    def _token_parameters(self) -> dict[str, str]:
        return {**super()._token_parameters(), "client_id": f"CN={self._client_id}"}


@breaks(clauses.certificate.ONLY, profile=MUTUAL)
class SendsBasicBesideTheCertificate(CertificateTokenManager):
    def _token_headers(self) -> dict[str, str]:
        return {**super()._token_headers(), "Authorization": self._basic()}


@breaks(clauses.certificate.ONLY, profile=MUTUAL)
class SendsAnEmptySecretBesideTheCertificate(CertificateTokenManager):
    def _token_parameters(self) -> dict[str, str]:
        return {**super()._token_parameters(), "client_secret": ""}


@breaks(clauses.certificate.API, profile=MUTUAL)
class CallsTheApiWithoutACertificate(CertificateApiClient):
    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> Any:
        self._session.cert = None
        return super()._send(method, url, token, **kwargs)


@breaks(clauses.certificate.API, profile=MUTUAL)
class CallsTheApiWithTheFirstCertificate(CertificateApiClient):
    first: ClassVar[Any] = None

    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> Any:
        kind = CallsTheApiWithTheFirstCertificate
        kind.first = kind.first or self._session.cert
        self._session.cert = kind.first
        return super()._send(method, url, token, **kwargs)


@breaks(clauses.certificate.API, profile=MUTUAL)
class RepeatsARefusedCallWithoutTheCertificate(CertificateApiClient):
    def _is_token_refused(self, response: Any) -> bool:
        is_refused = super()._is_token_refused(response)
        if is_refused:
            self._session.close()
            self._session.cert = None
        return is_refused
