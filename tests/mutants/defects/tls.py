"""Clients with one defect of the chapter ``tls``."""

from __future__ import annotations

import warnings
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from examples.model_client import TokenManager
from mockbroker.contract import clauses
from tests.mutants.workshop import breaks


@breaks(clauses.tls.VERIFY)
class TrustsEveryCertificate(TokenManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "verify": False})

    def _send_token_request(self) -> requests.Response:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super()._send_token_request()


class AnyName(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, assert_hostname=False)


@breaks(clauses.tls.VERIFY)
class TakesAnyNameInACertificate(TokenManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._session.mount("https://", AnyName())
