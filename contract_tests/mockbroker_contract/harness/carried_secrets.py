"""Search of requests for a secret that should not be in them."""

from __future__ import annotations

from mockbroker.model.credentials import Credentials
from mockbroker.model.masking import secret_forms
from mockbroker.model.messages import Request

__all__ = ["carries_credentials", "carries_secret"]


def carries_secret(request: Request, credentials: Credentials) -> bool:
    """Return whether the secret or the private key is anywhere in the request.

    Both are found in their usual encodings.
    """
    values = [value for _, value in request.headers]
    # Latin-1 decodes any bytes, each to one character.
    seen = " ".join((request.target, *values, request.body.decode("latin-1")))
    return any(form in seen for form in secret_forms(credentials))


def carries_credentials(request: Request, credentials: Credentials) -> bool:
    """Return whether the request has the secret, or an assertion that the client signed."""
    # The receiver of an assertion can present it to the server that it was meant for.
    return b"client_assertion=" in request.body or carries_secret(request, credentials)
