"""What a client does to its own process reaches neither its verdict nor the judging process."""

from __future__ import annotations

import importlib.util
import os
import shutil
import threading
from pathlib import Path

import pytest

from mockbroker.contract import clauses
from mockbroker.report.finding import Verdict
from tests.hostile import (
    endings,
    frameworks,
    process_state,
    processes,
    spoilt_processes,
    values,
)
from tests.hostile.kinds import BREAKS_ITS_PROCESS, CRASHES, HANGS, ODD, SOUND
from tests.mutants.kit import verdicts_on
from tests.processes import MARK, left_behind, new_mark

pytestmark = pytest.mark.slow

COVERS = pytest.mark.covers
HERE = Path(__file__).parent
MODULES = (endings, frameworks, process_state, processes, spoilt_processes, values)
CLAUSES = (
    clauses.response.DOCUMENTED,
    clauses.cache.REUSE,
    clauses.refresh.HONOURS_EXPIRES_IN,
    clauses.signing.BEARER,
    clauses.errors.INVALID_CLIENT,
    clauses.secrecy.SECRET,
)
TELLING = {
    "raises_base_exception",
    "raises_cyclic_causes",
    "raises_exits_in_repr",
    "raises_half_a_surrogate",
    "raises_ten_megabytes",
}
NEEDS = {"lives_in_uvloop": "uvloop", "runs_trio": "trio", "travels_in_time": "time_machine"}


def state_of_this_process():
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("PYTEST_")}
    return environment, Path.cwd(), {thread.name for thread in threading.enumerate()}


def place_of(target):
    """A file with a factory, or the factory of that name, as a target that the host can import."""
    if isinstance(target, Path):
        return str(target)
    module = next(module for module in MODULES if hasattr(module, target))
    return f"{module.__file__}:{target}"


@pytest.fixture
def judged(monkeypatch):
    """Judge a client by name; nothing of it may be left, in this process or in any other."""
    mark = new_mark()
    monkeypatch.setenv(MARK, mark)
    before = state_of_this_process()

    def judge(target, only=CLAUSES, deadline=20.0):
        settings = {"examples": 1, "deadline": deadline, "patience": deadline}
        return verdicts_on(place_of(target), only=only, **settings)

    yield judge
    assert not left_behind(mark)
    assert state_of_this_process() == before


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=COVERS if each == "lives_in_uvloop" else ()) for each in SOUND],
)
def test_what_is_sound_is_judged_like_any_other(name, judged):
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    if name == "runs_curl" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    assert judged(name) == {}


@pytest.mark.parametrize("framework", ["gevent", "eventlet"])
def test_green_threads_are_threads(framework, judged):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    chosen = (
        *CLAUSES,
        clauses.cache.THREAD_SAFE,
        clauses.cache.SINGLE_FLIGHT,
        clauses.errors.TIMEOUT,
    )
    assert judged(HERE / f"{framework}_client.py", chosen) == {}


@pytest.mark.parametrize(
    "module", [pytest.param(each, marks=COVERS) for each in ("trio_client", "two_loops_client")]
)
def test_a_client_that_is_written_for_trio_runs_in_trio(module, judged):
    if importlib.util.find_spec("trio") is None:
        pytest.skip("trio is not installed")
    chosen = (
        *CLAUSES,
        clauses.cache.THREAD_SAFE,
        clauses.cache.SINGLE_FLIGHT,
        clauses.errors.TIMEOUT,
    )
    found = judged(HERE / f"{module}.py", chosen)
    assert {name: verdict for name, (verdict, _) in found.items()} == {
        clauses.signing.BEARER: Verdict.NOT_APPLICABLE
    }


@pytest.mark.parametrize("name", CRASHES)
def test_what_ends_its_process_is_a_crash_that_says_how(name, judged):
    found = judged(name)
    verdicts = {verdict for verdict, _ in found.values()}
    assert Verdict.CRASH in verdicts
    assert verdicts <= {Verdict.CRASH, Verdict.NOT_TESTED}
    assert all(
        CRASHES[name][1] in why for verdict, why in found.values() if verdict is Verdict.CRASH
    )


@pytest.mark.parametrize("name", BREAKS_ITS_PROCESS)
def test_what_breaks_its_process_is_a_crash(name, judged):
    found = judged(name, (*CLAUSES, clauses.cache.THREAD_SAFE))
    crashes = [why for verdict, why in found.values() if verdict is Verdict.CRASH]
    assert crashes
    assert all("the client broke its own process" in why for why in crashes)
    assert {verdict for verdict, _ in found.values()} <= {Verdict.CRASH, Verdict.NOT_TESTED}


def test_a_client_that_hangs_again_and_again_is_soon_waited_for_briefly(judged, monkeypatch):
    monkeypatch.setattr("mockbroker_contract.harness.hangs._FULL", 1)
    monkeypatch.setattr("mockbroker_contract.harness.hangs._BRIEF", 1)
    monkeypatch.setattr("mockbroker_contract.harness.hangs._BRIEF_SECONDS", 0.5)
    found = judged("waits", deadline=1.5)
    verdicts = [verdict for verdict, _ in found.values()]
    reasons = " ".join(why for _, why in found.values())
    assert verdicts.count(Verdict.HANG) == 1
    assert "did not return within 0.5 s of real time" in reasons
    assert "it has hung 2 times, at first in" in reasons
    assert "the client has hung 2 times and is not used any more" in reasons


@pytest.mark.parametrize("name", HANGS)
def test_what_does_not_come_back_is_a_hang(name, judged):
    found = judged(name, CLAUSES[:2], deadline=1.5)
    verdicts = {verdict for verdict, _ in found.values()}
    assert Verdict.HANG in verdicts
    assert verdicts <= {Verdict.HANG, Verdict.NOT_TESTED}


@pytest.mark.parametrize(
    "name",
    [
        # One for each way in which an error reaches the judging process is enough every time.
        pytest.param(name, marks=COVERS if name in TELLING else pytest.mark.whole_proof)
        if name.startswith("raises_")
        else name
        for name in ODD
    ],
)
def test_whatever_a_client_returns_or_raises_leads_to_verdicts(name, judged):
    found = judged(name)
    assert set(found) <= set(CLAUSES)
    assert Verdict.ERROR not in {verdict for verdict, _ in found.values()}
