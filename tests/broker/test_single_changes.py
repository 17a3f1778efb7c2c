"""A change of one token, client or fault is seen at once by every broker that shares the state."""

from __future__ import annotations

import pytest
import requests

from mockbroker import Broker, Credentials, Fault, TokenState
from tests.broker.stores import BOTH

STORES = BOTH
SHOP = Credentials("shop", "s3cr:et")
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def pair(new_url):
    """Two brokers with one state; in memory that is one broker."""
    url = new_url()
    with Broker(state=url, credentials=SHOP).running() as one:
        if url is None:
            yield one, one
        else:
            with Broker(state=url, credentials=SHOP).running() as other:
                yield one, other


def get_token(broker: Broker) -> str:
    answer = requests.post(
        broker.token_url, data=GRANT, auth=(SHOP.client_id, SHOP.client_secret), timeout=5
    )
    token: str = answer.json()["access_token"]
    return token


def call(broker: Broker, token: str) -> str:
    """The error description of a call with the token; empty if the API takes it."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.get(f"{broker.api_url}/vehicle/1", headers=headers, timeout=5)
    return "" if answer.ok else answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("end", "state", "text"),
    [
        (Broker.revoke_token, TokenState.REVOKED, "the token was revoked"),
        (Broker.expire_token, TokenState.EXPIRED, "the token has expired"),
    ],
)
def test_one_token_ends_and_the_others_stay(pair, end, state, text):
    one, other = pair
    ended, kept = get_token(one), get_token(other)
    before = other.token_endings
    end(one, ended)
    assert other.find_token(ended)[1] is state
    assert text in call(other, ended)
    assert call(other, kept) == ""
    assert other.token_endings == before + 1
    assert [token.value for token in other.tokens] == [ended, kept]


def test_a_token_that_ended_is_known_to_a_broker_that_comes_later(new_url):
    url = new_url()
    one = Broker(state=url, credentials=SHOP)
    with one.running():
        expired, revoked = get_token(one), get_token(one)
    one.expire_token(expired)
    one.revoke_token(revoked)
    later = one if url is None else Broker(state=url, credentials=SHOP)
    assert later.find_token(expired)[1] is TokenState.EXPIRED
    assert later.find_token(revoked)[1] is TokenState.REVOKED


def test_a_token_that_was_never_issued_cannot_end(pair):
    with pytest.raises(KeyError, match="no such token"):
        pair[0].revoke_token("never")


def test_a_client_is_removed_and_the_last_one_stays(pair):
    one, other = pair
    one.register("second", "secret")
    one.remove("shop")
    assert other.registered == (Credentials("second", "secret"),)
    answer = requests.post(
        other.token_url, data=GRANT, auth=(SHOP.client_id, SHOP.client_secret), timeout=5
    )
    assert answer.status_code == 401
    with pytest.raises(KeyError, match="shop"):
        other.remove("shop")
    with pytest.raises(ValueError, match="needs a client"):
        other.remove("second")


def test_waiting_faults_are_listed_with_the_counts_that_are_left(pair):
    one, other = pair
    one.script(Fault.status(503).times(3), Fault.delay(0.5))
    one.api_script(Fault.status(429))
    assert requests.post(other.token_url, timeout=5).status_code == 503
    assert other.scripted == (Fault.status(503).times(2), Fault.delay(0.5))
    assert other.api_scripted == (Fault.status(429),)


def test_one_fault_is_withdrawn_and_an_equal_one_stays(pair):
    one, other = pair
    faults = Fault.status(503), Fault.reset(), Fault.status(503)
    one.script(*faults)
    other.withdraw(Fault.status(503))
    assert one.scripted == faults[1:]
    other.withdraw(Fault.status(400))
    assert one.scripted == faults[1:]


def test_a_fault_is_unapplied_until_an_answer_has_had_it(pair):
    one, other = pair
    faults = Fault.status(503).times(2), Fault.status(500)
    one.script(*faults)
    assert other.unapplied_faults == faults
    assert requests.post(other.token_url, timeout=5).status_code == 503
    assert other.unapplied_faults == faults[1:]
    other.withdraw(Fault.status(503))
    assert one.unapplied_faults == faults[1:]
    assert requests.post(one.token_url, timeout=5).status_code == 500
    assert other.unapplied_faults == ()
    one.script(faults[0])
    assert requests.post(one.token_url, timeout=5).status_code == 503
    one.clear_scripts()
    one.script(faults[0])
    assert other.unapplied_faults == (faults[0],)
