"""Search of requests for a secret that should not be in them."""

from __future__ import annotations

from mockbroker.model.credentials import Credentials
from mockbroker.model.masking import secret_forms
from mockbroker.model.messages import Request

__all__ = ["carries_secret"]


def carries_secret(request: Request, credentials: Credentials) -> bool:
    """Return whether the secret is anywhere in the request, in one of its usual encodings."""
    values = [value for _, value in request.headers]
    # Latin-1 decodes any bytes, each to one character.
    seen = " ".join((request.target, *values, request.body.decode("latin-1")))
    return any(form in seen for form in secret_forms(credentials))
