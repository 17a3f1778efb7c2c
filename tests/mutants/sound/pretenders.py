"""Clients that only pretend to be one: no clause may pass for them."""

from __future__ import annotations

from typing import Any

import requests

__all__ = ["canned_token_client", "null_client"]


class _Null:
    def get_token(self) -> None:
        return None

    def request(self, method: str, url: str, **kwargs: Any) -> None:
        return None


def null_client(config: Any) -> Any:
    return _Null()


class _Canned(_Null):
    def __init__(self, config: Any) -> None:
        self._session = requests.Session()

    def get_token(self) -> str:  # type: ignore[override]
        return "a-canned-token-that-was-never-issued"

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        headers = {**kwargs.pop("headers", {}), "Authorization": f"Bearer {self.get_token()}"}
        return self._session.request(method, url, headers=headers, timeout=5, **kwargs)


def canned_token_client(config: Any) -> Any:
    return _Canned(config)
