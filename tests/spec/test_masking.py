"""Text that may be printed holds no secret and no token."""

from __future__ import annotations

import base64

import pytest

from mockbroker import Credentials
from mockbroker.spec.masking import curl, mask, secret_forms
from mockbroker.spec.messages import Headers, Request


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
