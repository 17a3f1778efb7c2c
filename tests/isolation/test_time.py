"""Frozen time, sleep and time zone of a host, in this process, and undone afterwards."""

from __future__ import annotations

import datetime
import os
import sys
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import freezegun.api
import pytest

from mockbroker_contract.drivers.host.clock import HostClock
from mockbroker_contract.isolation.frozen_time import FrozenTime
from mockbroker_contract.isolation.sleep import MovingSleep
from mockbroker_contract.isolation.time_zone import UTC, TimeZone
from mockbroker_contract.timing.shared_clock import SharedClock

START = 1_920_000_000  # 2030-11-04, soon after the clocks went back in Chicago
SUMMER = 1_910_000_000
NY = "EST5EDT,M3.2.0,M11.1.0"  # a rule that needs no zone database


class Moment:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = float(START)

    def microseconds(self) -> int:
        return round(self.seconds * 1e6)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def moment() -> Moment:
    return Moment()


@pytest.fixture
def frozen(moment: Moment) -> Iterator[FrozenTime]:
    frozen = FrozenTime(moment.microseconds)
    frozen.freeze()
    yield frozen
    frozen.use_utc()
    frozen.thaw()


@pytest.fixture
def zone() -> Iterator[TimeZone]:
    zone = TimeZone()
    yield zone
    zone.restore()


def imported_later(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "client"}
    exec(source, names)
    return names


def test_time_follows_the_clock_also_where_it_is_imported_later(frozen, moment):
    now = imported_later("from time import time")["time"]
    assert (time.time(), now()) == (START, START)
    moment.advance(0.25)
    assert (time.time(), now()) == (START + 0.25, START + 0.25)


def test_a_thread_has_frozen_time_too(frozen):
    read: list[float] = []
    thread = threading.Thread(target=lambda: read.append(time.time()))
    thread.start()
    thread.join()
    assert read == [START]


def test_thawed_time_is_the_machines_and_can_be_frozen_again(frozen, moment):
    limit = freezegun.api.call_stack_inspection_limit
    frozen.thaw()
    assert not frozen.is_frozen
    assert time.time() != START
    assert freezegun.api.call_stack_inspection_limit != limit
    frozen.freeze()
    moment.advance(1)
    assert time.time() == START + 1


@pytest.mark.parametrize(("seconds", "hours"), [(START, -5), (SUMMER, -4)])
def test_local_times_have_the_offset_of_their_season(frozen, moment, zone, seconds, hours):
    moment.seconds = seconds
    zone.set(NY)
    frozen.use_local_zone()
    utc = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).replace(tzinfo=None)
    local = utc + datetime.timedelta(hours=hours)
    assert datetime.datetime.now() == local
    assert datetime.date.today() == local.date()
    assert datetime.datetime.now(datetime.timezone.utc).timestamp() == seconds
    assert datetime.datetime.now().timestamp() == seconds
    assert time.mktime(datetime.datetime.now().timetuple()) == seconds
    frozen.use_utc()
    zone.set(UTC)
    assert datetime.datetime.now() == utc
    assert time.mktime(datetime.datetime.now().timetuple()) == seconds


@pytest.mark.parametrize("original", [None, NY])
def test_the_time_zone_of_the_start_is_restored(monkeypatch, original):
    if original is None:
        monkeypatch.delenv("TZ", raising=False)
    else:
        monkeypatch.setenv("TZ", original)
    time.tzset()
    before = time.tzname
    zone = TimeZone()
    zone.set("XYZ3")
    assert (os.environ["TZ"], time.timezone) == ("XYZ3", 3 * 3600)
    zone.restore()
    assert (os.environ.get("TZ"), time.tzname) == (original, before)
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("machine", ["", "IST-5:30", "PST8"])
def test_a_frozen_host_is_in_utc_wherever_the_machine_is(monkeypatch, tmp_path, machine):
    monkeypatch.setenv("TZ", machine)
    time.tzset()
    before = time.tzname
    clock = HostClock(SharedClock.create(tmp_path / "clock", START))
    clock.freeze()
    for name in (None, NY, None):
        clock.set_zone(name)
        assert datetime.datetime.now().timestamp() == START
        assert time.mktime(datetime.datetime.now().timetuple()) == START
    assert os.environ["TZ"] == UTC
    clock.thaw()
    assert (os.environ["TZ"], time.tzname) == (machine, before)
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def client(monkeypatch) -> Any:
    """A module of a client, which has imported sleep by name."""
    module = ModuleType("client_with_sleep")
    exec("from time import sleep\ndef nap(seconds): sleep(seconds)", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_only_a_thread_in_which_the_client_is_used_moves_the_clock(client, moment):
    operating: set[int] = set()
    sleep = MovingSleep(moment.advance, operating)
    sleep.install()
    try:
        client.nap(0.001)
        client.nap(0)
        assert moment.seconds == START
        operating.add(threading.get_ident())
        client.nap(3600)
        assert moment.seconds == START + 3600
    finally:
        sleep.remove()


def test_modules_with_real_time_sleep_in_real_time(client, moment):
    client.__dict__["__name__"] = "asyncio.of_client"
    sleep = MovingSleep(moment.advance, {threading.get_ident()})
    sleep.install()
    try:
        client.nap(0.011)
        assert moment.seconds == START
    finally:
        sleep.remove()


def test_sleep_is_restored_and_can_be_replaced_again(client, moment):
    original = time.sleep
    sleep = MovingSleep(moment.advance, {threading.get_ident()})
    for number in (1, 2):
        sleep.install()
        client.nap(100)
        sleep.remove()
        assert (time.sleep, client.sleep) == (original, original)
        assert moment.seconds == START + 100 * number
