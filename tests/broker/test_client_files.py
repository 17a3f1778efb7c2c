"""`mockbroker serve` reads keys or the certificate of its first client from a file."""

from __future__ import annotations

import click
import pytest

from mockbroker.cli.made_broker import make_broker
from tests.broker.serving import serve_settings

METHODS = {"client_key": "private_key_jwt", "client_cert": "tls_client_auth"}
"""The option of a file, and the method of client authentication that needs it."""

UNUSABLE = {
    "missing": (None, {"client_key": "No such file", "client_cert": "No such file"}),
    "binary": (b"\xff\xfe", {"client_key": "not text", "client_cert": "not text"}),
    "a word": (
        b"something",
        {"client_key": "neither a JWK Set nor PEM", "client_cert": "is not PEM"},
    ),
}


@pytest.mark.parametrize("option", METHODS)
@pytest.mark.parametrize("name", UNUSABLE)
def test_a_file_that_cannot_be_used_is_one_sentence(name, option, tmp_path):
    config = tmp_path / "profiles.toml"
    config.write_text(f'[profiles.acme]\nclient_authentication = "{METHODS[option]}"\n')
    content, words = UNUSABLE[name]
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(click.ClickException) as error:
        make_broker(serve_settings(config, "acme", **{option: path}))
    assert error.value.message.startswith(f"--{option.replace('_', '-')} {path}: ")
    assert words[option] in error.value.message


@pytest.mark.parametrize(
    ("option", "lack"), [("client_key", "no key"), ("client_cert", "no certificate")]
)
def test_a_file_needs_a_profile_with_its_method(option, lack, tmp_path):
    settings = serve_settings(None, "rfc6749", **{option: tmp_path / "file"})
    with pytest.raises(click.ClickException, match=f"profile rfc6749 have {lack}"):
        make_broker(settings)
