"""A test that travels moves the broker and its own process together, and nothing else."""

from __future__ import annotations

import datetime
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import freezegun
import pytest
import requests
import time_machine

from mockbroker import Broker, Clock

HOUR = 3600
UTC = datetime.timezone.utc


@pytest.fixture
def ahead(tmp_path) -> Callable[[], float]:
    """How far the process's time is ahead of that of files, which no library moves."""

    def ahead() -> float:
        (tmp_path / "now").touch()
        return time.time() - (tmp_path / "now").stat().st_mtime

    return ahead


@pytest.fixture(autouse=True)
def present(ahead) -> Iterator[None]:
    """Whatever a test does, the time afterwards is that of the machine."""
    yield
    assert abs(ahead()) < 60
    assert time.time.__module__ == "time"


def now() -> float:
    return datetime.datetime.now(UTC).timestamp()


def is_valid(broker: Broker, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{broker.api_url}/vehicle/7", headers=headers, timeout=5).ok


def get_token(broker: Broker) -> str:
    grant = {"grant_type": "client_credentials"}
    answer = requests.post(broker.token_url, grant, auth=broker.auth, timeout=5)
    return str(answer.json()["access_token"])


def test_the_broker_and_the_process_move_together(broker):
    token, before = get_token(broker), now()
    broker.travel(HOUR - 60)
    assert is_valid(broker, token)
    broker.travel(60)
    assert not is_valid(broker, token)
    assert HOUR <= now() - before < HOUR + 5
    assert abs(broker.clock.now() - time.time()) < 5


def test_time_goes_on_after_a_move(broker):
    broker.travel(HOUR)
    first = time.time()
    while time.time() == first:
        pass
    assert time.time() > first


@pytest.mark.parametrize(
    "stopped",
    [
        lambda: freezegun.freeze_time("2030-01-01"),
        lambda: freezegun.freeze_time("2030-01-01", tick=True),
        lambda: freezegun.freeze_time("2030-01-01", auto_tick_seconds=1),
        lambda: time_machine.travel("2030-01-01", tick=False),
        lambda: time_machine.travel("2030-01-01", tick=True),
    ],
    ids=["frozen", "ticking", "stepping", "time-machine", "time-machine ticking"],
)
def test_a_library_that_is_active_is_moved_and_moved_back(broker, stopped):
    with stopped():
        began = now()
        broker.travel(HOUR)
        broker.travel(0.5)
        assert HOUR + 0.5 <= now() - began < HOUR + 10
        assert HOUR + 0.5 <= broker.clock.now() - began < HOUR + 20
        broker.end_travel()
        assert 0 <= now() - began < 20


def test_a_block_that_ends_before_the_test_takes_its_move_with_it(broker):
    with freezegun.freeze_time("2030-01-01"):
        broker.travel(HOUR)
    broker.end_travel()
    with freezegun.freeze_time("2030-01-01"):
        assert datetime.datetime.now(UTC).hour == 0


def test_a_time_within_another_is_the_one_that_moves(broker):
    with time_machine.travel("2030-01-01", tick=False):
        began = time.time()
        with freezegun.freeze_time("2040-01-01") as inner:
            broker.travel(HOUR)
            assert inner() == datetime.datetime(2040, 1, 1, 1)  # noqa: DTZ001 - freezegun's own
        assert time.time() == began


@pytest.mark.parametrize("end", [Broker.reset, Broker.end_travel])
def test_it_ends_with_the_test(broker, end, ahead):
    broker.travel(HOUR)
    end(broker)
    assert abs(ahead()) < 60


def test_it_ends_with_the_block(ahead):
    with Broker().running() as broker:
        broker.travel(HOUR)
    assert abs(ahead()) < 60


class OwnClock(Clock):
    """A clock of a test's own, which does not follow the process's time."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = 0.0

    def now(self) -> float:
        return self.moved

    def advance(self, seconds: float) -> None:
        self.moved += seconds


def test_a_clock_that_does_not_follow_is_advanced():
    broker = Broker(clock=OwnClock())
    with freezegun.freeze_time("2030-01-01"):
        broker.travel(HOUR)
        broker.end_travel()
    assert broker.clock.now() == HOUR


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "60", True])
def test_seconds_that_are_not_a_duration_are_rejected(broker, seconds):
    with pytest.raises((TypeError, ValueError), match="seconds must be a finite number >= 0"):
        broker.travel(seconds)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ((), "time_machine"),
        (("time_machine",), "freezegun"),
        (("time_machine", "freezegun"), "needs freezegun or time-machine; install one of them"),
    ],
)
def test_the_library_that_is_installed_is_started(missing, expected):
    code = f"""
import sys, time
for name in {missing!r}:
    sys.modules[name] = None
from mockbroker import Broker
broker = Broker()
before = time.time()
try:
    broker.travel(3600)
    assert 3600 <= time.time() - before < 3605
    print([name for name in ("time_machine", "freezegun") if sys.modules.get(name)])
    broker.end_travel()
    assert time.time() - before < 5
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert expected in done.stdout, done.stderr
