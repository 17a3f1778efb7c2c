"""Credentials as values."""

from __future__ import annotations

import pytest

from mockbroker.model.credentials import same_text


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("s3cr:et", "s3cr:et", True),
        ("s3cr:et", b"s3cr:et", True),
        ("ö\ud800", "ö\ud800", True),
        ("ö", "ö".encode("latin-1"), False),
        ("s3cr:et", "s3cr:e", False),
        ("", "", True),
    ],
)
def test_texts_are_compared_whatever_they_are_made_of(a, b, same):
    assert same_text(a, b) is same
