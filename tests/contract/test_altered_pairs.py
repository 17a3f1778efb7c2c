"""What a program did to the credentials before it sent them, and the hint that names it."""

from __future__ import annotations

import pytest

from mockbroker.contract.expectations import TokenExpectation
from mockbroker.contract.hints import hints_for_token_request
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import AUTOGRAB, RFC6749, Profile
from mockbroker.model.token_request import TokenRequest
from tests.contract.test_hints import GRANT, POST, b64, parsed, raw

ALTERED = [
    ("s3$cret", "s3", "expanded as a variable"),
    ("a$HOME-x9", "a/root-x9", "expanded as a variable"),
    ("${A}mid$B-end", "1mid2-end", "expanded as a variable"),
    ("a$(id)bcd", "abcd", "expanded as a variable"),
    ("~/abcd", "/root/abcd", "home folder"),
    ("ab+cd", "ab cd", "became a space"),
    ("ab%41cd", "abAcd", "percent-decoded"),
    ("a+b%41cd", "a bAcd", "form-decoded"),
    ("ab:cd", "ab", "cut at its ':'"),
    ("ab:cd", "cd", "before the last ':'"),
    ("ab#cd", "ab", "cut at its '#'"),
    ("abcdefgh", "abcd", "cut after 4 characters"),
    ("AbCd", "abcd", "in lower case"),
    ("AbCd", "ABCD", "in upper case"),
    ("a\"b'c", "abc", "the quotes in the credentials are missing"),
    ("a\"b'c", "ab'c", "the double quotes"),
    ("a\"b'c", 'a"bc', "the single quotes"),
    ('a"b', 'a\\"b', "escaped as in JSON"),
    ("a\\b", "ab", "the backslashes in the credentials are missing"),
    ("a\\tb", "a\tb", "escapes in the credentials were replaced"),
    ("a\\x41b", "aAb", "escapes in the credentials were replaced"),
    ("a\\u0041b", "aAb", "escapes in the credentials were replaced"),
    ("Test123!", "Test123\\!", "a backslash before the !"),
    ("Test123!", "Test123\\\\!", "backslashes before the !"),
    ("a&b", "a&amp;b", "escaped as in HTML"),
    ("a&amp;b", "a&b", "entities of HTML"),
    ("a-b", "a\u2013b", "typographic"),
    ("{{0}}", "{0}", "single brace"),
    ("a%%b", "a%b", "%% in the credentials"),
    ("a$$b", "a$b", "$$ in the credentials"),
    ("a b  c", "abc", "the white space in the credentials is missing"),
    ("a b  c", "a b c", "white space in the credentials was changed"),
    ("ab==", "ab", "the = at the end"),
    ("a:b:c", "abc", "the colons in the secret"),
    # What matches by chance only has no name.
    ("$x", "anything", "with another secret"),
    ("~ab", "/else", "with another secret"),
    ("${A}mid$B-end", "1-end2mid", "with another secret"),
    ("abc$D-efg", "abc-e", "with another secret"),
    ("${A}abc${B}", "xyz-1", "with another secret"),
    ("one-secret", "another-secret", "with another secret"),
]


def hint_on(secret: str, sent: str, profile: Profile = AUTOGRAB) -> str:
    known = (Credentials("shop", secret),)
    expectation = TokenExpectation(profile, profile.token_path, known)
    request = raw("Basic " + b64(f"shop:{sent}"))
    return "; ".join(hints_for_token_request(TokenRequest.of(parsed(request)), expectation))


@pytest.mark.parametrize(("secret", "sent", "words"), ALTERED)
def test_an_alteration_is_named(secret, sent, words):
    assert words in hint_on(secret, sent)


@pytest.mark.parametrize(("secret", "sent", "_"), ALTERED)
def test_a_hint_quotes_no_part_of_a_secret(secret, sent, _):
    hint = hint_on(secret, sent)
    assert secret not in hint
    assert sent not in hint.split()


def test_an_id_may_be_altered_alone():
    known = (Credentials("Shop", "s3cret"),)
    expectation = TokenExpectation(AUTOGRAB, AUTOGRAB.token_path, known)
    request = TokenRequest.of(parsed(raw("Basic " + b64("shop:s3cret"))))
    assert "in lower case" in "; ".join(hints_for_token_request(request, expectation))


def test_alterations_are_looked_for_below_the_form_encoding():
    assert "in lower case" in hint_on("A+b", "a%2Bb", RFC6749)
    assert "encoded twice" in hint_on("A+b", "A%25252Bb", RFC6749)


def test_an_altered_secret_in_the_body_is_named():
    expectation = TokenExpectation(POST, POST.token_path, (Credentials("shop", "s3$cret"),))
    body = GRANT + b"&client_id=shop&client_secret=s3"
    request = TokenRequest.of(parsed(raw(None, body=body)))
    assert "expanded as a variable" in "; ".join(hints_for_token_request(request, expectation))


def test_the_secret_of_another_client_is_no_expansion():
    known = (Credentials("other", "abc$D-efg"), Credentials("shop", "s3cret"))
    expectation = TokenExpectation(AUTOGRAB, AUTOGRAB.token_path, known)
    request = TokenRequest.of(parsed(raw("Basic " + b64("shop:abc1-efg"))))
    assert "with another secret" in "; ".join(hints_for_token_request(request, expectation))
