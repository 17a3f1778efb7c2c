"""A mistake is named if the measured numbers match it, and sound clients have none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mockbroker.contract.diagnosis import (
    Diagnosis,
    LifetimeFacts,
    Mistake,
    ObservedLife,
    diagnose_lifetimes,
    hinted,
)

LIVES = (1200, 3600, 7200)
Age = Callable[[float], "float | None"]


def facts(age: Age, lives: tuple[float, ...] = LIVES, second: float | None = None) -> LifetimeFacts:
    """What is measured of a client that replaces a token at that age."""
    first = age(lives[0])
    return LifetimeFacts(
        tuple(ObservedLife(life, age(life)) for life in lives),
        is_expired_kept=first is None or first > lives[0],
        second=ObservedLife(lives[-1], age(lives[-1]) if second is None else second),
    )


MISTAKES: list[tuple[Age, Diagnosis]] = [
    (lambda life: life / 1000, Diagnosis(mistake=Mistake.MILLISECONDS)),
    (lambda life: 0.9 * life / 1000, Diagnosis(mistake=Mistake.MILLISECONDS)),
    (lambda life: life / 60, Diagnosis(mistake=Mistake.PER_MINUTE)),
    (lambda life: life * 60 - 30, Diagnosis(mistake=Mistake.MINUTES)),
    (lambda life: life * 1000, Diagnosis(mistake=Mistake.EXPIRY_IN_MILLISECONDS)),
    (lambda life: life + 30, Diagnosis(mistake=Mistake.LEEWAY_ADDED, seconds=30)),
    (lambda life: life + 600, Diagnosis(mistake=Mistake.LEEWAY_ADDED, seconds=600)),
    (lambda life: life * 1.1, Diagnosis(mistake=Mistake.LEEWAY_ADDED, seconds=120)),
    (lambda life: life + 0.1, Diagnosis(mistake=Mistake.LATE_COMPARISON)),
    (lambda _: 3300.0, Diagnosis(mistake=Mistake.FIXED_LIFETIME, seconds=3300)),
    (lambda _: None, Diagnosis(mistake=Mistake.NO_EXPIRY)),
]


@pytest.mark.parametrize(("age", "diagnosis"), MISTAKES)
def test_a_mistake_is_named_by_when_tokens_are_replaced(age, diagnosis):
    assert diagnose_lifetimes(facts(age)) == diagnosis


def test_milliseconds_less_a_leeway_show_with_long_lives():
    lives = (1_200_000, 3_600_000, 7_200_000)
    found = diagnose_lifetimes(facts(lambda life: life / 1000 - 30, lives))
    assert found == Diagnosis(mistake=Mistake.MILLISECONDS)


@pytest.mark.parametrize("leeway", [0, 1, 5, 10, 30, 59.9, 60, 120, 300, 600])
def test_a_fixed_leeway_is_no_mistake(leeway):
    assert diagnose_lifetimes(facts(lambda life: life - leeway)) is None


@pytest.mark.parametrize("part", [0.5, 0.75, 0.8, 0.9, 0.95, 0.99])
def test_a_proportional_leeway_is_no_mistake(part):
    assert diagnose_lifetimes(facts(lambda life: part * life)) is None


@pytest.mark.parametrize(
    "age",
    [
        lambda life: min(life - 30, 3000),  # a limit on every life
        lambda life: min(0.9 * life, life - 60),
        lambda life: life / 5,
        lambda life: life / 100,
        lambda life: 2 * life,
        lambda life: life + 5000,
        lambda life: {1200: 1150.0, 3600: 3590.0}.get(life, 7000.0),  # a leeway by chance
    ],
)
def test_numbers_that_match_no_mistake_have_no_name(age):
    assert diagnose_lifetimes(facts(age)) is None


def test_a_client_that_keeps_nothing_has_no_mistake_unless_it_keeps_what_has_expired():
    nothing_kept = facts(lambda _: 0.0)
    assert diagnose_lifetimes(nothing_kept) is None
    inverted = replace(nothing_kept, is_expired_kept=True)
    assert diagnose_lifetimes(inverted) == Diagnosis(mistake=Mistake.INVERTED)


def test_a_life_that_is_known_for_some_lifetimes_only_has_no_name():
    assert diagnose_lifetimes(facts(lambda life: None if life == LIVES[-1] else life)) is None


@pytest.mark.parametrize(
    ("second", "diagnosis"),
    [
        (1170.0, Diagnosis(mistake=Mistake.FIRST_LIFETIME, seconds=1170)),
        (0.0, Diagnosis(mistake=Mistake.FIRST_EXPIRY)),
        (7170.0, None),
        (4000.0, None),
    ],
)
def test_a_second_token_may_be_treated_by_the_first(second, diagnosis):
    measured = facts(lambda life: life - 30, second=second)
    assert diagnose_lifetimes(measured) == diagnosis


def test_a_hint_is_a_diagnosis():
    assert hinted("") is None
    assert hinted("was it cut?") == Diagnosis(mistake=Mistake.HINTED, hint="was it cut?")
