"""The measured load of a client: exact for sound ones, telling for others, and never a verdict."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path

import pytest

from examples.model_client import TokenError, TokenManager
from mockbroker.model.profile import AUTOGRAB
from mockbroker_contract.drivers.program_driver import ProgramClients
from mockbroker_contract.drivers.python_clients import PythonClients
from mockbroker_contract.harness.daily import measure_day, measure_herd
from mockbroker_contract.harness.leeway import Leeway
from mockbroker_contract.harness.preflight import checked_run
from mockbroker_contract.harness.settings import RunSettings
from mockbroker_contract.timing.run_time import RealTime
from tests.mutants.sound import variants as sound
from tests.mutants.workshop import make

DRIVER = Path(__file__).parents[2] / "examples" / "drivers" / "model_client.py"


@contextlib.contextmanager
def run_of(client, **settings):
    source = client if isinstance(client, ProgramClients) else PythonClients(client)
    with checked_run(source, RunSettings(**settings)) as run, run.frozen_time():
        yield run


def by(cls):
    return lambda config: make(cls, config)


class ReadsMilliseconds(TokenManager):
    def _lifetime_of(self, members):
        return super()._lifetime_of(members) / 1000


class RefreshesEveryTenMinutes(TokenManager):
    def _time_until_refresh(self, lifetime):
        return min(600.0, lifetime)


class FailsAfterThreeRefreshes(TokenManager):
    fetched = 0

    def _fetch_token(self):
        self.fetched += 1
        if self.fetched > 3:
            raise TokenError("no more")
        return super()._fetch_token()


def fixed(seconds):
    return Leeway(seconds, seconds, "fixed")


@pytest.mark.parametrize(
    ("client", "leeway", "measured", "needed"),
    [
        (sound.model, fixed(30.0), 25, 25),
        (sound.generous_leeway, fixed(600.0), 29, 29),
        (sound.without_cache, None, 1441, 25),
        (sound.a_session, fixed(30.0), 25, 25),
        (by(ReadsMilliseconds), None, 1441, 25),
        # Ten minutes without a second are too few for every tenth call.
        (by(RefreshesEveryTenMinutes), None, 144, 25),
    ],
)
def test_a_day_has_as_many_token_requests_as_the_client_sends(client, leeway, measured, needed):
    with run_of(client) as run:
        facts = measure_day(run, leeway)
    assert facts["token_requests_needed_per_day"] == needed
    assert facts["token_requests_per_day"] == pytest.approx(measured, abs=1)


def test_what_is_needed_follows_the_lifetime_of_the_profile():
    day = Leeway(360.0, 360.0, "proportional")
    with run_of(sound.model, profile=dataclasses.replace(AUTOGRAB, expires_in=86_400)) as run:
        facts = measure_day(run, day)
    assert facts == {"token_requests_per_day": 2, "token_requests_needed_per_day": 2}


def test_a_program_with_a_clock_is_measured_by_a_call_every_ten_minutes():
    with run_of(ProgramClients([sys.executable, str(DRIVER)])) as run:
        assert measure_day(run, fixed(30.0))["token_requests_per_day"] == 25


def test_nothing_is_measured_without_a_clock():
    with run_of(sound.model) as run:
        run.time = RealTime()
        assert measure_day(run, None) == {}


@pytest.mark.parametrize(("client", "size"), [(sound.model, 1), (sound.without_cache, 64)])
def test_a_herd_of_64_is_counted(client, size):
    with run_of(client) as run:
        assert measure_herd(run, "get_token") == {"burst_token_requests_of_64": size}


def test_a_measurement_changes_no_verdict():
    with run_of(by(FailsAfterThreeRefreshes)) as run:
        hangs = run.hangs
        assert measure_day(run, None) == {}
        assert (run.findings.take(), run.findings.broken) == ([], set())
        assert run.hangs is hangs
