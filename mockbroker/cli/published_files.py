"""The files by which other programs learn where a broker is and that it listens.

They are written at once, by a rename: a program that waits for one never reads a part of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from mockbroker.cli.observed_app import app_environment
from mockbroker.cli.serve_options import ServeSettings
from mockbroker.fake_broker import Broker

__all__ = ["environment_text", "published"]

# A shell would remove quotes, and `docker run --env-file` keeps them. Only a value that needs none
# is the same for both. A tilde is expanded by a shell, and # begins a comment for some readers.
_UNQUOTED = re.compile(r"[A-Za-z0-9_./:=@%+,?!^-]*")


@contextlib.contextmanager
def published(settings: ServeSettings, broker: Broker) -> Iterator[None]:
    """Write the files of a mounted broker; remove them at the end.

    Raises click.ClickException, with a message of one sentence, if one cannot be written.
    """
    with contextlib.ExitStack() as stack:
        if settings.env_file is not None:
            text = environment_text(app_environment(broker, ()))
            stack.enter_context(_file("--env-file", settings.env_file, text))
        if settings.key_out is not None:
            key = _private_key(broker)
            stack.enter_context(_file("--key-out", settings.key_out, key))
        if settings.cert_out is not None:
            certificate = _certificate(broker)
            stack.enter_context(_file("--cert-out", settings.cert_out, certificate))
        if settings.ready_file is not None:
            # Last, so that a program that waits for it finds the other file.
            stack.enter_context(_file("--ready-file", settings.ready_file, f"{os.getpid()}\n"))
        yield


def _private_key(broker: Broker) -> str:
    """Return the private key of the first client, in PEM. Raises click.ClickException."""
    key = broker.credentials.private_key
    if not key:
        raise click.ClickException(
            "--key-out: the broker has made no key; use a profile with private_key_jwt or "
            "tls_client_auth, and neither --client-key nor --client-cert"
        )
    return key


def _certificate(broker: Broker) -> str:
    """Return the certificate of the first client, in PEM. Raises click.ClickException."""
    if not broker.credentials.certificate_file:
        raise click.ClickException(
            "--cert-out: the broker has made no certificate; use a profile with tls_client_auth or "
            "self_signed_tls_client_auth, and no --client-cert"
        )
    return broker.credentials.certificate


def environment_text(variables: Mapping[str, str]) -> str:
    """Return lines NAME=VALUE that a shell and ``docker run --env-file`` read alike.

    Raises click.ClickException, without the value, if they would read a value differently.
    """
    for name, value in variables.items():
        if not _UNQUOTED.fullmatch(value):
            raise click.ClickException(
                f"--env-file cannot hold {name}: a shell and docker read its value differently; "
                "use letters, digits and _ . / : = @ % + , ? ! ^ - only"
            )
    return "".join(f"{name}={value}\n" for name, value in variables.items())


@contextlib.contextmanager
def _file(option: str, path: Path, text: str) -> Iterator[None]:
    """Write a file that only its owner can read; remove it after the block.

    Raises click.ClickException if it cannot be written.
    """
    try:
        _write(path, text)
    except OSError as error:
        raise click.ClickException(f"{option} {path}: {error.strerror}") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            # Another broker may have replaced it by its own.
            if path.read_text(encoding="utf-8") == text:
                path.unlink()


def _write(path: Path, text: str) -> None:
    """Replace the file at once. Raises OSError."""
    # In the same folder: a rename to another file system is not one step.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    # The mode is set on creation, because the file has a secret from its first moment.
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except OSError:
        part.unlink()
        raise
