"""Clients with one defect of the chapter ``secrecy``."""

from __future__ import annotations

import contextlib
import logging
import warnings
from pathlib import Path
from typing import Any

import requests

from examples.model_client import AccessToken, ApiClient, TokenError, TokenManager
from mockbroker.contract import clauses
from tests.mutants.workshop import breaks

log = logging.getLogger("acme.tokens")


@breaks(clauses.secrecy.SECRET)
class ShowsTheSecretInItsRepr(TokenManager):
    def __repr__(self) -> str:
        return f"TokenManager({self._client_id!r}, {self._client_secret!r})"


@breaks(clauses.secrecy.SECRET)
class LogsItsHeaders(TokenManager):
    def _token_headers(self) -> dict[str, str]:
        headers = super()._token_headers()
        log.debug("asking with %s", headers)
        return headers


@breaks(clauses.secrecy.SECRET)
class ComplainsWithTheSecret(TokenManager):
    def _send_token_request(self) -> requests.Response:
        try:
            return super()._send_token_request()
        except TokenError as error:
            raise TokenError(f"{error}, as {self._client_id}:{self._client_secret}") from None


@breaks(clauses.secrecy.SECRET)
class ReportsATimeoutWithTheSecret(TokenManager):
    def _send_token_request(self) -> requests.Response:
        try:
            return super()._send_token_request()
        except TokenError as error:
            if "Timeout" not in str(error):
                raise
            raise TokenError(f"timed out: {vars(self)}") from None


@breaks(clauses.secrecy.SECRET)
class PrintsTheSecret(TokenManager):
    def _basic(self) -> str:
        print("credentials:", self._client_id, self._client_secret)  # noqa: T201 - the defect
        return super()._basic()


@breaks(clauses.secrecy.SECRET)
class LogsTheEndOfTheSecret(TokenManager):
    def _token_headers(self) -> dict[str, str]:
        log.debug("asking as %s, secret ...%s", self._client_id, self._client_secret[-10:])
        return super()._token_headers()


@breaks(clauses.secrecy.SECRET)
class WarnsWithTheSecret(TokenManager):
    def _fetch_token(self) -> AccessToken:
        warnings.warn(f"{self._client_secret!r} is not rotated yet", UserWarning, stacklevel=1)
        return super()._fetch_token()


@breaks(clauses.secrecy.TOKEN)
class LogsTheToken(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        token = super()._token_of(members)
        log.info("fetched %s", token)
        return token


@breaks(clauses.secrecy.TOKEN)
class LogsTheBeginningOfTheToken(TokenManager):
    def _token_of(self, members: dict[str, Any]) -> str:
        token = super()._token_of(members)
        log.info("fetched %s...", token[:8])
        return token


@breaks(clauses.secrecy.TOKEN)
class ComplainsWithTheAnswer(TokenManager):
    def _lifetime_of(self, members: dict[str, Any]) -> float:
        try:
            return super()._lifetime_of(members)
        except TokenError as error:
            raise TokenError(f"{error}: {members}") from None


@breaks(clauses.secrecy.TOKEN)
class ComplainsWithTheHeadersOfTheCall(ApiClient):
    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        try:
            return super()._send(method, url, token, **kwargs)
        except requests.RequestException as error:
            headers = {"Authorization": f"Bearer {token}"}
            raise ConnectionError(f"{type(error).__name__} at {method} {url}", headers) from None


@breaks(clauses.secrecy.TOKEN)
class ShowsTheTokenInItsRepr(ApiClient):
    def __repr__(self) -> str:
        return f"ApiClient({self.tokens._token and self.tokens._token.value!r})"


class Follower(TokenManager):
    """Follows redirects of the token endpoint by itself, credentials and all."""

    statuses: tuple[int, ...] = ()

    def _send_token_request(self) -> requests.Response:
        response = super()._send_token_request()
        if response.status_code not in self.statuses:
            return response
        home, self._token_url = self._token_url, response.headers["Location"]
        try:
            return super()._send_token_request()
        finally:
            self._token_url = home


@breaks(clauses.secrecy.REDIRECT)
class FollowsA307WithCredentials(Follower):
    statuses = (307, 308)


@breaks(clauses.secrecy.REDIRECT)
class FollowsA302WithCredentials(Follower):
    statuses = (301, 302, 303)


class Filing(TokenManager):
    """Writes its token down, for somebody else to read."""

    mode = 0o644

    def path(self) -> Path:
        raise NotImplementedError

    def _fetch_token(self) -> AccessToken:
        token = super()._fetch_token()
        path = self.path()
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            path.chmod(self.mode)
            path.write_text(f"{token.value} {token.expires_at}", encoding="utf-8")
        return token


@breaks(clauses.secrecy.FILES)
class WritesTheTokenWhereItWorks(Filing):
    def path(self) -> Path:
        return Path(".token-cache")


@breaks(clauses.secrecy.FILES)
class WritesTheTokenIntoItsHome(Filing):
    mode = 0o640

    def path(self) -> Path:
        return Path.home() / ".acme" / "token"
