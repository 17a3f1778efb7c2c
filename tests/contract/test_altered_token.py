"""What a program did to a token before it presented it."""

from __future__ import annotations

import pytest

from mockbroker.contract.altered_token import altered_token


@pytest.mark.parametrize(
    ("issued", "presented", "words"),
    [
        ("Ab1-_.x", "b'Ab1-_.x'", "was bytes"),
        ("Ab1", '"Ab1"', "written as JSON"),
        ("Ab1", "'Ab1'", "written by repr()"),
        ("Ab1", "ab1", "lower case"),
        ("Ab1", "AB1", "upper case"),
        ("A+b/c==", "A%2Bb%2Fc%3D%3D", "percent-encoded"),
        ("A+b/c==", "A%2Bb/c%3D%3D", "percent-encoded"),
        ("A+b", "b", "each + became a space"),
        ("A+b", "A b", "each + became a space"),
        ("abc", "YWJj", "encoded in Base64"),
        ("A-b==", "A-b", "the = at the end"),
        ("A-b_c", "A+b/c", "became + and /"),
        ("A+b/c", "A-b_c", "became - and _"),
        ("abc", "None", "the word 'None'"),
        ("1.5e3", "1500.0", "read as a number"),
        ("ab.cd.ef", "ab", "cut at its '.'"),
        ("ab.cd.ef", "ef", "before a '.'"),
        ("abcdefgh", "abcd", "cut after 4 characters"),
    ],
)
def test_an_alteration_is_named(issued, presented, words):
    assert words in altered_token(issued, presented)


@pytest.mark.parametrize(
    ("issued", "presented"),
    [("abc", "abc"), ("abc", "xyz"), ("abc", ""), ("abc", "a"), ("abc", "bc"), ("a", "abc")],
)
def test_what_is_unknown_or_by_chance_has_no_name(issued, presented):
    assert altered_token(issued, presented) == ""
