"""The pictures of the live page: `python -m evidence.pages.live_page` draws them in Chromium."""

from __future__ import annotations

import tempfile
from pathlib import Path

import requests

from evidence.browser import Browser, browsing
from evidence.files import DOCS
from mockbroker import Broker, Credentials

__all__ = ["main"]

CLIENT = Credentials("shop", "s3cret-of-the-shop")
GRANT = {"grant_type": "client_credentials"}
TIMEOUT_SECONDS = 10


def main() -> None:
    """Draw both pictures."""
    with (
        Broker(credentials=CLIENT).running() as broker,
        tempfile.TemporaryDirectory() as folder,
        browsing(Path(folder)) as browser,
    ):
        _use(broker)
        browser.show(1280, 800)
        browser.open(broker.control_url + "/page/")
        _wait(browser)
        (DOCS / "page-light.png").write_bytes(browser.picture())
        browser.show(390, 780, dark=True)
        browser.open(broker.control_url + "/page/")
        _wait(browser)
        (DOCS / "page-dark-phone.png").write_bytes(browser.picture())


def _wait(browser: Browser) -> None:
    """Wait until the page shows what the broker has."""
    browser.until("document.getElementById('link').dataset.state === 'open'")
    browser.until("document.querySelectorAll('.token').length === 3")


def _use(broker: Broker) -> None:
    """Use the broker as a client with some mistakes does."""
    broker.api.route("GET", "/vehicle/{id}", json={})
    token = _token(broker, (CLIENT.client_id, CLIENT.client_secret))
    _vehicle(broker, token, "vehicle/1")
    _token(broker, (CLIENT.client_id, "an old secret"))
    broker.clock.advance(2400)
    token = _token(broker, (CLIENT.client_id, CLIENT.client_secret))
    _vehicle(broker, token, "vehicles/1")
    broker.revoke_token(token)
    broker.clock.advance(900)
    _vehicle(broker, _token(broker, (CLIENT.client_id, CLIENT.client_secret)), "vehicle/1")


def _token(broker: Broker, pair: tuple[str, str]) -> str:
    answer = requests.post(broker.token_url, GRANT, auth=pair, timeout=TIMEOUT_SECONDS)
    return str(answer.json().get("access_token"))


def _vehicle(broker: Broker, token: str, path: str) -> None:
    fields = {"Authorization": f"Bearer {token}"}
    requests.get(f"{broker.api_url}/{path}", headers=fields, timeout=TIMEOUT_SECONDS)


if __name__ == "__main__":
    main()
