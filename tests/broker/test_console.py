"""The lines that `mockbroker serve` prints for each request."""

from __future__ import annotations

import click
import requests

from mockbroker import Fault
from mockbroker.console import exchange_lines

GRANT = {"grant_type": "client_credentials"}
SHOP = ("shop", "s3cr:et")


def last_lines(broker):
    lines = exchange_lines(broker.journal[-1], broker.masked)
    return click.unstyle(lines)


def test_a_secret_in_the_url_is_masked_though_it_is_nobodys(broker):
    requests.post(f"{broker.token_url}?client_secret=mistyped", data=GRANT, auth=SHOP, timeout=5)
    assert "?client_secret=<masked>" in last_lines(broker)
    assert "mistyped" not in last_lines(broker)


def test_only_an_answer_without_error_is_ok(broker):
    broker.script(Fault.status(503))
    requests.post(broker.token_url, data=GRANT, auth=SHOP, timeout=5)
    assert "503" in last_lines(broker)
    assert "ok" not in last_lines(broker).split("503")[1]
    requests.post(broker.token_url, data=GRANT, auth=SHOP, timeout=5)
    assert last_lines(broker).endswith("token #1, ok")
