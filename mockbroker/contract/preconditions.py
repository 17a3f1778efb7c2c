"""What traffic must show before a client keeps a clause on token requests: such a request."""

from __future__ import annotations

from collections.abc import Callable

from mockbroker.contract.clause import Precondition
from mockbroker.model.exchange import Exchange
from mockbroker.model.forms import METHODS_WITHOUT_BODY

__all__ = ["ANY_TOKEN_REQUEST", "BODY_SEEN", "has_body", "is_accepted", "token_request_seen"]


def token_request_seen(lack: str, fits: Callable[[Exchange], bool]) -> Precondition:
    """Make the precondition that some token request fits.

    ``lack`` is what a report says while none does.
    """
    return Precondition(lack, lambda trace: any(fits(e) for e in trace.token_requests))


def has_body(exchange: Exchange) -> bool:
    """Return whether the method of a request allows parameters in its body."""
    return exchange.request.method not in METHODS_WITHOUT_BODY


def is_accepted(exchange: Exchange) -> bool:
    """Return whether the broker issued a token, and found nothing wrong with the request's form.

    Then its parameters have the form of the profile, which an exchange does not name.
    """
    is_formal = not any(breach.clause_id.startswith("request.") for breach in exchange.breaches)
    return exchange.token is not None and is_formal


ANY_TOKEN_REQUEST = token_request_seen("no token request was seen", lambda _: True)
BODY_SEEN = token_request_seen("no token request except by GET was seen", has_body)
