"""Only the token itself is the token; what is forgotten is told from what was never issued."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import requests

from mockbroker import Broker, Credentials, Profile, TokenState
from tests.broker.stores import BOTH
from tests.broker.wires import connect, read_answer

STORES = BOTH
SHOP = Credentials("shop", "s3cr:et")
GRANT = {"grant_type": "client_credentials"}


def get_token(broker: Broker) -> str:
    answer = requests.post(broker.token_url, data=GRANT, auth=("shop", "s3cr:et"), timeout=5)
    token: str = answer.json()["access_token"]
    return token


def call(broker: Broker, authorization: str) -> requests.Response:
    """A call with that header to the letter, which HTTP libraries would tidy up."""
    path = urlsplit(broker.api_url).path + "/vehicle/1"
    with connect(broker) as sock:
        sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: b\r\nAuthorization: {authorization}\r\n\r\n".encode()
        )
        head, _, body = read_answer(sock).partition(b"\r\n\r\n")
    answer = requests.Response()
    answer.status_code, answer._content = int(head.split(b" ")[1]), body
    return answer


SURROUNDED = "surrounded by other characters"
ALTERED = {
    "garbage around it": ("Bearer garbage{0}trailing", SURROUNDED),
    "one character before": ("Bearer x{0}", SURROUNDED),
    "one character after": ("Bearer {0}x", SURROUNDED),
    "padding": ("Bearer {0}=", SURROUNDED),
    "twice": ("Bearer {0}{0}", SURROUNDED),
    "twice, with a dot": ("Bearer {0}.{0}", SURROUNDED),
    "letters around it": ("Bearer AAAA{0}BBBB", SURROUNDED),
    "a trailing comma": ("Bearer {0},", SURROUNDED),
    "a parameter after it": ('Bearer {0}, realm="x"', SURROUNDED),
    "brackets": ("Bearer <{0}>", SURROUNDED),
    "a name before it": ("Bearer token={0}", SURROUNDED),
    "quotes": ('Bearer "{0}"', "quotes or white space"),
    "single quotes": ("Bearer '{0}'", "quotes or white space"),
    "two spaces": ("Bearer  {0}", "quotes or white space"),
    "no scheme": ("{0}", "the scheme is missing"),
    "the scheme twice": ("Bearer Bearer {0}", "twice"),
    "another case": ("Bearer {1}", "upper and lower case"),
    "another case, and more": ("Bearer x{1}", "upper and lower case"),
    "in Base64": ("Bearer {2}", "encoded in Base64"),
}


@pytest.mark.parametrize("alteration", ALTERED)
@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_only_the_token_itself_is_the_token(alteration, token_format, new_broker):
    form, hint = ALTERED[alteration]
    profile = Profile(name="acme", token_format=token_format)
    for strict in (True, False):
        with new_broker(profile=profile, credentials=SHOP, strict=strict).running() as broker:
            token = get_token(broker)
            encoded = base64.b64encode(token.encode()).decode()
            answer = call(broker, form.format(token, token.swapcase(), encoded))
            (seen,) = broker.api_calls
            assert [b.clause_id for b in seen.breaches] == ["signing.bearer"]
            assert hint in seen.breaches[0].hint
            assert token not in answer.text
            if strict:
                assert answer.status_code == 401
                assert hint in answer.json()["hint"]
            with pytest.raises(AssertionError, match=r"signing\.bearer"):
                broker.assert_conforms()


@pytest.mark.parametrize("other", [str.upper, lambda token: token[:-1], lambda token: f" {token}"])
def test_a_token_is_looked_up_by_exactly_its_value(broker, other):
    token = get_token(broker)
    assert broker.find_token(token)[1] is TokenState.VALID
    assert broker.find_token(other(token)) == (None, TokenState.UNKNOWN)


def test_a_token_that_was_never_issued_breaks_no_clause(broker):
    get_token(broker)
    assert call(broker, "Bearer an-unknown-token").status_code == 401
    assert broker.api_calls[0].breaches == ()


@pytest.fixture
def limited(new_broker) -> Callable[..., Broker]:
    return lambda count, **more: new_broker(credentials=SHOP, token_limit=count, **more)


def states(broker: Broker, tokens: list[str]) -> list[str]:
    return [broker.find_token(token)[1].value for token in tokens]


def test_beyond_the_limit_the_oldest_live_token_is_too_old_to_be_remembered(limited):
    with limited(3).running() as broker:
        tokens = [get_token(broker) for _ in range(5)]
        assert states(broker, tokens) == ["forgotten"] * 2 + ["valid"] * 3
        refused = call(broker, f"Bearer {tokens[0]}")
        assert refused.status_code == 401
        assert "too old to be remembered" in refused.json()["message"]
        assert broker.api_calls[0].token_state is TokenState.FORGOTTEN
        assert "never issued" in call(broker, "Bearer an-unknown-token").json()["message"]
        assert call(broker, f"Bearer {tokens[2]}").status_code == 200


def test_what_has_expired_is_forgotten_before_anything_that_is_alive(limited):
    with limited(4).running() as broker:
        long_lived = get_token(broker)
        broker.expires_in = 10
        expired = [get_token(broker), get_token(broker)]
        broker.clock.advance(11)
        broker.expires_in = 60
        young = [get_token(broker) for _ in range(3)]
        assert states(broker, [long_lived, *expired, *young]) == [
            "valid",
            "forgotten",
            "forgotten",
            *["valid"] * 3,
        ]
        get_token(broker)
        assert states(broker, [long_lived, *young]) == ["forgotten", *["valid"] * 3]


def test_what_was_revoked_is_forgotten_before_anything_that_is_alive(limited):
    with limited(3).running() as broker:
        broker.expires_in = 1000
        revoked = get_token(broker)
        broker.revoke_tokens()
        broker.expires_in = 10
        tokens = [get_token(broker) for _ in range(3)]
        assert states(broker, [revoked, *tokens]) == ["forgotten", *["valid"] * 3]


def test_what_expired_first_is_forgotten_first_whatever_its_lifetime(limited):
    with limited(3).running() as broker:
        tokens = []
        for lifetime in (30, 10, 20):
            broker.expires_in = lifetime
            tokens.append(get_token(broker))
        broker.clock.advance(25)
        assert states(broker, tokens) == ["valid", "expired", "expired"]
        tokens.append(get_token(broker))
        assert states(broker, tokens) == ["valid", "forgotten", "expired", "valid"]
        tokens.append(get_token(broker))
        assert states(broker, tokens) == ["valid", "forgotten", "forgotten", "valid", "valid"]


def test_a_valid_token_outlives_those_that_newer_ones_of_another_client_ended(limited):
    with limited(3).running() as broker:
        broker.token_policy = "single"
        valid = get_token(broker)
        broker.register("other", "s3cr:et")
        ended = []
        for _ in range(5):
            answer = requests.post(broker.token_url, GRANT, auth=("other", "s3cr:et"), timeout=5)
            ended.append(answer.json()["access_token"])
        assert states(broker, [valid, *ended[:3]]) == ["valid", *["forgotten"] * 3]
        assert states(broker, ended[3:]) == ["revoked", "valid"]


def test_a_valid_token_is_forgotten_with_one_warning_an_expired_one_without(limited, caplog):
    with limited(2).running() as broker:
        broker.expires_in = 10
        for _ in range(2):
            get_token(broker)
        broker.clock.advance(11)
        for _ in range(2):
            get_token(broker)
        assert not caplog.records
        for _ in range(3):
            get_token(broker)
        (warning,) = caplog.records
        assert "the broker forgets valid tokens: it keeps 2" in warning.getMessage()


def test_values_issued_again_and_again_stay_within_the_limit(limited):
    with limited(2).running() as broker:
        broker.token_values = iter("aababababbac").__next__
        for _ in range(12):
            get_token(broker)
        assert states(broker, ["a", "b", "c"]) == ["valid", "forgotten", "valid"]
        assert len(broker.token_issued_values) == 2


def test_tokens_of_ones_own_and_jwts_are_known_to_be_forgotten_too(limited):
    with limited(1).running() as broker:
        broker.token_values = iter(["a", "a", "b", "a", "c"]).__next__
        for _ in range(5):
            get_token(broker)
        assert states(broker, ["a", "b", "c", "d"]) == [
            "forgotten",
            "forgotten",
            "valid",
            "unknown",
        ]
    with limited(1, profile=Profile(name="acme", token_format="jwt")).running() as broker:
        tokens = [get_token(broker), get_token(broker)]
        assert states(broker, tokens) == ["forgotten", "valid"]


def test_a_value_issued_again_is_the_new_token(broker):
    broker.token_values = lambda: "the-same-value"
    get_token(broker)
    broker.revoke_tokens()
    get_token(broker)
    token, state = broker.find_token("the-same-value")
    assert (token.number, state) == (2, TokenState.VALID)
    assert list(broker.token_issued_values) == ["the-same-value"]


def test_a_reset_forgets_that_tokens_were_forgotten(limited):
    with limited(1).running() as broker:
        tokens = [get_token(broker), get_token(broker)]
        broker.reset()
        assert states(broker, tokens) == ["unknown", "unknown"]


@pytest.mark.parametrize("setting", ["token_limit", "journal_size", "journal_bytes"])
def test_a_limit_is_one_at_least(setting, new_broker):
    with pytest.raises(ValueError, match="not 0"):
        new_broker(**{setting: 0})


def test_a_token_that_was_found_may_be_forgotten_since(new_state):
    tokens = new_state(tokens=1).tokens
    settings = {"issuer": "http://b", "credentials": SHOP, "scope": "", "expires_in": 9}
    first = tokens.issue("a", issued_at=0, **settings)
    assert tokens.state(first, now=1) is TokenState.VALID
    tokens.issue("b", issued_at=0, **settings)
    assert tokens.state(first, now=1) is TokenState.FORGOTTEN
