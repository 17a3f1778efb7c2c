"""A broker with its control API, and a way to call it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from mockbroker import Broker, Credentials

SHOP = Credentials("shop", "s3cret-of-the-shop")
GRANT = {"grant_type": "client_credentials"}


class Caller:
    """Calls of the control API of a broker, and of the broker itself as its client does."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.session = requests.Session()
        self.session.trust_env = False

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        url = self.broker.control_url + path
        return self.session.request(method, url, json=body, timeout=20, **options)

    def done(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request that must succeed."""
        answer = self(method, path, body)
        assert answer.ok, answer.text
        return answer.json()

    def refused(self, method: str, path: str, body: Any, status: int) -> str:
        """The message of a refusal with that status, which is one line."""
        answer = self(method, path, body)
        assert answer.status_code == status, answer.text
        message = answer.json()["message"]
        assert "\n" not in message
        return message

    def token_answer(self, **options: Any) -> requests.Response:
        auth = (SHOP.client_id, SHOP.client_secret)
        return self.session.post(
            self.broker.token_url, GRANT, auth=options.pop("auth", auth), timeout=10, **options
        )

    def token(self) -> str:
        return self.token_answer().json()["access_token"]

    def vehicle(self, token: str) -> requests.Response:
        url = f"{self.broker.api_url}/vehicle/1"
        return self.session.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(credentials=SHOP).running() as running:
        yield running


@pytest.fixture
def control(broker) -> Caller:
    return Caller(broker)
