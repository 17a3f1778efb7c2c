"""Clients with one defect of the chapter ``basic``."""

from __future__ import annotations

import base64
import os
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import requests

from examples.model_client import ApiClient, TokenManager
from mockbroker.contract import clauses
from mockbroker.model.profile import RFC6749
from tests.mutants.workshop import Encoder, Sender, breaks

# Without a Basic header nothing shows how the client encodes its credentials.
_WITHOUT_BASIC = [
    clauses.basic.BASE64,
    clauses.basic.CREDENTIALS,
    clauses.basic.UTF8,
    clauses.basic.ONLY,
]


@breaks(clauses.basic.SCHEME, blocks=_WITHOUT_BASIC)
class SignsWithBearer(Encoder):
    def _basic(self) -> str:
        return "Bearer " + self.encoded()


@breaks(clauses.basic.SCHEME, blocks=_WITHOUT_BASIC)
class ForgetsTheScheme(Encoder):
    def _basic(self) -> str:
        return self.encoded()


@breaks(clauses.basic.SCHEME, blocks=_WITHOUT_BASIC)
class SendsCredentialsInTheBodyOnly(TokenManager):
    def _token_headers(self) -> dict[str, str]:
        return {"Accept": "application/json"}

    def _token_parameters(self) -> dict[str, str]:
        pair = {"client_id": self._client_id, "client_secret": self._client_secret}
        return {**super()._token_parameters(), **pair}


@breaks(clauses.basic.SCHEME)
class RefetchesWithoutCredentials(TokenManager):
    fetched = 0

    def _token_headers(self) -> dict[str, str]:
        self.fetched += 1
        return super()._token_headers() if self.fetched == 1 else {"Accept": "*/*"}


@breaks(clauses.basic.BASE64)
class UsesTheUrlSafeAlphabet(Encoder):
    def encoded(self) -> str:
        return base64.urlsafe_b64encode(self.pair()).decode()


@breaks(clauses.basic.BASE64)
class LosesThePadding(Encoder):
    def encoded(self) -> str:
        return super().encoded().rstrip("=")


@breaks(clauses.basic.BASE64)
class BreaksTheLine(Encoder):
    def encoded(self) -> str:
        text = super().encoded()
        return " ".join(text[i : i + 76] for i in range(0, len(text), 76))


@breaks(clauses.basic.BASE64)
class BreaksTheLineWhereNoHeaderMay(Encoder):
    def encoded(self) -> str:
        return base64.encodebytes(self.pair()).decode().strip()


@breaks(clauses.basic.CREDENTIALS)
class QuotesTheCredentials(Encoder):
    def pair(self) -> bytes:
        if not (self._client_id + self._client_secret).isascii():
            return super().pair()
        return f"{quote(self._client_id, safe='')}:{quote(self._client_secret, safe='')}".encode()


@breaks(clauses.basic.CREDENTIALS)
class FormEncodesTheCredentials(Encoder):
    def pair(self) -> bytes:
        if not (self._client_id + self._client_secret).isascii():
            return super().pair()
        return f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}".encode()


@breaks(clauses.basic.CREDENTIALS)
class SplitsTheSecretAtItsColon(Encoder):
    def pair(self) -> bytes:
        return ":".join(super().pair().decode().split(":")[:2]).encode()


@breaks(clauses.basic.CREDENTIALS)
class AppendsALineFeed(Encoder):
    def pair(self) -> bytes:
        return super().pair() + b"\n"


@breaks(clauses.basic.CREDENTIALS)
class ExpandsTheSecret(Encoder):
    def pair(self) -> bytes:
        return os.path.expandvars(super().pair().decode()).encode()


@breaks(clauses.basic.CREDENTIALS)
class TakesTwoDollarsForOne(Encoder):
    def pair(self) -> bytes:
        return super().pair().replace(b"$$", b"$")


@breaks(clauses.basic.UTF8)
class EncodesAsLatin1(Encoder):
    def pair(self) -> bytes:
        return f"{self._client_id}:{self._client_secret}".encode("latin-1", "replace")


@breaks(clauses.basic.UTF8)
class RefusesNonAscii(Encoder):
    def pair(self) -> bytes:
        return f"{self._client_id}:{self._client_secret}".encode("ascii")


@breaks(clauses.basic.ONLY)
class SendsTheSecretInTheBodyToo(TokenManager):
    def _token_parameters(self) -> dict[str, str]:
        pair = {"client_id": self._client_id, "client_secret": self._client_secret}
        return {**super()._token_parameters(), **pair}


@breaks(clauses.basic.ONLY, clauses.secrecy.SECRET)  # the HTTP library logs the URL
class SendsTheSecretInTheUrlToo(Sender):
    def body(self) -> Any:
        pair = {"client_id": self._client_id, "client_secret": self._client_secret}
        self.url_suffix = "?" + urlencode(pair)
        return self._token_parameters()


@breaks(clauses.basic.CREDENTIALS, profile=RFC6749)
class RawUnderTheOtherProfile(TokenManager):
    """The model client, where credentials should be form-urlencoded first."""


@breaks(clauses.basic.NETRC)
class LooksIntoNetrc(TokenManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._session.auth = None


@breaks(clauses.basic.NETRC)
class SignsByHandBesideNetrc(ApiClient):
    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        headers = {**(kwargs.pop("headers", None) or {}), "Authorization": f"Bearer {token}"}
        kwargs = {"timeout": self._timeout, "verify": self._verify, **kwargs}
        return self._session.request(method, url, headers=headers, **kwargs)
