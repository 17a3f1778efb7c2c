"""A cache that all clients share breaks `cache.isolation`, and hides few other breaches."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import requests

from mockbroker.contract import clauses
from mockbroker.report.finding import Verdict
from tests.mutants.kit import verdicts_on

TIMEOUT_SECONDS = 5
LEEWAY_SECONDS = 60


class OneFileByTheWallClock:
    """Keeps the token of any client in one file, until a moment of the wall clock."""

    file = Path("token.json")

    def __init__(self, config: Any) -> None:
        self.config = config

    def get_token(self) -> str:
        kept = json.loads(self.file.read_text(encoding="utf-8")) if self.file.exists() else None
        if kept is None or time.time() >= kept["expires_at"] - LEEWAY_SECONDS:
            kept = self.fetched()
            self.file.write_text(json.dumps(kept), encoding="utf-8")
        return str(kept["access_token"])

    def fetched(self) -> dict[str, Any]:
        pair = (self.config.client_id, self.config.client_secret)
        form = {"grant_type": "client_credentials"}
        response = requests.post(
            self.config.token_url, form, auth=pair, timeout=TIMEOUT_SECONDS
        ).json()
        return {**response, "expires_at": time.time() + response["expires_in"]}


class SharesItsConnections(OneFileByTheWallClock):
    """Sends on connections that all clients share, and closes them with itself."""

    connections = httpx.Client(trust_env=False)

    def fetched(self) -> dict[str, Any]:
        pair = (self.config.client_id, self.config.client_secret)
        form = {"grant_type": "client_credentials"}
        response = self.connections.post(self.config.token_url, data=form, auth=pair)
        return {**response.json(), "expires_at": time.time()}

    def close(self) -> None:
        self.connections.close()


def test_a_client_that_closes_the_connections_of_all_fails_as_the_second_of_a_process():
    found = verdicts_on(SharesItsConnections, only=[clauses.response.DOCUMENTED])
    verdict, reason = found[clauses.response.DOCUMENTED]
    assert verdict is Verdict.FAILED
    assert "in a process where a client has been closed, another one raised" in reason


def test_a_token_of_a_clock_that_was_ahead_is_not_found_in_later_cases():
    judged = [clauses.refresh.CLOCK_CHANGES, clauses.refresh.AHEAD, clauses.refresh.NOT_TOO_EAGER]
    assert verdicts_on(OneFileByTheWallClock, only=judged) == {}
