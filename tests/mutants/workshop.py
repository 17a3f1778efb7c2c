"""What mutants are made with: the model client with a place to spoil it."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
import os
import ssl
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import requests

from examples.assertion_client import AssertionTokenManager
from examples.async_client import AsyncApiClient, AsyncTokenManager, Connections
from examples.certificate_client import CertificateApiClient, CertificateTokenManager
from examples.model_client import AccessToken, ApiClient, TokenError, TokenManager
from mockbroker.contract.clause import Clause


@dataclass(frozen=True)
class Mutant:
    """Half of a client with one defect, the clauses that it breaks, and how it is run.

    The defect is in the way of those that are ``blocked``. It takes the scenarios of the clauses in
    ``shown_by`` to show it, if those of the broken ones do not.
    """

    cls: type
    broken: frozenset[Clause]
    blocked: frozenset[Clause] = frozenset()
    shown_by: frozenset[Clause] = frozenset()
    settings: dict[str, Any] = field(default_factory=dict)


MUTANTS: dict[str, Mutant] = {}


def breaks(
    *clauses: Clause,
    blocks: Sequence[Clause] = (),
    shown_by: Sequence[Clause] = (),
    **settings: Any,
) -> Any:
    """Register a TokenManager or ApiClient, and the clauses that it breaks and blocks; see Mutant.

    The settings are those of RunSettings that show it best.
    """

    def register(cls: type) -> type:
        MUTANTS[cls.__name__] = Mutant(
            cls, frozenset(clauses), frozenset(blocks), frozenset(shown_by), settings
        )
        return cls

    return register


def one_for_each_clause(mutants: Mapping[str, Mutant]) -> list[str]:
    """The names of few mutants that together break every clause."""
    chosen: list[str] = []
    unbroken = set().union(*(mutant.broken for mutant in mutants.values()))
    while unbroken:
        # The greedy choice is not the smallest one, but close to it.
        name = max(mutants, key=lambda each: len(mutants[each].broken & unbroken))
        chosen.append(name)
        unbroken -= mutants[name].broken
    return sorted(chosen)


class Sender(TokenManager):
    """A token manager whose token request can be shaped freely."""

    method = "POST"
    url_suffix = ""

    def body(self) -> Any:
        return self._token_parameters()

    def _send_token_request(self) -> requests.Response:
        body = self.body()  # first, because it may set the suffix
        has_query = "?" in self._token_url
        suffix = self.url_suffix.replace("?", "&") if has_query else self.url_suffix
        try:
            return self._session.request(
                self.method,
                self._token_url + suffix,
                data=body,
                headers=self._token_headers(),
                timeout=self._timeout,
                verify=self._verify,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise TokenError(f"the auth-broker cannot be reached: {type(error).__name__}") from None


class Encoder(TokenManager):
    """A token manager whose Basic header can be shaped freely."""

    def pair(self) -> bytes:
        return f"{self._client_id}:{self._client_secret}".encode()

    def encoded(self) -> str:
        return base64.b64encode(self.pair()).decode()

    def _basic(self) -> str:
        return "Basic " + self.encoded()


class OwnClock(TokenManager):
    """Keeps time by a function that was bound before any test could replace it."""

    def __init__(self, *args: Any, clock: Any = time.monotonic, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock = clock

    def get_token(self) -> str:
        with self._lock:
            if self._token is None or self._clock() >= self._token.refresh_at:
                self._token = self._refreshed()
            return self._token.value

    def _refreshed(self) -> AccessToken:
        try:
            return self._fetch_token()
        except TokenError:
            if self._token is not None and self._clock() < self._token.expires_at:
                return self._token
            raise

    def _fetch_token(self) -> AccessToken:
        asked_at = self._clock()
        return self._read_token(self._send_token_request(), asked_at)

    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime - 1


class Auth(requests.auth.AuthBase):
    """Signs a request by a function of the request and the token."""

    def __init__(self, sign: Any, token: str) -> None:
        self.sign, self.token = sign, token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        self.sign(request, self.token)
        return request


class Signer(ApiClient):
    """An API client whose signature can be spoilt."""

    def spoil(self, request: requests.PreparedRequest, token: str) -> None:
        raise NotImplementedError

    def signature(self, token: str) -> requests.auth.AuthBase:
        return Auth(self.spoil, token)

    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        kwargs = {"timeout": self._timeout, "verify": self._verify, **kwargs}
        return self._session.request(method, url, auth=self.signature(token), **kwargs)


class MakesDo(TokenManager):
    """Goes on with an expired token, after some failures."""

    def makes_do(self, error: TokenError) -> bool:
        raise NotImplementedError

    def _refreshed(self) -> AccessToken:
        try:
            return super()._refreshed()
        except TokenError as error:
            if self._token is not None and self.makes_do(error):
                return self._token
            raise


class FileKeeper(TokenManager):
    """Keeps its token in a private file, and takes it from there when it is made again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._token = self.read()

    def key(self) -> list[str]:
        return [self._token_url, self._client_id, self._client_secret, self._scope]

    def path(self) -> Path:
        name = hashlib.sha256(json.dumps(self.key()).encode()).hexdigest()
        return Path.home() / ".cache" / "acme" / name

    def stored(self, token: AccessToken) -> dict[str, Any]:
        return vars(token)

    def restored(self, stored: dict[str, Any]) -> AccessToken:
        return AccessToken(**stored)

    def read(self) -> AccessToken | None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            return self.restored(json.loads(self.path().read_text(encoding="utf-8")))
        return None

    def write(self, token: AccessToken) -> None:
        path = self.path()
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(self.stored(token), file)
            Path(name).replace(path)

    def _fetch_token(self) -> AccessToken:
        token = super()._fetch_token()
        self.write(token)
        return token


