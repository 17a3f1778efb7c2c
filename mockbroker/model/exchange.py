"""Exchanges between a client and a broker, as values for the judges.

An exchange keeps both messages as they were, so that any judge can read them later. Masking happens
when they are printed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from itertools import chain

from mockbroker.model.breach import Breach
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.messages import Request, Response

__all__ = ["Endpoint", "Exchange", "Trace", "Use"]


# The objects of an exchange without their strings; each header has two strings and a tuple. An
# estimate is enough: it keeps the journal's memory within a small factor of its limit.
_OBJECTS_BYTES = 4096
# Stands for a missing response when sizes are added.
_NO_RESPONSE = Response(0)
_UNAUTHORIZED = 401


class Endpoint(str, enum.Enum):
    """The part of the broker that a request reached.

    The values are part of the JSON report's schema.
    """

    TOKEN = "token"  # noqa: S105 - an endpoint, not a password
    API = "api"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Exchange:
    """One request and its response.

    Times are Unix seconds by the broker's clock. ``response`` is None if the connection was
    reset or the response was never complete. ``credentials`` are those of the registered client
    that sent the request; the token endpoint recognises a client even from malformed credentials.
    ``token`` is the token issued (token endpoint) or presented (API), if the broker knows it.
    ``fault`` names the scripted fault that was applied. ``origin`` is the scheme, host and port
    that received the request. ``use`` is the number of the client's use in which the request
    arrived; None outside a contract run, where it is unknown. ``hint`` says what a request to an
    unknown path probably meant.
    """

    number: int
    endpoint: Endpoint
    origin: str
    received_at: float
    answered_at: float
    request: Request
    response: Response | None
    breaches: tuple[Breach, ...] = ()
    credentials: Credentials | None = None
    token: AccessToken | None = None
    token_state: TokenState | None = None
    fault: str | None = None
    use: int | None = None
    hint: str = ""

    @property
    def is_unsigned(self) -> bool:
        """Whether it is a call of the API without a token, and without an Authorization header.

        A call with something in a header of the provider's own is signed, well or badly.
        """
        if self.endpoint is not Endpoint.API or self.request.headers.get_all("Authorization"):
            return False
        if self.token is None:
            # The broker takes whatever stands in the provider's header for an unknown token.
            return self.token_state in {None, TokenState.MISSING}
        # A token may also be in the URL or in the body, where it signs nothing.
        return not any(self.token.value in value for _, value in self.request.headers)

    @property
    def is_challenge(self) -> bool:
        """Whether the API answered 401 to an unsigned call.

        A challenge-driven client provokes it: it requests a token, and repeats the call, when the
        answer says that the call needs one (RFC 6750, 3).
        """
        is_refused = self.response is not None and self.response.status == _UNAUTHORIZED
        return self.is_unsigned and is_refused

    @property
    def size_bytes(self) -> int:
        """The approximate memory of the exchange, in bytes."""
        request, response = self.request, self.response or _NO_RESPONSE
        fields = chain(request.headers.fields, response.headers.fields)
        # Characters serve as bytes: Python stores Latin-1 strings in one byte for each.
        size = sum(map(len, chain.from_iterable(fields)))
        size += len(request.method) + len(request.target) + len(request.certificate or b"")
        size += sum(len(breach.what) for breach in self.breaches)
        return _OBJECTS_BYTES + size + len(request.body) + len(response.body)

    def __repr__(self) -> str:
        status = self.response.status if self.response else "no answer"
        breached = "".join(f", breaks {breach.clause_id}" for breach in self.breaches)
        # The path without its query, and no header: either may hold a secret.
        return f"<#{self.number} {self.request.method} {self.request.path} → {status}{breached}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One use of the client under test by the contract run.

    ``token`` and ``token_state`` describe the token that ``get_token`` returned, at the moment of
    its return. Both are None for a signed call, which the API itself judges. ``error`` is the
    message of the exception, secrets masked; None if the client raised nothing.
    """

    number: int
    operation: str
    started_at: float
    ended_at: float
    token: AccessToken | None = None
    token_state: TokenState | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """All that was observed of one client, in order; ``uses`` is empty outside a contract run.

    The exchanges may begin after number 1, if the journal has dropped earlier ones.
    """

    exchanges: tuple[Exchange, ...] = ()
    uses: tuple[Use, ...] = field(default=())

    @property
    def token_requests(self) -> tuple[Exchange, ...]:
        """The exchanges with the token endpoint."""
        return tuple(e for e in self.exchanges if e.endpoint is Endpoint.TOKEN)

    @property
    def api_calls(self) -> tuple[Exchange, ...]:
        """The exchanges with the protected API."""
        return tuple(e for e in self.exchanges if e.endpoint is Endpoint.API)
