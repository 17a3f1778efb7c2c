"""A client that waits without an end is recognized early; one that ends its wait is not blamed."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest
import requests

from mockbroker.contract import clauses
from mockbroker.report.finding import Verdict
from mockbroker_contract.drivers import observed_wait
from tests.mutants.kit import verdicts_on

FORM = {"grant_type": "client_credentials"}
# The client ends its wait after the looks at it, and long before the patience of the run ends.
WAIT_SECONDS, PATIENCE_SECONDS = 2.0, 30.0


class TimedOutError(Exception):
    pass


class Client:
    """Fetches a token for each use, and waits without an end."""

    def __init__(self, config):
        self.config = config
        self.pair = (config.client_id, config.client_secret)

    def get_token(self):
        return self.answer().json()["access_token"]

    def answer(self, timeout=None):
        return requests.post(self.config.token_url, FORM, auth=self.pair, timeout=timeout)


class ByHttpx(Client):
    def answer(self):
        return httpx.post(self.config.token_url, data=FORM, auth=self.pair, timeout=None)


class ByAsyncHttpx(Client):
    timeout = None

    async def get_token(self):
        async with httpx.AsyncClient(timeout=self.timeout) as client:
            answer = await client.post(self.config.token_url, data=FORM, auth=self.pair)
            return answer.json()["access_token"]


class InAThreadThatIsJoined(Client):
    def answer(self):
        found = []
        thread = threading.Thread(target=lambda: found.append(Client.answer(self)))
        thread.start()
        thread.join()
        return found[0]


class InHours(Client):
    def answer(self):
        return super().answer(timeout=3600)


class InHoursOfTheLoop(ByAsyncHttpx):
    timeout = 3600


@pytest.fixture(autouse=True)
def _looks_early(monkeypatch):
    monkeypatch.setattr(observed_wait, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(observed_wait, "_SECONDS_TO_SECOND_LOOK", 0.05)


def verdict_on_timeouts(client):
    began = time.monotonic()
    found = verdicts_on(client, only=[clauses.errors.TIMEOUT], patience=PATIENCE_SECONDS)
    assert time.monotonic() - began < PATIENCE_SECONDS
    return found


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (Client, "on a socket without a timeout"),
        (ByHttpx, "on a socket without a timeout"),
        (InAThreadThatIsJoined, "on a socket without a timeout"),
        (InHours, "on a socket with a timeout of 3600 s"),
        (ByAsyncHttpx, "in an event loop that has no timer"),
        (InHoursOfTheLoop, "in an event loop that has its next timer in 3600 s"),
    ],
)
def test_a_wait_without_an_end_is_not_waited_out(client, expected):
    [(verdict, reason)] = verdict_on_timeouts(client).values()
    assert verdict is Verdict.ADVICE
    assert f"the client waits for an answer {expected}, seen after" in reason


class ByTheSocket(Client):
    def answer(self):
        return super().answer(timeout=WAIT_SECONDS)


class ByAnAlarm(Client):
    def answer(self):
        signal.signal(signal.SIGALRM, self.give_up)
        signal.setitimer(signal.ITIMER_REAL, WAIT_SECONDS)
        try:
            return super().answer()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def give_up(self, *_):
        raise TimedOutError


class ByAWatchdog(Client):
    """Closes the connection from a thread."""

    connection = None

    def answer(self):
        address = self.config.token_url.split("/")[2].split(":")
        adapter = requests.adapters.HTTPAdapter()
        with requests.Session() as session:
            session.mount("http://", adapter)
            watchdog = threading.Timer(WAIT_SECONDS, self.give_up, [int(address[1])])
            watchdog.start()
            try:
                return session.post(self.config.token_url, FORM, auth=self.pair)
            finally:
                watchdog.cancel()

    def give_up(self, port):
        for each in gc.get_objects():
            if type(each) is socket.socket and each.fileno() >= 0:
                try:
                    if each.getpeername()[1] == port:
                        each.shutdown(socket.SHUT_RDWR)
                except (OSError, IndexError):
                    pass


class ByTheKernel(Client):
    """Has a timeout that Python does not know."""

    def answer(self):
        seconds = int(WAIT_SECONDS).to_bytes(8, sys.byteorder) + bytes(8)
        option = (socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)

        class Adapter(requests.adapters.HTTPAdapter):
            def init_poolmanager(self, *args, **kwargs):
                super().init_poolmanager(*args, socket_options=[option], **kwargs)

        with requests.Session() as session:
            session.mount("http://", Adapter())
            return session.post(self.config.token_url, FORM, auth=self.pair)


class ByTheLoop(ByAsyncHttpx):
    async def get_token(self):
        return await asyncio.wait_for(super().get_token(), WAIT_SECONDS)


class ByAChild(Client):
    """Has another process end its wait by a signal."""

    def answer(self):
        signal.signal(signal.SIGUSR1, self.give_up)
        code = f"import os,time; time.sleep({WAIT_SECONDS}); os.kill(os.getppid(), 10)"
        with subprocess.Popen([sys.executable, "-S", "-c", code]) as child:  # noqa: S603 - our own program
            try:
                return super().answer()
            finally:
                child.kill()

    def give_up(self, *_):
        raise TimedOutError


@pytest.mark.parametrize(
    "client", [ByTheSocket, ByAnAlarm, ByAWatchdog, ByTheKernel, ByTheLoop, ByAChild]
)
def test_a_client_that_ends_its_wait_is_not_blamed(client):
    assert not verdict_on_timeouts(client)
