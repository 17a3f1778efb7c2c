"""What a client returned in place of a token is described, and no text of it is shown."""

from __future__ import annotations

import pytest

from mockbroker_contract.drivers.host.described_values import described_value


class Token:
    def __repr__(self) -> str:
        raise AssertionError("no code of the client is run")


class Text(dict):
    """A subclass of a built-in type, whose methods are the client's."""


async def coroutine() -> None:
    """Return nothing; it is never awaited."""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "None"),
        (12345, "12345 (int)"),
        (True, "True (bool)"),
        (1.5, "1.5 (float)"),
        (10**40, "a long number (int)"),
        (
            {"access_token": "x", "expires_in": 5, "sec ret": 1},
            "a dict with access_token, expires_in",
        ),
        ({}, "a dict"),
        (b"token", "bytes of length 5"),
        (("token", 5), "tuple of length 2"),
        ("None", "the word 'None'"),
        ("s3cret-of-the-user", "a string of length 18"),
        (Token(), "an object of class Token"),
        (Text(), "an object of class Text"),
    ],
)
def test_a_value_is_described(value, words):
    assert described_value(value) == words


def test_a_number_beyond_the_limit_of_python_is_described():
    assert described_value(10**5000) == "a long number (int)"


def test_a_coroutine_is_named():
    waiting = coroutine()
    assert described_value(waiting) == "a coroutine, which was not awaited"
    waiting.close()
