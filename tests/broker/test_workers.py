"""Several processes that serve one broker: `serve --workers`, gunicorn and waitress."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import requests
from werkzeug.test import Client

from mockbroker import Broker, Fault, wsgi
from mockbroker.cli.serve_options import ServeSettings
from mockbroker.cli.workers import serve_by_workers
from mockbroker.server.ports import listen_at
from tests.broker.programs import end, run, serving, token_url
from tests.broker.stores import REDIS
from tests.broker.waiting import LIMIT_SECONDS, becomes
from tests.redis_server import redis_running

STORES = (REDIS,)
SHOP = ("shop", "s3cr:et")
CLIENT = ("--client", ":".join(SHOP))
GRANT = {"grant_type": "client_credentials"}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")


def ask(url: str) -> requests.Response:
    """A token request on a connection of its own."""
    return requests.post(url, data=GRANT, auth=SHOP, timeout=30)


def call(url: str, token: str) -> int:
    api_url = url.replace("/auth-broker/request-token", "/v2/vehicle/1")
    return requests.get(
        api_url, headers={"Authorization": f"Bearer {token}"}, timeout=30
    ).status_code


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(number) for number in children.read_text().split()]


def test_two_workers_serve_one_broker(new_url, tmp_path):
    url, file = new_url(), tmp_path / "journal.jsonl"
    options = (*CLIENT, "--state", url, "--workers", "2", "--journal", str(file))
    with serving(*options) as (process, banner):
        assert len(workers_of(process)) == 2
        tokens = [ask(token_url(banner)).json()["access_token"] for _ in range(4)]
        # So many connections that both workers get some of them.
        statuses = [call(token_url(banner), tokens[n % 4]) for n in range(20)]
        assert statuses == [200] * 20
        test = Broker(state=url)
        assert [e.number for e in test.journal] == list(range(1, 25))
        test.script(Fault.status(503).times(5))
        statuses = [ask(token_url(banner)).status_code for _ in range(8)]
        assert statuses == [503] * 5 + [200] * 3
        test.revoke_tokens()
        assert {call(token_url(banner), tokens[0]) for _ in range(10)} == {401}
        end(process)
    assert process.returncode == 0
    assert len(file.read_text().splitlines()) == 42


def test_every_request_is_logged_once_and_counted_at_the_end(new_url):
    options = ("--host", "0.0.0.0", "--state", new_url(), "--workers", "2")  # noqa: S104
    with serving(*CLIENT, *options) as (process, banner):
        for _ in range(6):
            ask(token_url(banner))
        process.send_signal(signal.SIGINT)
        log, errors = process.communicate(timeout=60)
    assert log.count("POST /auth-broker/request-token 200") == 6
    assert log.splitlines()[-1] == "stopped after 6 requests"
    assert process.returncode == 0
    assert errors.startswith("mockbroker: --host 0.0.0.0 is not a loopback address")
    assert len(errors.splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="children are listed in /proc")
def test_a_worker_that_is_killed_is_replaced_and_loses_no_token(new_url):
    with serving(*CLIENT, "--state", new_url(), "--workers", "2") as (process, banner):
        token = ask(token_url(banner)).json()["access_token"]
        for number in workers_of(process):
            os.kill(number, signal.SIGKILL)
            assert process.stderr is not None
            assert "ended by itself (signal 9)" in process.stderr.readline()
        assert becomes(lambda: answers(token_url(banner)))
        assert call(token_url(banner), token) == 200


def test_a_worker_that_cannot_start_ends_the_command(new_url):
    code = (
        "from mockbroker.server.listener import Server; Server.mount = None\n"
        "from mockbroker.__main__ import main; main()"
    )
    options = ("serve", "--port", "0", "--state", new_url(), "--workers", "2")
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert "TypeError" in done.stderr
    assert done.stderr.endswith("mockbroker: a worker could not start; its own message says why\n")


def test_a_system_that_cannot_fork_is_named_with_what_to_do_there(monkeypatch):
    monkeypatch.delattr(os, "fork")
    settings = ServeSettings(
        host="127.0.0.1",
        port=0,
        clients=(),
        expires_in=None,
        profile="autograb",
        lenient=False,
        tls=False,
        journal=None,
        config=None,
        state="redis://127.0.0.1",
        workers=2,
    )
    with pytest.raises(click.UsageError, match="elsewhere start several servers of mockbroker"):
        serve_by_workers(settings, None)


@pytest.mark.skipif(sys.platform != "linux", reason="children are listed in /proc")
def test_workers_end_with_the_first_process_even_if_it_is_killed(new_url):
    with serving(*CLIENT, "--state", new_url(), "--workers", "2") as (process, _):
        workers = workers_of(process)
        process.kill()
        process.wait()
        assert workers
        assert becomes(lambda: not any(Path(f"/proc/{n}/exe").exists() for n in workers))


def test_the_port_of_another_broker_cannot_be_shared(new_url):
    with serving(*CLIENT, "--state", new_url(), "--workers", "2") as (_, banner):
        port = token_url(banner).split(":")[2].split("/")[0]
        for more in ((), ("--state", new_url(), "--workers", "2")):
            done = run("serve", "--port", port, *more)
            assert done.returncode == 4
            assert f"cannot listen on 127.0.0.1, port {port}" in done.stderr


def test_workers_without_a_shared_state_are_a_usage_error():
    done = run("serve", "--workers", "2")
    assert done.returncode == 4
    assert done.stderr == (
        "mockbroker: --workers 2 needs a Redis in which the processes share tokens and clients: "
        "add --state redis://HOST:PORT/0\n"
    )


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_redis_that_cannot_be_reached_at_the_start_is_one_sentence(workers):
    with listen_at("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    url = f"redis://user:pa55word@127.0.0.1:{port}/0"
    done = run("serve", "--workers", workers, MOCKBROKER_STATE=url)
    assert (done.returncode, done.stdout) == (4, "")
    (line,) = done.stderr.splitlines()
    assert f"the state at redis://user:***@127.0.0.1:{port}/0 is unavailable" in line


def test_workers_have_the_files_of_one_broker(new_url, tmp_path):
    ready_file = tmp_path / "ready"
    options = (*CLIENT, "--state", new_url(), "--workers", "2", "--ready-file", str(ready_file))
    with serving(*options) as (process, _):
        assert ready_file.read_text(encoding="utf-8") == f"{process.pid}\n"
        process.terminate()
        assert process.wait(10) == 0
    assert not ready_file.exists()


def test_workers_end_if_a_file_cannot_be_written(new_url):
    options = (*CLIENT, "--state", new_url(), "--workers", "2", "--ready-file", "/nowhere/ready")
    # It reads the output to its end, which comes once the workers have ended as well.
    done = run("serve", "--port", "0", *options)
    assert done.returncode == 4
    assert "--ready-file /nowhere/ready: No such file" in done.stderr


def test_a_malformed_state_is_a_usage_error():
    done = run("serve", "--state", "http://127.0.0.1")
    assert done.returncode == 4
    assert "the state's URL must be like redis://" in done.stderr


def test_a_state_that_was_there_before_keeps_its_secrets(new_url):
    url = new_url()
    with serving(*CLIENT, "--state", url) as (_, banner):
        assert ask(token_url(banner)).status_code == 200
    with serving("--client", "shop:other", "--client", "more:x", "--state", url) as (
        process,
        again,
    ):
        assert ask(token_url(again)).status_code == 200
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert "client shop has another secret in the shared state, which counts" in errors
    assert "more" in again


def test_workers_survive_a_kill_of_redis(tmp_path):
    with (
        redis_running(tmp_path) as server,
        serving(*CLIENT, "--state", server.new_url(), "--workers", "2") as (process, banner),
    ):
        assert ask(token_url(banner)).status_code == 200
        server.kill()
        assert {ask(token_url(banner)).status_code for _ in range(6)} == {503}
        origin = token_url(banner).removesuffix("/auth-broker/request-token")
        control = requests.get(f"{origin}/__mockbroker__/clients", timeout=30)
        assert (control.status_code, control.json()["error"]) == (503, "unavailable")
        server.start()
        assert {ask(token_url(banner)).status_code for _ in range(6)} == {200}
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert errors.count("token: answered 503: the state at redis://127.0.0.1:") == 6


def test_the_end_without_redis_says_so(tmp_path):
    with (
        redis_running(tmp_path) as server,
        serving(*CLIENT, "--state", server.new_url(), "--workers", "2") as (process, _),
    ):
        server.kill()
        process.terminate()
        log, _ = process.communicate(timeout=60)
    assert log.splitlines()[-1].startswith("stopped; the state at redis://127.0.0.1:")


def answers(url: str, *, verify: str | bool = True) -> bool:
    """Whether a server answers a token request with 200; not while it starts or refuses."""
    with contextlib.suppress(requests.ConnectionError, requests.Timeout):
        done = requests.post(url, data=GRANT, auth=SHOP, timeout=30, verify=verify)
        return done.status_code == 200
    return False


@contextlib.contextmanager
def wsgi_server(module: str, *options: str, **variables: str) -> Iterator[str]:
    """A WSGI server as a process of its own that serves the application; its token URL."""
    with listen_at("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    address = {"gunicorn": ("--bind", f"127.0.0.1:{port}"), "waitress": ("--port", str(port))}
    command = [sys.executable, "-m", module, *address[module], *options, "mockbroker.wsgi:app"]
    with subprocess.Popen(  # noqa: S603 - a server from our own environment
        command, env=os.environ | variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until = time.monotonic() + LIMIT_SECONDS
            while not listens(port):
                assert process.poll() is None
                assert time.monotonic() < until
            yield f"http://127.0.0.1:{port}/auth-broker/request-token"
        finally:
            process.terminate()


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    "preload",
    [(), pytest.param(("--preload",), marks=pytest.mark.slow)],
    ids=["loaded by each", "loaded before the fork"],
)
def test_gunicorn_serves_the_application_with_several_processes(new_url, preload):
    url = new_url()
    variables = {"MOCKBROKER_STATE": url, "MOCKBROKER_CLIENTS": ":".join(SHOP) + " other:x"}
    with wsgi_server("gunicorn", "--workers", "2", *preload, **variables) as served:
        token = ask(served).json()["access_token"]
        assert [call(served, token) for _ in range(12)] == [200] * 12
        test = Broker(state=url)
        test.clock.advance(4000)
        assert [call(served, token) for _ in range(12)] == [401] * 12
        assert len(test.journal) == 25
        assert [c.client_id for c in test.registered] == ["shop", "other"]


@pytest.mark.slow
def test_gunicorn_without_a_shared_state_is_an_error_that_says_what_to_set():
    variables = {"MOCKBROKER_CLIENTS": ":".join(SHOP)}
    with wsgi_server("gunicorn", "--workers", "2", **variables) as served:
        answer = ask(served)
        assert answer.status_code == 503
        assert "set MOCKBROKER_STATE" in answer.json()["error_description"]


def test_the_application_without_a_shared_state_serves_one_process_only():
    client = Client(wsgi.app)
    assert client.get("/v2/x").status_code == 401
    refused = client.get("/v2/x", environ_overrides={"wsgi.multiprocess": True})
    assert refused.status_code == 503
    assert "set MOCKBROKER_STATE" in refused.json["error_description"]


def test_waitress_serves_the_application_with_its_settings(tmp_path):
    journal = tmp_path / "journal.jsonl"
    variables = {
        "MOCKBROKER_CLIENTS": ":".join(SHOP),
        "MOCKBROKER_EXPIRES_IN": "60",
        "MOCKBROKER_PROFILE": "rfc6749",
        "MOCKBROKER_LENIENT": "1",
        "MOCKBROKER_JOURNAL": str(journal),
    }
    with wsgi_server("waitress", **variables) as served:
        url = served.replace("/auth-broker/request-token", "/token")
        assert ask(url).json()["expires_in"] == 60
        assert requests.post(url, data=GRANT, timeout=30).status_code == 200
        assert len(journal.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"MOCKBROKER_STATE": "http://x"}, "the state's URL"),
        ({"MOCKBROKER_CLIENTS": "shop"}, "ID:SECRET"),
    ],
)
def test_the_application_with_an_invalid_setting_says_so_and_ends(variables, message):
    done = subprocess.run(
        [sys.executable, "-c", "import mockbroker.wsgi"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_application_prints_random_credentials():
    done = subprocess.run(
        [sys.executable, "-c", "import mockbroker.wsgi"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("mockbroker: client_id client-")


@pytest.mark.slow
def test_workers_speak_tls_and_refuse_connections_together(new_url):
    url = new_url()
    with serving(*CLIENT, "--state", url, "--workers", "2", "--tls") as (_, banner):
        address = token_url(banner)
        ca_file = banner.partition("  CA ")[2].split()[0]
        assert address.startswith("https://")
        assert answers(address, verify=ca_file)
        test = Broker(state=url)
        test.script(Fault.refuse())
        port = int(address.split(":")[2].split("/")[0])
        assert becomes(lambda: not listens(port))
        test.clear_scripts()
        # Each worker notices it by itself.
        assert becomes(lambda: listens(port))
        assert {answers(address, verify=ca_file) for _ in range(8)} == {True}