@functools.cache
def _trust(ca_file: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


def make_async(cls: type[AsyncTokenManager], config: Any) -> AsyncApiClient:
    """The asynchronous client with that half."""
    # Made once: reading the system's certificates takes longer than a test case.
    verify = _trust(config.ca_file)
    connections = Connections(lambda: httpx.AsyncClient(timeout=config.timeout, verify=verify))
    pair = (config.client_id, config.client_secret)
    tokens = cls(connections, config.token_url, *pair, scope=config.scope)
    return AsyncApiClient(connections, tokens, config.api_base_url)


def make(cls: type, config: Any, *others: type) -> Any:
    """The client of which these classes are halves; two of one half make one with both defects."""
    if issubclass(cls, AsyncTokenManager):
        return make_async(cls, config)
    managers = tuple(each for each in (cls, *others) if issubclass(each, TokenManager))
    signers = tuple(each for each in (cls, *others) if not issubclass(each, TokenManager))
    signer = type("Signer", signers, {}) if signers else ApiClient
    manager = (
        type("Manager", managers, {}) if managers else getattr(signer, "manager", TokenManager)
    )
    if issubclass(signer, CertificateApiClient) and not managers:
        manager = CertificateTokenManager
    if issubclass(manager, CertificateTokenManager) and not signers:
        signer = CertificateApiClient
    verify = config.ca_file or True
    settings = {
        "scope": config.scope,
        "parameters": config.parameters,
        "timeout": config.timeout,
        "verify": verify,
    }
    files = (config.certificate_file, config.key_file)
    secret: Any = config.client_secret
    if issubclass(manager, AssertionTokenManager):
        secret = config.private_key
        settings |= {name: getattr(config, name) for name in ("key_id", "algorithm", "audience")}
    elif issubclass(manager, CertificateTokenManager):
        secret = files
    tokens = manager(config.token_url, config.client_id, secret, **settings)
    certificate = (files,) if issubclass(signer, CertificateApiClient) else ()
    return signer(tokens, config.api_base_url, *certificate, timeout=config.timeout, verify=verify)
