"""The leeway is measured in two ways that agree, and its kind is told."""

from __future__ import annotations

import pytest

from mockbroker_contract.drivers.python_clients import PythonClients
from mockbroker_contract.harness.leeway import Leeway, judge_kind, measure
from mockbroker_contract.harness.preflight import checked_run
from mockbroker_contract.harness.settings import RunSettings
from tests.mutants.defects.refresh import HasNoLeeway, ReadsMilliseconds
from tests.mutants.sound import variants as sound
from tests.mutants.workshop import OwnClock, make


def measured(factory) -> Leeway | None:
    with checked_run(PythonClients(factory), RunSettings()) as run, run.frozen_time():
        return measure(run)


def test_a_fixed_leeway_is_the_same_by_both_ways():
    assert measured(sound.model) == Leeway(30, 30, "fixed", at_once=30)
    assert measured(sound.generous_leeway) == Leeway(600, 600, "fixed", at_once=600)


def test_a_leeway_that_depends_is_told_by_the_clock_alone():
    assert measured(sound.proportional_leeway) == Leeway(720, 720, "proportional", at_once=0)
    jittered = measured(sound.jittered_leeway)
    assert jittered is not None
    assert jittered.kind == "jittered"
    assert jittered.shortest < jittered.longest


def test_no_leeway_is_none_and_not_zero_tokens_kept():
    assert measured(lambda config: make(HasNoLeeway, config)) == Leeway(0, 0, "none", at_once=0)
    assert measured(sound.without_cache) is None


@pytest.mark.slow
def test_where_no_clock_moves_only_who_keeps_tokens_has_a_leeway():
    assert measured(sound.with_a_clock_of_its_own) == Leeway(1, 1, "fixed", at_once=1)
    assert measured(lambda config: make(_OwnMilliseconds, config)) is None


class _OwnMilliseconds(OwnClock, ReadsMilliseconds):
    _time_until_refresh = ReadsMilliseconds._time_until_refresh


@pytest.mark.parametrize(
    ("repeated", "doubled", "kind"),
    [
        ([30, 30, 30], 30, "fixed"),
        ([30, 30, 31], 30, "fixed"),
        ([0, 0, 0], 0, "none"),
        ([720, 720, 720], 1440, "proportional"),
        ([310, 450, 580], 333, "jittered"),
        ([300, 300, 300], 500, "jittered"),
    ],
)
def test_kinds(repeated, doubled, kind):
    assert judge_kind(repeated, doubled).kind == kind
