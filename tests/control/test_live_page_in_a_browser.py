"""The live page in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests

from evidence.browser import CHROMIUM, Browser, browsing
from mockbroker import Broker, Fault
from tests.control.conftest import GRANT, SHOP, Caller

pytestmark = [
    pytest.mark.slow,
    pytest.mark.short_proof,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

LIVE = "document.getElementById('link').dataset.state === 'open'"
ROWS = "document.querySelectorAll('#exchanges > li').length"
HOSTILE = "<img src=x onerror=\"document.title='hit'\"><script>document.title='hit'</script>"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def page(chromium, control) -> Browser:
    return opened(chromium, control.broker)


def opened(browser: Browser, broker: Broker, **size) -> Browser:
    # The page of the test before may still try to reach its broker.
    browser.open("about:blank")
    browser.until("location.href === 'about:blank'")
    browser.problems.clear()
    browser.show(size.pop("width", 1200), size.pop("height", 900), **size)
    browser.open(broker.control_url.removesuffix("__mockbroker__"))
    browser.until(LIVE)
    return browser


def text(page: Browser, selector: str) -> str:
    return page.eval(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")


def click(page: Browser, selector: str) -> None:
    page.eval(f"document.querySelector({json.dumps(selector)}).click()")


def test_exchanges_appear_with_hints_and_near_misses(page, control):
    value = control.token()
    control.broker.api.route("GET", "/vehicle/{id}", json={})
    control.token_answer(auth=("shop", "another"))
    url = f"{control.broker.api_url}/vehicles/1"
    control.session.get(url, headers={"Authorization": f"Bearer {value}"}, timeout=10)
    page.until(f"{ROWS} === 3")
    assert "the closest is GET /vehicle/{id}" in text(page, "#exchanges > li")
    assert "Hint: the client_id 'shop' is registered" in text(page, "#exchanges > li:nth-child(2)")
    assert page.until("document.getElementById('heard').textContent").startswith("3 new exchanges")
    click(page, "#exchanges > li:nth-child(2) summary")
    page.until("document.querySelector('#exchanges pre')")
    assert "POST /auth-broker/request-token" in text(page, "#exchanges pre")
    everything = page.eval("document.documentElement.outerHTML")
    assert value not in everything
    assert SHOP.client_secret not in everything
    click(page, "#problems")
    assert page.eval("document.querySelector('#exchanges > li:last-child').offsetHeight") == 0
    assert page.problems == []


def test_a_request_is_found_or_the_closest_ones(page, control):
    control.token()
    page.until(f"{ROWS} === 1")
    click(page, "#find summary")
    page.eval("document.getElementById('find-method').focus()")
    page.type("post")
    page.press("Enter", "\r")
    page.until("document.getElementById('found').innerText.includes('Yes, 1 exchange: #1')")
    page.eval("document.getElementById('find-status').focus()")
    page.type("503")
    page.press("Enter", "\r")
    page.until("document.getElementById('found').innerText.includes('the status is 200, not 503')")


def test_the_buttons_move_time_end_tokens_and_script_faults(page, control):
    values = [control.token() for _ in range(3)]
    page.until("document.querySelectorAll('.token[data-state=valid]').length === 3")
    before = control.broker.clock.now()
    click(page, "[data-act=minute]")
    page.until("document.getElementById('ahead').innerText.includes('1 min')")
    assert 60 <= control.broker.clock.now() - before < 120
    left = int(text(page, ".token .left").partition(" ")[0])
    assert 3400 < left <= control.broker.expires_in - 60
    click(page, "[aria-label='Revoke token 1']")
    page.until("document.querySelector('.token:nth-child(3)').dataset.state === 'revoked'")
    click(page, "[aria-label='Expire token 2']")
    page.until("document.querySelector('.token:nth-child(2)').dataset.state === 'expired'")
    states = [control.broker.find_token(value)[1].value for value in values]
    assert states == ["revoked", "expired", "valid"]
    click(page, "[data-act=token-503]")
    page.until("document.getElementById('faults').innerText.includes('status 503')")
    assert control.token_answer().status_code == 503
    page.until("document.getElementById('faults').innerText === ''")
    click(page, "[data-act=api-503]")
    page.until("document.getElementById('faults').innerText.includes('API')")
    assert control.vehicle(values[2]).status_code == 503
    click(page, "[data-act=hour]")
    page.until("document.querySelectorAll('.token[data-state=valid]').length === 0")
    click(page, "[data-act=reset]")
    page.until("document.querySelectorAll('.token, .exchange').length === 0")
    assert control.done("GET", "/")["exchange_count"] == 0
    assert page.problems == []


def test_a_token_expires_on_the_page_by_the_brokers_clock(page, control):
    control.broker.expires_in = 2
    control.token()
    page.until("document.querySelector('.token[data-state=expired]')")
    assert text(page, ".token .left") == "expired"


def test_the_page_can_be_used_by_keyboard_only(page, control):
    control.token()
    page.until("document.querySelector('.token')")
    order = []
    for _ in range(14):
        page.press("Tab")
        order.append(
            page.eval("(({ariaLabel: a, innerText: t}) => a ?? t)(document.activeElement)")
        )
    assert order[:3] == ["Skip to the exchanges", "+1 min", "+1 h"]
    assert order[3:5] == ["Next token answer 503", "Next API answer 503"]
    assert order[5:9] == ["Clear faults", "Reset broker", "Revoke token 1", "Expire token 1"]
    assert order[9:11] == ["Revoke all", "Expire all"]
    assert page.eval("document.querySelectorAll(':focus-visible').length") == 1
    page.eval("document.querySelector('[aria-label=\"Revoke token 1\"]').focus()")
    page.press("Enter", "\r")
    page.until("document.querySelector('.token').dataset.state === 'revoked'")
    # The button does nothing any more, but keeps the focus.
    assert page.eval("document.activeElement.ariaLabel") == "Revoke token 1"
    assert page.until("document.getElementById('said').innerText") == "Token 1 revoked."
    assert page.eval(UNNAMED) == []


UNNAMED = """[...document.querySelectorAll('button, input, select')]
  .filter((e) => !e.labels?.length && !e.textContent && !e.ariaLabel).map((e) => e.id)"""
SMALL = """[...document.querySelectorAll('button')]
  .filter((e) => e.checkVisibility() && e.offsetHeight < 32).map((e) => e.innerText)"""
CONTRAST = """(() => {
  const parts = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parts(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest('[aria-disabled=true]')) continue;
    const both = [light(parts(getComputedStyle(e).color)), light(ground(e))];
    const [a, b] = both.sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${e.tagName}.${e.className} ${ratio.toFixed(2)}`);
  }
  return low;
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_everything_without_scrolling_sideways(chromium, control, dark):
    control.broker.script(Fault.status(503))
    control.token_answer()
    control.token_answer(auth=("shop" * 60, "wrong"))
    control.broker.revoke_token(control.token())
    control.session.get(f"{control.broker.api_url}/{'x' * 3000}", timeout=10)
    page = opened(chromium, control.broker, width=360, height=700, dark=dark)
    page.until(f"{ROWS} === 4 && document.querySelectorAll('.token').length === 1")
    page.eval("document.querySelectorAll('details').forEach((d) => d.open = true)")
    page.until("document.querySelectorAll('#exchanges pre').length >= 4")
    for width in (360, 320):
        page.show(width, 700, dark=dark)
        assert page.eval("document.documentElement.scrollWidth") <= width
    assert page.eval(SMALL) == []
    ground = page.eval("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(15, 19, 25)" if dark else "rgb(244, 246, 249)")
    assert page.eval(CONTRAST) == []


def test_what_clients_send_is_text_and_never_markup(chromium, control):
    broker = control.broker
    broker.register(HOSTILE, "secret")
    control.token_answer(auth=(HOSTILE.replace(":", ""), "secret"))
    fields = {"User-Agent": HOSTILE, "Content-Type": "text/html"}
    requests.post(f"{broker.api_url}/{HOSTILE}", HOSTILE.encode(), headers=fields, timeout=10)
    body = b"\xff\xfe\x00client_id=\xe2\x80\xae\x1b[31m"
    requests.post(broker.token_url, body, auth=("a\u202eb".encode(), b"\xff"), timeout=10)
    page = opened(chromium, broker)
    page.until(f"{ROWS} === 3")
    page.eval("document.querySelectorAll('details').forEach((d) => d.open = true)")
    page.until("document.querySelectorAll('#exchanges pre').length === 6")
    assert "<script>" in text(page, "#exchanges")
    assert "\u202e" not in page.eval("document.body.textContent")
    assert page.eval("document.title") == "mockbroker"
    assert page.eval("document.querySelectorAll('#main img, #main script').length") == 0
    assert page.problems == []


def test_a_flood_of_exchanges_is_shown_in_part(page, control):
    with requests.Session() as session:
        for _ in range(700):
            session.post(control.broker.token_url, GRANT, auth=("a", "b"), timeout=10)
    page.until("document.getElementById('exchanges-count').innerText === '700'")
    page.until(f"{ROWS} === 200")
    assert text(page, "#exchanges-more") == "500 earlier exchanges not shown."
    assert text(page, "#exchanges > li .facts") == "#700"


def test_the_settings_to_copy(page, control):
    page.until("document.getElementById('setup-text').innerText.includes('***')")
    assert SHOP.client_secret not in page.eval("document.body.innerText")
    click(page, "input[value=toml]")
    page.until("document.getElementById('setup-text').innerText.startsWith('[oauth]')")
    click(page, "#setup-secret")
    page.until(f"document.getElementById('setup-text').innerText.includes('{SHOP.client_secret}')")
    control.broker.register("second", "other")
    page.until("document.getElementById('setup-client').options.length === 2")


def test_the_page_says_when_the_broker_stops_and_connects_again(chromium):
    with Broker(credentials=SHOP).running() as broker:
        port = int(broker.control_url.split(":")[2].partition("/")[0])
        Caller(broker).token()
        page = opened(chromium, broker)
        page.until(f"{ROWS} === 1")
    page.until("document.getElementById('link').dataset.state === 'lost'")
    assert "The broker" in text(page, "#alarm")
    page.eval("document.querySelector('[data-act=minute]').click()")
    page.until("document.getElementById('said').innerText === 'The broker does not answer.'")
    with Broker(credentials=SHOP).running(port=port):
        page.until(LIVE)
        page.until(f"{ROWS} === 0")
        assert text(page, "#alarm") == ""


def test_the_page_asks_for_the_control_token(chromium):
    with Broker(credentials=SHOP).running(control_token="a-long-token") as broker:
        chromium.problems.clear()
        chromium.open(broker.control_url.removesuffix("__mockbroker__"))
        chromium.until("document.activeElement.id === 'token'")
        assert chromium.eval("document.getElementById('main').hidden")
        chromium.type("é")
        chromium.press("Enter", "\r")
        chromium.until("document.getElementById('ask-why').innerText.includes('ASCII')")
        chromium.eval("document.getElementById('token').value = ''")
        chromium.type("another-token")
        chromium.press("Enter", "\r")
        chromium.until("document.getElementById('ask-why').innerText.includes('another token')")
        chromium.type("a-long-token")
        chromium.press("Enter", "\r")
        chromium.until(LIVE)
        chromium.open(broker.control_url.removesuffix("__mockbroker__"))
        chromium.until(LIVE)
