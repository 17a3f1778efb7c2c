"""Sound clients that present certificates conform, under profiles with different rules."""

from __future__ import annotations

import pytest

from examples.certificate_client import CertificateTokenManager
from mockbroker.contract import clauses
from mockbroker.model.certificate_rules import CertificateRules
from mockbroker.model.profile import Profile
from mockbroker.report.finding import Verdict
from tests.mutants.defects.certificate import MUTUAL, CallsTheApiWithoutACertificate
from tests.mutants.kit import verdicts_on
from tests.mutants.sound.certificate import PRESENTING
from tests.mutants.workshop import make

SELF_SIGNED = Profile(name="self-signed", client_authentication="self_signed_tls_client_auth")
UNBOUND = Profile(
    name="unbound",
    client_authentication="tls_client_auth",
    certificate=CertificateRules(bound_tokens=False),
)


@pytest.mark.slow
@pytest.mark.parametrize("cls", PRESENTING, ids=lambda cls: cls.__name__)
def test_a_sound_client_conforms(cls):
    assert verdicts_on(lambda config: make(cls, config), profile=MUTUAL) == {}


@pytest.mark.parametrize("cls", PRESENTING, ids=lambda cls: cls.__name__)
def test_a_sound_client_conforms_to_the_chapter(cls):
    found = verdicts_on(
        lambda config: make(cls, config), profile=SELF_SIGNED, only=clauses.certificate.CLAUSES
    )
    assert found == {}


def test_a_client_of_unbound_tokens_needs_no_certificate_at_the_api():
    found = verdicts_on(
        lambda config: make(CallsTheApiWithoutACertificate, config),
        profile=UNBOUND,
        only=[clauses.certificate.PRESENTED, clauses.signing.BEARER],
    )
    assert found == {}
    assert "binds no token" in clauses.certificate.API.applies_to(UNBOUND)


@pytest.mark.slow
def test_a_client_may_choose_between_a_secret_and_a_certificate():
    either = Profile(name="either", client_authentication=("basic", "tls_client_auth"))
    found = verdicts_on(
        lambda config: make(CertificateTokenManager, config),
        profile=either,
        only=[*clauses.certificate.CLAUSES, clauses.basic.CREDENTIALS],
    )
    assert {clause: verdict for clause, (verdict, _) in found.items()} == {
        clauses.basic.CREDENTIALS: Verdict.NOT_TESTED
    }
