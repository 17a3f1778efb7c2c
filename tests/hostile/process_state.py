"""Clients that change the process they live in, as a client may."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import io
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import freezegun
import requests

from examples.model_client import TokenManager
from examples.model_client import make_client as make_model
from tests.hostile.kinds import FEW_USES, doing, sound


@sound
def changes_directory(config):
    return doing(lambda: os.chdir("/"), config)


@sound
def removes_its_directory(config):
    def remove():
        with contextlib.suppress(FileNotFoundError):  # it has, before
            shutil.rmtree(os.getcwd(), ignore_errors=True)

    return doing(remove, config, every=FEW_USES)


@sound
def removes_its_temporary_folder(config):
    return doing(
        lambda: shutil.rmtree(tempfile.gettempdir(), ignore_errors=True), config, every=FEW_USES
    )


@sound
def clears_the_environment(config):
    def clear():
        os.environ.clear()
        os.environ["NO_PROXY"] = "*"

    return doing(clear, config)


@sound
def changes_the_umask(config):
    return doing(lambda: os.umask(0o777), config)


@sound
def lowers_the_recursion_limit(config):
    def lower():
        with contextlib.suppress(RecursionError):
            sys.setrecursionlimit(150)

    return doing(lower, config, every=FEW_USES)


@sound
def handles_signals(config):
    def handle():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        signal.alarm(1)

    return doing(handle, config)


@sound
def sets_a_default_timeout(config):
    return doing(lambda: socket.setdefaulttimeout(3), config)


@sound
def replaces_its_output(config):
    def replace():
        sys.stdout, sys.stderr = io.StringIO(), None

    return doing(replace, config)


@sound
def closes_its_output(config):
    def close():
        for stream in (sys.stdout, sys.stderr):
            stream.close()

    return doing(close, config)


def _without_connections(config: Any) -> Any:
    """The model client, which keeps no connection that it could close by its number."""
    client = make_model(config)
    for session in (client._session, client.tokens._session):
        session.headers["Connection"] = "close"
    return client


@sound
def closes_descriptors(config):
    client = _without_connections(config)
    return doing(lambda: os.closerange(3, 4096), config, client=client)


@sound
def closes_descriptors_in_a_thread(config):
    def close_meanwhile():
        thread = threading.Thread(target=os.closerange, args=(3, 4096))
        thread.start()
        thread.join()

    return doing(close_meanwhile, config, client=_without_connections(config))


@sound
def leaves_deep_folders(config):
    make = "import os\nfor _ in range(1100): os.mkdir('x' * 20); os.chdir('x' * 20)"
    command = [sys.executable, "-c", make]
    return doing(lambda: subprocess.run(command, check=False), config, every=5 * FEW_USES)


@sound
def replaces_its_home_by_a_file(config):
    def replace():
        home = os.environ["HOME"]
        shutil.rmtree(home, ignore_errors=True)
        with contextlib.suppress(OSError), open(home, "x"):
            pass

    return doing(replace, config, every=FEW_USES)


@sound
def pretends_to_be_another_process(config):
    def pretend():
        os.getpid = lambda: 1
        os._exit = None

    return doing(pretend, config, every=FEW_USES)


class _NeverFlushes:
    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        threading.Event().wait()


@sound
def replaces_its_output_by_one_that_hangs(config):
    def replace():
        sys.stdout = _NeverFlushes()

    return doing(replace, config, every=FEW_USES)


@sound
def freezes_time_itself(config):
    def freeze():
        with freezegun.freeze_time("2020-01-01"):
            time.time()

    return doing(freeze, config)


@sound
def raises_warnings_as_errors(config):
    return doing(lambda: warnings.simplefilter("error"), config)


@sound
def disables_logging(config):
    return doing(lambda: logging.disable(logging.CRITICAL), config)


@sound
def replaces_json(config):
    def replace():
        json.dumps = json.loads = None

    client = doing(replace, config)
    client.tokens._read_token = _reading(client.tokens)
    return client


def _reading(manager: TokenManager) -> Any:
    _read_token, dumps, loads = manager._read_token, json.dumps, json.loads

    def read(*arguments: Any) -> Any:
        json.dumps, json.loads = dumps or _DUMPS, loads or _LOADS
        return _read_token(*arguments)

    return read


_DUMPS, _LOADS = json.dumps, json.loads


@sound
def changes_garbage_collection(config):
    def change():
        gc.disable()
        gc.freeze()

    return doing(change, config)


@sound
def traces_itself(config):
    def trace():
        sys.settrace(lambda *_: None)
        threading.settrace(lambda *_: None)

    return doing(trace, config)


@sound
def hangs_at_exit(config):
    return doing(lambda: atexit.register(threading.Event().wait), config, every=FEW_USES)


@sound
def floods_its_output(config):
    return doing(lambda: sys.stderr.write("x" * 1_000_000), config)


@sound
def writes_control_characters(config):
    words = b"\x1b[2J\x1b]0;title\x07\n::error::pwned\n\x00\xff\xfe\n"
    return doing(lambda: os.write(1, words), config)


@sound
def raises_in_close(config):
    client = make_model(config)

    def close():
        raise RuntimeError("no close")

    client.close = close
    return client


@sound
def has_a_close_that_cannot_be_read(config):
    client = make_model(config)

    class Client(type(client)):  # type: ignore[misc]
        @property
        def close(self) -> None:
            raise RuntimeError("no close")

    client.__class__ = Client
    return client


@sound
def hangs_in_close(config):
    client = make_model(config)
    client.close = threading.Event().wait
    return client


@sound
def leaks_sessions(config):
    client = make_model(config)
    send = client.tokens._send_token_request
    kept = []

    def send_by_another_session():
        kept.append(client.tokens._session)
        client.tokens._session = requests.Session()
        client.tokens._session.auth = lambda request: request
        return send()

    client.tokens._send_token_request = send_by_another_session
    _LEAKED.append(kept)
    return client


_LEAKED: list[Any] = []


@sound
def goes_down_a_thousand_folders(config):
    def go():
        for _ in range(1000):
            Path("x" * 50).mkdir(exist_ok=True)
            os.chdir("x" * 50)

    return doing(go, config, every=10 * FEW_USES)


@sound
def takes_a_while_to_close(config):
    client = make_model(config)

    async def close() -> None:
        await asyncio.sleep(1)

    client.close = close
    return client


@sound
def never_ends_when_it_is_forgotten(config):
    client = make_model(config)

    class Client(type(client)):  # type: ignore[misc]
        def __del__(self) -> None:
            threading.Event().wait()

    client.__class__ = Client
    return client


@sound
def travels_in_time(config):
    import time_machine

    def travel():
        with time_machine.travel(0, tick=False):
            time.time()

    return doing(travel, config)
