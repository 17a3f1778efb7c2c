"""One state in Redis for several brokers: what one changes, all have; and life without Redis."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import redis
import requests

from mockbroker import (
    Broker,
    ConfigError,
    Credentials,
    Fault,
    StateError,
    TokenAnswer,
    TokenState,
)
from mockbroker.redis_state.replica import Replica, Snapshot
from mockbroker.redis_state.scripts import LISTED_CHANGES, READ
from tests.broker.stores import REDIS
from tests.broker.waiting import becomes
from tests.redis_server import redis_running

STORES = (REDIS,)
SHOP = Credentials("shop", "s3cr:et")
GRANT = {"grant_type": "client_credentials"}


def ask(broker: Broker, credentials: Credentials = SHOP) -> requests.Response:
    pair = (credentials.client_id, credentials.client_secret)
    return requests.post(broker.token_url, data=GRANT, auth=pair, timeout=30)


def get_token(broker: Broker) -> str:
    token: str = ask(broker).json()["access_token"]
    return token


def call(broker: Broker, token: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{broker.api_url}/vehicle/1", headers=headers, timeout=30)


@pytest.fixture
def pair(new_url):
    """Two brokers that serve one state."""
    url = new_url()
    first, second = (Broker(credentials=SHOP, state=url) for _ in range(2))
    with first.running(), second.running():
        yield first, second


def test_the_control_api_changes_no_settings_of_one_process_of_several(pair):
    url = f"{pair[0].control_url}/settings"
    answer = requests.patch(url, json={"expires_in": 7}, timeout=30)
    assert (answer.status_code, answer.json()["error"]) == (409, "shared-state")
    assert [broker.expires_in for broker in pair] == [3599, 3599]


def test_a_token_of_one_is_a_token_of_all_until_one_revokes_it(pair):
    first, second = pair
    token = get_token(first)
    assert call(second, token).status_code == 200
    second.revoke_tokens()
    assert "revoked" in call(first, token).json()["message"]
    assert first.find_token(token)[0] == second.find_token(token)[0]
    assert list(second.token_issued_values) == [token]


def test_the_clock_of_one_moves_all(pair):
    first, second = pair
    token = get_token(first)
    second.clock.advance(4000)
    assert "expired" in call(first, token).json()["message"]
    assert abs(first.clock.now() - second.clock.now()) < 60
    first.script(Fault.latency(1000))
    ask(second)
    assert first.clock.now() - time.time() > 4990
    second.reset()
    assert abs(first.clock.now() - time.time()) < 60


def test_a_clock_moves_forward_only(pair):
    for seconds in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="forward"):
            pair[0].clock.advance(seconds)


def test_a_secret_that_one_replaces_is_replaced_for_all(pair):
    first, second = pair
    other = first.register("other", "old")
    assert ask(second, other).status_code == 200
    rotated = second.register("other", "new")
    assert (ask(first, other).status_code, ask(first, rotated).status_code) == (401, 200)
    assert first.registered == second.registered == (SHOP, rotated)
    assert second.register("shop", "first").client_secret == "first"
    assert [c.client_id for c in first.registered] == ["shop", "other"]


def test_a_new_token_may_end_that_of_another_process(pair):
    for one in pair:
        one.token_policy = "single"
    first, second = pair
    old = get_token(first)
    new = get_token(second)
    assert [call(first, token).status_code for token in (old, new)] == [401, 200]
    for one in pair:
        one.token_policy = "same"
    assert get_token(first) == get_token(second) == new


def test_the_processes_write_one_journal(pair):
    first, second = pair
    for one in (first, second, first):
        ask(one)
    assert [e.number for e in second.journal] == [1, 2, 3]
    assert [e.origin for e in second.journal] == [
        one.token_url.removesuffix("/auth-broker/request-token") for one in (first, second, first)
    ]
    assert first.journal.snapshot() == second.journal.snapshot()
    first.assert_conforms()


def test_what_one_issued_is_masked_by_the_other(pair):
    first, second = pair
    token = get_token(first)
    path = f"{second.token_url.split('/auth')[0]}/nowhere/{token}"
    assert token not in requests.get(path, timeout=30).text


def test_each_repetition_of_a_fault_goes_to_one_request(pair):
    pair[0].script(Fault.status(503).times(7), Fault.status(500), Fault.status(429).times(5))
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: ask(pair[n % 2]).status_code, range(40)))
    assert Counter(statuses) == {503: 7, 500: 1, 429: 5, 200: 27}
    faults = Counter(e.fault for e in pair[1].token_requests)
    assert faults == {"status 503": 7, "status 500": 1, "status 429": 5, None: 27}


FAULTS = {
    "all fields": Fault.status(503, body=b"\xff\0", headers=[("A", "b"), ("A", "é")])
    & Fault.members(omit=["scope"], expires_in=10**30, text="\u20ac")
    & Fault.content_type("a/b")
    & Fault.invalid_json()
    & Fault.compressed("deflate")
    & Fault.drip(0.5)
    & Fault.delay(1.5)
    & Fault.latency(2),
    "members as a body": Fault.status(400, body={"a": [1, None, {"b": 1.5}]}),
    "a string as a body": Fault.status(400, body="text"),
    "an empty body": Fault.redirect("http://x/"),
    "half of a surrogate pair in the description": Fault.content_type("a/b"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_the_same_in_another_process(new_url, name):
    fault, url = FAULTS[name], new_url()
    scripting, serving = Broker(state=url), Broker(state=url)
    scripting.api_script(fault)
    assert serving._state.api_script.next() == fault
    assert serving._state.api_script.next() is None


def test_a_fault_that_no_broker_wrote_is_named(new_broker, monkeypatch):
    broker = new_broker()
    monkeypatch.setattr(
        "mockbroker.redis_state.fault_script.fault_record", lambda _: b'{"status": 503}'
    )
    broker.script(Fault.status(503))
    with pytest.raises(ValueError, match="a fault in Redis: unknown"):
        broker._state.token_script.next()


def test_a_value_may_be_of_any_characters(new_url):
    url = new_url()
    odd = Credentials("shöp\ud800", "\udcff")
    first = Broker(credentials=odd, state=url)
    first.token_values = lambda: "to\ud800ken"
    second = Broker(state=url)
    assert second.registered == (odd,)
    with first.running(), second.running():
        first.strict = False
        first.token_answer = TokenAnswer(omit=("access_token",))
        assert ask(first).status_code == 200
        assert second.find_token("to\ud800ken")[1] is TokenState.VALID
        assert second.journal[0].token.value == "to\ud800ken"
        assert second.journal[0].token.expires_in == 3599
        assert Broker(state=url).find_token("to\ud800ken")[1] is TokenState.VALID


def test_connections_are_refused_by_all_until_one_clears_the_script(pair):
    first, second = pair

    def refuses(broker: Broker) -> bool:
        parts = urlsplit(broker.token_url)
        with socket.socket() as sock:
            return sock.connect_ex((parts.hostname, parts.port)) != 0

    first.api_script(Fault.refuse())
    assert refuses(first)
    assert becomes(lambda: refuses(second))
    second.clear_scripts()
    assert not refuses(second)
    assert becomes(lambda: not refuses(first))
    assert ask(first).status_code == 200


def test_a_process_that_starts_later_finds_everything(new_url):
    url = new_url()
    with Broker(credentials=SHOP, state=url).running() as first:
        first.clock.advance(4000)
        first.token_policy = "single"
        ended, token = get_token(first), get_token(first)
        first.register("shop", "rotated")
        first.script(Fault.status(503).times(2))
    with Broker(credentials=SHOP, state=url).running() as later:
        assert [later.find_token(t)[1].value for t in (ended, token)] == ["revoked", "valid"]
        assert later.clock.now() - time.time() > 3990
        assert later.credentials == Credentials("shop", "rotated")
        assert [ask(later, later.credentials).status_code for _ in range(3)] == [503, 503, 200]
        assert len(later.journal) == 5


def test_without_credentials_of_its_own_a_broker_has_those_of_the_first(new_url):
    url = new_url()
    first = Broker(state=url)
    assert Broker(state=url).credentials == first.credentials
    with_others = Broker(credentials=SHOP, state=url)
    assert with_others.credentials == SHOP
    assert first.registered == (first.credentials, SHOP)


def test_two_namespaces_of_one_redis_share_nothing(redis_server):
    with (
        Broker(credentials=SHOP, state=redis_server.new_url()).running() as one,
        Broker(credentials=SHOP, state=redis_server.new_url()).running() as other,
    ):
        token = get_token(one)
        one.script(Fault.status(503))
        assert call(other, token).status_code == 401
        assert ask(other).status_code == 200


def test_one_that_was_idle_for_long_catches_up(new_url):
    url = new_url()
    busy, idle = Broker(state=url), Broker(state=url)
    other = busy.register("other", "secret")
    clock = busy.clock
    for _ in range(LISTED_CHANGES + 1):
        clock.advance(0.001)
    assert idle.registered[1] == other
    assert idle.clock.now() - time.time() > LISTED_CHANGES * 0.001 - 1


def test_a_state_that_changes_whenever_it_is_read_is_an_error():
    class Changing:
        """A link to a Redis that other programs clear all the time."""

        breaks = 0

        def run(self, script: object, *_: object) -> object:
            return None if script is READ else (b"epoch", 0, 0, 0, b"0", [], [], [])

    replica = Replica(Changing())
    loaded: list[Snapshot] = []
    replica.follow({}, loaded.append, tuple)
    with pytest.raises(StateError, match="replaced again and again"):
        replica.ask(READ)
    assert loaded


@pytest.fixture
def own_redis(tmp_path):
    """A Redis that the test may kill."""
    with redis_running(tmp_path) as server:
        yield server


def test_without_redis_each_request_gets_503_and_with_it_all_is_well_again(own_redis, caplog):
    with Broker(credentials=SHOP, state=own_redis.new_url()).running() as broker:
        other = broker.register("other", "secret")
        token = get_token(broker)
        own_redis.kill()
        caplog.clear()
        refused, failed = ask(broker), call(broker, token)
        nowhere = requests.get(broker.token_url.split("/auth")[0] + "/nowhere", timeout=30)
        assert [a.status_code for a in (refused, failed, nowhere)] == [503] * 3
        assert refused.json()["error"] == "temporarily_unavailable"
        assert "is unavailable" in refused.json()["error_description"]
        assert "is unavailable" in failed.json()["message"]
        assert {a.json()["hint"] for a in (refused, failed)} == {
            "send the request again later; the broker recovers without a restart"
        }
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["Cache-Control"] == "no-store"
        assert [r.levelno for r in caplog.records] == [logging.WARNING] * 3
        assert not [r for r in caplog.records if "\n" in r.getMessage()]
        with pytest.raises(StateError, match="is unavailable"):
            broker.script(Fault.status(500))
        own_redis.start()
        assert [ask(broker).status_code, ask(broker, other).status_code] == [200, 200]
        assert caplog.messages[-1].endswith("is available again")
        # Its Redis keeps nothing on the disk, so the state begins again with the clients.
        assert "never issued" in call(broker, token).json()["message"]
        assert broker.journal.total == 3


def test_a_redis_that_restarts_with_an_older_state_decides(own_redis):
    url = own_redis.new_url()
    with (
        Broker(credentials=SHOP, state=url).running() as broker,
        Broker(credentials=SHOP, state=url).running() as other,
    ):
        kept = get_token(broker)
        with redis.Redis(port=own_redis.port) as client:
            client.save()
        lost = [get_token(broker) for _ in range(3)]
        assert call(other, lost[2]).status_code == 200
        own_redis.kill()
        own_redis.start()
        # It gives the same numbers again, before the others notice.
        with Broker(credentials=SHOP, state=url).running() as later:
            new = [get_token(later) for _ in range(4)]
        for one in (broker, other):
            # The first call may find a connection that Redis has closed.
            assert becomes(lambda one=one: call(one, kept).status_code == 200)
            statuses = [call(one, token).status_code for token in (kept, *lost, *new)]
            assert statuses == [200, 401, 401, 401, 200, 200, 200, 200]
            assert [token.number for token in one.tokens] == [1, 2, 3, 4, 5]


def test_a_kill_of_redis_in_mid_flight_loses_no_request(own_redis):
    with Broker(credentials=SHOP, state=own_redis.new_url()).running() as broker:
        ended, statuses = threading.Event(), []

        def keep_asking() -> None:
            while not ended.is_set():
                statuses.append(ask(broker).status_code)

        def waits_for(status: int) -> bool:
            seen = len(statuses)
            return becomes(lambda: status in statuses[seen:])

        with ThreadPoolExecutor(4) as pool:
            done = [pool.submit(keep_asking) for _ in range(4)]
            try:
                assert waits_for(200)
                own_redis.kill()
                assert waits_for(503)
                own_redis.start()
                assert waits_for(200)
            finally:
                ended.set()
        assert [each.result() for each in done] == [None] * 4
        assert set(statuses) == {200, 503}
        assert ask(broker).status_code == 200


def test_a_redis_that_does_not_answer_delays_a_request_for_a_bounded_time(own_redis):
    url = own_redis.new_url() + "&socket_timeout=0.2"
    with Broker(credentials=SHOP, state=url).running() as broker:
        own_redis.pause()
        try:
            assert ask(broker).status_code == 503
        finally:
            own_redis.resume()
        assert ask(broker).status_code == 200


def test_no_message_has_the_password(tmp_path):
    with redis_running(tmp_path, "--requirepass", "right-password") as server:
        place = f"127.0.0.1:{server.port}/0"
        assert Broker(state=f"redis://:right-password@{place}").registered
        for url in (
            f"redis://user:wrong-password@{place}",
            "redis://user:wrong-password@127.0.0.1:1/0",
            "redis://user:wrong-password@127.0.0.1:1/0?nonsense=1",
            "redis://user:wrong-password@127.0.0.1:port/0",
            "http://user:wrong-password@127.0.0.1/0",
            "redis://user:wrong-password@127.0.0.1/0?namespace=a%20b",
        ):
            with pytest.raises((StateError, ConfigError)) as caught:
                Broker(state=url)
            assert "wrong-password" not in str(caught.value)


def test_a_redis_may_listen_on_a_unix_socket(tmp_path):
    # The system limits the length of its path.
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        with redis_running(tmp_path, "--unixsocket", path) as server:
            shared = Broker(state=f"unix://{path}?namespace=a&socket_timeout=5")
            assert Broker(state=f"redis://127.0.0.1:{server.port}?namespace=a").registered == (
                shared.credentials,
            )
        with pytest.raises(StateError, match=f"the state at unix://{path} is unavailable"):
            shared.revoke_tokens()


@pytest.mark.parametrize("url", ["", "redis", "redis://h/0?namespace=", "redis://h/0?nonsense=1"])
def test_a_malformed_url_is_a_mistake_in_the_configuration(url):
    with pytest.raises(ConfigError, match="the state's URL"):
        Broker(state=url)


@pytest.mark.parametrize("setting", ["token_limit", "journal_size", "journal_bytes"])
def test_a_limit_is_one_at_least_in_redis_too(new_broker, setting):
    with pytest.raises(ValueError, match="not 0"):
        new_broker(**{setting: 0})


def test_only_a_shared_state_needs_the_package_redis():
    code = (
        "import sys; from mockbroker import Broker; Broker(); print('redis' in sys.modules)\n"
        "sys.modules['redis'] = None\n"
        "try: Broker(state='redis://127.0.0.1')\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "False",
        "a shared state needs the package redis; install mockbroker[redis]",
    ]
