"""An error of the kit is described without running code of the objects that it refers to."""

from __future__ import annotations

import errno

import pytest
import requests

from mockbroker import Broker, ClientConfig, Credentials
from pytest_mockbroker.kit_failures import kit_error_from


class Odd:
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


def raised(error: Exception) -> Exception:
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no token", 5, None), "ValueError: no token, 5, None"),
        (ValueError(Odd(), 10**5000), "ValueError: <Odd>, <int>"),
        (MemoryError(), "The judging process has no more memory."),
        (OSError(errno.EMFILE, "too many"), "raise the limit with `ulimit -n`."),
        (RuntimeError("can't start new thread"), "raise the limit with `ulimit -u`."),
    ],
)
def test_the_reason_says_what_failed_and_what_to_do(error, reason):
    described = kit_error_from(raised(error), "at the end")
    assert described.reason.startswith("the kit failed: at the end: ")
    assert reason in described.reason
    assert "test_kit_failures.py" in described.traceback


def test_causes_come_first_and_an_endless_chain_has_an_end():
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    lines = kit_error_from(first).traceback.splitlines()
    assert [line for line in lines if line.startswith("ValueError")][-2:] == [
        "ValueError: second",
        "ValueError: first",
    ]
    assert len(lines) == 10


def test_secrets_in_the_variables_of_the_frames_are_masked():
    def fail(config: ClientConfig, broker: Broker) -> None:
        (token,) = broker.token_issued_values
        raise ValueError(f"{config.client_secret} {broker.registered[0].client_secret} {token}")

    broker = Broker(credentials=Credentials("other", "brok3r-secret"))
    with broker.running():
        requests.post(
            broker.token_url,
            {"grant_type": "client_credentials"},
            auth=("other", "brok3r-secret"),
            timeout=10,
        ).raise_for_status()
    config = ClientConfig(
        token_url="http://127.0.0.1:1/token",
        api_base_url="http://127.0.0.1:1/v2",
        client_id="client",
        client_secret="cl1ent-secret",
    )
    with pytest.raises(ValueError, match="cl1ent") as caught:
        fail(config, broker)
    reason = kit_error_from(caught.value).reason
    assert reason.startswith("the kit failed: ValueError: <secret> <secret> <token")
