"""Exchanges as text: a line for each, and a token request as a curl command.

The broker's messages and the reports share these lines.
"""

from __future__ import annotations

import shlex

from mockbroker.model.authorization import read_authorization
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.model.exchange_record import ExchangeRecord, record_of
from mockbroker.model.masking import Mask, mask_body, mask_to_length, method_name, scheme_name
from mockbroker.model.messages import Request

__all__ = ["answer_text", "curl", "describe", "exchange_text", "request_text"]

_MAX_BODY = 200
"""How many characters of a body a curl command shows; a token request has about 30."""
_MAX_WORD = 2000
"""How many characters of any other word of a command are shown."""


def describe(exchange: Exchange) -> str:
    """Return an exchange as text, its parameters masked: see `exchange_text`."""
    return exchange_text(record_of(exchange))


def exchange_text(record: ExchangeRecord) -> str:
    """Return one line for the exchange, and one below it for each breach that it shows.

    Credentials are never part of it, tokens only by their numbers.
    """
    fault = f" [fault: {record.fault}]" if record.fault else ""
    carried = _authorization(record)
    line = f"#{record.number} {record.method} {record.target} {carried} → {answer_text(record)}"
    notes = (f"\n    ✗ {breach.clause_id}: {breach.what}" for breach in record.breaches)
    return f"{line}{fault}{''.join(notes)}"


def request_text(record: ExchangeRecord) -> str:
    """Return the request in a few words: the method, the target, and the token it presents."""
    token = f" with <{_presented(record)}>" if record.token_state is not None else ""
    return f"{record.method} {record.target}{token}"


def answer_text(record: ExchangeRecord) -> str:
    """Return the answer in a few words: the status, and the token that was issued.

    "no complete answer" stands for a reset connection and for a response that was cut.
    """
    if record.status is None:
        return "no complete answer"
    if record.expires_in is None:
        return str(record.status)
    return f"{record.status} token #{record.token}, expires_in={record.expires_in:.15g}"


def _authorization(record: ExchangeRecord) -> str:
    """Return how a request is authorized, without its credentials."""
    if record.scheme is None:
        is_signed = record.token_state is not None
        return f"<{_presented(record)}>" if is_signed else "(no Authorization)"
    scheme = record.scheme or "(no scheme)"
    if record.endpoint is Endpoint.TOKEN:
        # Masked as a whole: credentials that match no registered client are unknown to any mask.
        return f"Authorization: {scheme} <masked>"
    return f"Authorization: {scheme} <{_presented(record)}>"


def _presented(record: ExchangeRecord) -> str:
    """Return which token a call presents, by its number, and the state of that token."""
    label = "a token" if record.token is None else f"token #{record.token}"
    return f"{label}, {record.token_state}"


def curl(request: Request, mask: Mask) -> str:
    """Return a curl command that sends the token request, with variables for URL and credentials.

    ``mask`` is applied before the body is cut and before anything is quoted for the shell.
    """

    def word(text: str) -> str:
        """Return a part of the request as one word of the shell, masked and cut."""
        return shlex.quote(mask_to_length(text, mask, _MAX_WORD))

    url = '"$TOKEN_URL"' + (word(f"?{request.query}") if request.query else "")
    # Without -X curl chooses the method itself, and hides a wrong one.
    words = ["curl", "-i", "-X", word(method_name(request.method)), url]
    for name, value in request.headers:
        # Only the fields on which clauses depend. Others may hold secrets that no mask knows.
        if name.lower() in {"content-type", "accept"}:
            words += ["-H", word(f"{name}: {value}")]
    authorization = request.headers.get("Authorization")
    if authorization is not None:
        words += _credentials_for_curl(authorization)
    if request.body:
        # Not --data: with it curl reads a file if the body begins with @.
        words += ["--data-raw", shlex.quote(mask_body(request.body, mask, _MAX_BODY))]
    return " ".join(words)


def _credentials_for_curl(authorization: str) -> list[str]:
    """Return curl's options for the credentials, with variables of the shell for their values."""
    scheme = scheme_name(read_authorization(authorization).scheme)
    if scheme.lower() == "basic":
        # Variables of the shell instead of the values: the command stands in reports that are
        # shared.
        return ["-u", '"$CLIENT_ID:$CLIENT_SECRET"']
    return ["-H", shlex.quote(f"Authorization: {scheme} ") + '"$TOKEN"']
