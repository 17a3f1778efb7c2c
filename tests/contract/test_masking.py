"""Text that may be printed holds no secret and no token."""

from __future__ import annotations

import base64

import pytest

from mockbroker import Credentials
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.contract.judging import judge_token_request
from mockbroker.model.exchange_text import curl
from mockbroker.model.masking import mask, secret_forms
from mockbroker.model.messages import Headers, Request
from mockbroker.model.profile import AUTOGRAB
from mockbroker.model.token_request import TokenRequest


@pytest.mark.parametrize("secret", ["", "a", "abc"])
def test_a_form_too_short_to_be_told_from_other_text_masks_nothing(secret):
    assert mask("an abc of a client", [Credentials("shop", secret)]) == "an abc of a client"
    assert all(len(form) >= 4 for form in secret_forms(Credentials("shop", secret)))


def test_no_form_comes_twice():
    forms = secret_forms(Credentials("shop", "plain"))
    assert len(forms) == len(set(forms))


def test_what_was_put_in_place_of_a_secret_is_not_masked_again():
    pairs = [Credentials("a", "first-one"), Credentials("b", "secret"), Credentials("c", "token")]
    assert mask("first-one secret t0ken token", pairs, {"t0ken"}) == (
        "<secret> <secret> <token> <secret>"
    )


def test_the_longest_secret_is_masked_whole():
    pairs = [Credentials("a", "short"), Credentials("b", "shorter")]
    assert mask("shorter", pairs) == "<secret>"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("text", ["shop:s>>>?~\xff", "s>>>?~\xff"])
def test_either_base64_alphabet_is_masked(encode, text):
    assert mask(encode(text.encode()).decode(), [Credentials("shop", "s>>>?~\xff")]) == "<secret>"


@pytest.mark.parametrize(
    "body",
    [
        "client_secret=hush%2Fhush&a=1",
        "Client_Secret=hush%2Fhush&a=1",
        "client%5fsecret=hush%2Fhush&a=1",
        '{"client_secret": "hush", "a": 1}',
        '{"ACCESS_TOKEN":"hu\\"hush", "a": 1}',
        '{"refresh_token" : "hush", "a": 1}',
        "%7B%22client_secret%22%3A%20%22hush%2Fhush%22%2C%22a%22%3A1%7D",
    ],
)
def test_parameters_that_hold_secrets_are_masked_in_forms_and_json(body):
    shown = curl(Request("POST", "/t", Headers(()), body.encode()), str)
    assert "hush" not in shown
    assert "<masked>" in shown
    assert "a" in shown.partition("<masked>")[2]


LONG = Credentials("shop", "a secret with 'quotes' and a good length")


def hide(text: str) -> str:
    return mask(text, [LONG])


@pytest.mark.parametrize("before", range(160, 201))
def test_a_body_is_masked_before_it_is_cut_and_quoted_for_the_shell(before):
    body = b"x" * before + LONG.client_secret.encode() + b"x" * 40_000
    shown = curl(Request("POST", "/t", Headers(()), body), hide)
    assert set(shown.partition("--data-raw ")[2]) <= set("x<secret>…'")


@pytest.mark.parametrize("length", [39, 41, 99, 101, 5000])
def test_no_judge_cuts_a_name_in_two(length):
    secret = "k" + "7" * (length - 1)
    body = f"grant_type=client_credentials&{secret}=1".encode()
    request = Request("POST", "/t", Headers.of([("Accept", secret)]), body)
    expectation = TokenExpectation(AUTOGRAB, "/t", (Credentials("shop", secret),))
    shown = "".join(b.in_words for b in judge_token_request(TokenRequest.of(request), expectation))
    assert "777" not in mask(shown, expectation.credentials)


@pytest.mark.parametrize(
    ("scheme", "shown"),
    [
        ("Negotiate", True),
        ("AWS4-HMAC-SHA256", True),
        ("PrivateToken", True),
        ("a1b2c3d4e5f6", False),
        ("half-of-a-password-x", False),
    ],
)
def test_a_scheme_is_told_only_if_it_looks_like_one(scheme, shown):
    request = Request("POST", "/t", Headers.of([("Authorization", f"{scheme} x")]))
    expectation = TokenExpectation(AUTOGRAB, "/t", (Credentials("shop", "s3cr:et"),))
    told = "".join(b.in_words for b in judge_token_request(TokenRequest.of(request), expectation))
    assert (scheme in told + curl(request, str)) == shown


def test_a_character_in_two_halves_is_masked_as_the_whole_one():
    pair = Credentials("shop", "s3cr\U0001f600et-long")
    assert mask("<s3cr\ud83d\ude00et-long>", [pair]) == "<<secret>>"


def test_a_secret_of_few_ascii_characters_masks_nothing_but_itself():
    pair = Credentials("shop", "пароль-для-проверки-abcd")
    assert mask("abcd -abcd", [pair]) == "abcd -abcd"
    assert mask(f"<{pair.client_secret}>", [pair]) == "<<secret>>"
