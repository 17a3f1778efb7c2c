"""What `isolation/frozen_time.py` assumes of freezegun, each on the real library."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import freezegun
import freezegun.api
import freezegun.config
import pytest

EARLY, LATE = datetime.datetime(2030, 1, 1), datetime.datetime(2031, 7, 1)
EAST = datetime.timedelta(hours=5)
FREEZEGUN = f"freezegun {version('freezegun')}"


def broken(assumption: str, *, module: str = "frozen_time") -> str:
    return f"{FREEZEGUN} no longer {assumption}; isolation/{module}.py relies on it"


@pytest.fixture
def api() -> Iterator[Any]:
    """freezegun's module while time is frozen."""
    with freezegun.freeze_time(EARLY, ignore=["threading"], real_asyncio=True):
        yield freezegun.api


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that sets how many frames freezegun inspects."""

    def limit(frames: int) -> None:
        monkeypatch.setattr(freezegun.api, "call_stack_inspection_limit", frames)

    return limit


def is_frozen(seconds: float) -> bool:
    return seconds == EARLY.replace(tzinfo=datetime.timezone.utc).timestamp()


def time_in_a_thread() -> float:
    """The time that a thread reads at its beginning, so that `threading` is its caller's caller."""
    read: list[float] = []
    thread = threading.Thread(target=lambda: read.append(time.time()))
    thread.start()
    thread.join()
    return read[0]


def readings() -> dict[str, Any]:
    return {
        "time": time.time(),
        "monotonic": time.monotonic(),
        "monotonic_ns": time.monotonic_ns(),
        "perf_counter": time.perf_counter(),
        "gmtime": time.gmtime(),
        "now": datetime.datetime.now(),
        "utcnow": datetime.datetime.now(datetime.timezone.utc),
        "today": datetime.date.today(),
    }


def test_the_last_factory_is_called_at_each_reading(api):
    assert isinstance(api.freeze_factories, list), broken("has a list freeze_factories")
    before = readings()
    moments = [EARLY]
    api.freeze_factories[-1] = lambda: moments[-1]
    assert readings() == before
    moments.append(LATE)
    after = readings()
    unmoved = [name for name in before if after[name] == before[name]]
    assert unmoved == [], broken(f"calls freeze_factories[-1] at each reading of {unmoved}")


def test_a_factory_may_be_any_function_of_nothing(api):
    calls: list[tuple[Any, ...]] = []

    def factory(*arguments: Any) -> datetime.datetime:
        calls.append(arguments)
        return EARLY

    api.freeze_factories[-1] = factory
    time.time()
    assert set(calls) == {()}, broken("calls a factory without arguments")


def test_the_end_removes_what_the_start_has_added():
    before = len(freezegun.api.freeze_factories), len(freezegun.api.tz_offsets)
    freezer = freezegun.freeze_time(EARLY)
    freezer.start()
    freezegun.api.freeze_factories[-1] = lambda: LATE  # type: ignore[call-overload]
    during = len(freezegun.api.freeze_factories), len(freezegun.api.tz_offsets)
    with contextlib.suppress(ValueError, IndexError):
        freezer.stop()
    after = len(freezegun.api.freeze_factories), len(freezegun.api.tz_offsets)
    assert during == (before[0] + 1, before[1] + 1), broken("adds one factory and one offset")
    assert after == before, broken("removes a factory that was replaced")


def test_the_last_offset_is_added_to_local_times(api):
    assert isinstance(api.tz_offsets, list), broken("has a list tz_offsets")
    assert api.tz_offsets[-1] == datetime.timedelta(0), broken("begins with the offset of UTC")
    before = datetime.datetime.now()
    api.tz_offsets[-1] = EAST
    assert datetime.datetime.now() - before == EAST, broken("adds tz_offsets[-1] in now()")
    moment = datetime.datetime.fromtimestamp(time.time())
    assert moment - before == EAST, broken("adds tz_offsets[-1] in fromtimestamp()")
    assert is_frozen(datetime.datetime.now().timestamp()), broken(
        "subtracts tz_offsets[-1] in timestamp()"
    )


def test_the_offset_is_wrongly_added_to_times_with_a_zone(api):
    api.tz_offsets[-1] = EAST
    error = datetime.datetime.now(datetime.timezone.utc) - EARLY.replace(
        tzinfo=datetime.timezone.utc
    )
    assert error == EAST, broken(
        "adds the offset in now(tz), so that FakeDatetime.now needs no fix"
    )


def test_the_class_has_a_method_now_that_can_be_replaced(api):
    found = api.FakeDatetime.__dict__.get("now")
    assert isinstance(found, classmethod), broken("defines FakeDatetime.now as a class method")
    assert found.__func__(api.FakeDatetime) == EARLY, broken("gives the local time in now()")
    api.tz_offsets[-1] = EAST
    assert api.FakeDatetime._tz_offset() == EAST, broken("has FakeDatetime._tz_offset()")
    assert datetime.datetime is api.FakeDatetime, broken("replaces datetime by FakeDatetime")


def test_the_limit_of_frames_is_read_at_each_reading(api, limit):
    limit(5)
    assert not is_frozen(time_in_a_thread()), broken(
        "exempts what runs within five frames of `threading`, so that no limit is needed"
    )
    limit(1)
    assert is_frozen(time_in_a_thread()), broken(
        "reads call_stack_inspection_limit at each reading of the time"
    )


def test_the_callers_module_is_the_first_frame(api, limit):
    limit(1)
    read = {"__name__": "threading"}
    exec("import time; seconds = time.time()", read)
    assert not is_frozen(read["seconds"]), broken(
        "gives real time to a caller in a module that is to be ignored"
    )


def test_a_prefix_is_enough_for_a_module_to_be_ignored(api, limit):
    limit(1)
    read = {"__name__": "threading.local_part"}
    exec("import time; seconds = time.time()", read)
    assert not is_frozen(read["seconds"]), broken(
        "ignores modules by the beginning of their name", module="real_time_modules"
    )


def test_there_is_a_list_of_modules_that_freezegun_ignores_by_itself():
    names = getattr(freezegun.config, "DEFAULT_IGNORE_LIST", None)
    assert isinstance(names, list), broken("has DEFAULT_IGNORE_LIST", module="real_time_modules")
    assert "threading" in names, broken(
        "ignores threading, whose timeouts are real", module="real_time_modules"
    )
