"""Sound clients that sign assertions conform, under profiles with different rules."""

from __future__ import annotations

import pytest

from examples.assertion_client import AssertionTokenManager
from mockbroker.contract import clauses
from mockbroker.model.assertion_rules import AssertionRules
from mockbroker.model.profile import Profile
from tests.mutants.defects.assertion import SIGNED
from tests.mutants.kit import verdicts_on
from tests.mutants.sound.assertion import SIGNING
from tests.mutants.workshop import make


def signed(**rules):
    rules = AssertionRules(**rules)
    return Profile(name="signed", client_authentication="private_key_jwt", assertion=rules)


PROFILES = {
    "RSA and the issuer": signed(algorithms=("RS256",), audience="issuer"),
    "PSS and a minute more": signed(algorithms=("PS256",), longest_life_seconds=180),
    "a longer curve": signed(algorithms=("ES384",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("cls", SIGNING, ids=lambda cls: cls.__name__)
def test_a_sound_client_conforms(cls):
    assert verdicts_on(lambda config: make(cls, config), profile=SIGNED) == {}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_model_client_conforms_to_other_rules(profile):
    found = verdicts_on(
        lambda config: make(AssertionTokenManager, config),
        profile=profile,
        only=clauses.assertion.CLAUSES,
    )
    assert found == {}


@pytest.mark.slow
def test_a_client_may_choose_between_a_secret_and_an_assertion():
    either = Profile(name="either", client_authentication=("basic", "private_key_jwt"))
    found = verdicts_on(
        lambda config: make(AssertionTokenManager, config),
        profile=either,
        only=[*clauses.assertion.CLAUSES, clauses.basic.CREDENTIALS],
    )
    assert set(found) == {clauses.basic.CREDENTIALS}
