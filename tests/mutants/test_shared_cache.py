"""A cache that all clients share breaks `cache.isolation`, and hides few other breaches."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import requests

from mockbroker.contract import clauses
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


def test_a_token_of_a_clock_that_was_ahead_is_not_found_in_later_cases():
    judged = [clauses.refresh.CLOCK_CHANGES, clauses.refresh.AHEAD, clauses.refresh.NOT_TOO_EAGER]
    assert verdicts_on(OneFileByTheWallClock, only=judged) == {}
