"""What the control API needs of a broker: ending tokens, removing clients, verdicts so far."""

from __future__ import annotations

import pytest

from mockbroker import Broker, Credentials, Fault, TokenState
from mockbroker.broker.observation import Observation
from mockbroker.broker.tokens import TokenStore
from mockbroker.model.messages import Headers, Request

SHOP = Credentials("shop", "s3cret-of-the-shop")
ORIGIN = "http://127.0.0.1:1"


def issue(store: TokenStore, value: str, expires_in: float = 60.0):
    return store.issue(
        value, issuer="", credentials=SHOP, scope="", issued_at=0.0, expires_in=expires_in
    )


def test_one_token_ends_and_the_others_do_not():
    store = TokenStore()
    first, second, third = (issue(store, value) for value in ("first", "second", "third"))
    store.end(first, TokenState.REVOKED)
    store.end(second, TokenState.EXPIRED)
    states = [store.state(token, 1.0) for token in (first, second, third)]
    assert states == [TokenState.REVOKED, TokenState.EXPIRED, TokenState.VALID]
    assert store.snapshot() == (first, second, third)
    assert store.endings_count == 2
    assert store.latest(SHOP, "", 1.0) is third


def test_revoking_all_goes_before_an_expiry():
    store = TokenStore()
    token = issue(store, "value")
    store.end(token, TokenState.EXPIRED)
    store.revoke_all()
    assert store.state(token, 1.0) is TokenState.REVOKED
    assert store.endings_count == 2


def test_a_token_whose_value_was_issued_again_cannot_be_ended():
    store = TokenStore()
    old = issue(store, "value")
    new = issue(store, "value")
    store.end(old, TokenState.REVOKED)
    assert store.state(new, 1.0) is TokenState.VALID
    assert store.endings_count == 0


def test_an_ended_token_is_forgotten_first():
    store = TokenStore(limit=2)
    lives, ended = issue(store, "lives", 100.0), issue(store, "ended")
    store.end(ended, TokenState.EXPIRED)
    issue(store, "third")
    assert store.find("lives") is lives
    assert store.find("ended") is None


@pytest.mark.parametrize("what", ["revoke_token", "expire_token"])
def test_an_unknown_token_cannot_be_ended(what):
    with pytest.raises(KeyError) as raised:
        getattr(Broker(), what)("invented-value")
    assert "invented-value" not in str(raised.value)


def test_a_client_can_be_removed_but_not_the_last_one():
    broker = Broker(credentials=SHOP)
    with pytest.raises(ValueError, match="a broker needs a client"):
        broker.remove("shop")
    other = broker.register("other", "secret")
    broker.remove("shop")
    assert (broker.registered, broker.credentials) == ((other,), other)
    with pytest.raises(KeyError):
        broker.remove("shop")
    third = broker.register("third", "secret")
    broker.remove("third")
    assert third not in broker.registered
    assert broker.credentials == other
    broker.reset()
    assert broker.registered == (SHOP,)


def test_a_fault_can_be_withdrawn_but_not_its_twin():
    broker = Broker()
    one, same = Fault.status(503), Fault.status(503)
    broker.script(one, same)
    broker.api_script(one)
    broker.withdraw(one)
    assert broker.scripted == (same,)
    assert broker.scripted[0] is same
    assert broker.api_scripted == ()


def test_another_profile_brings_its_lifetime_and_policy():
    broker = Broker(expires_in=5)
    broker.profile = "rfc6749"
    assert (broker.profile.name, broker.expires_in) == ("rfc6749", 3600)
    broker.reset()
    assert (broker.profile.name, broker.expires_in) == ("autograb", 5)


def call(broker: Broker, authorization: str = "Bearer x") -> None:
    headers = Headers.of([("Authorization", authorization)])
    broker.handle(Request("GET", "/v2/vehicle/1", headers), ORIGIN)


def test_an_observation_goes_on_after_a_reset_and_says_what_it_lost():
    broker = Broker(credentials=SHOP)
    observation = Observation(broker.journal, broker.profile)
    for _ in range(3):
        call(broker)
    broker.reset()
    call(broker)
    observed = observation.so_far()
    assert observed.tally.api_calls == 4
    reasons = set(observed.never_reached.values())
    assert "3 exchanges were dropped before they were judged together" in reasons


def test_the_verdict_so_far_counts_what_the_journal_has_dropped():
    broker = Broker(credentials=SHOP, journal_size=1)
    call(broker)
    call(broker)
    reasons = set(broker.observed().never_reached.values())
    assert "1 exchanges were dropped before they were judged together" in reasons
