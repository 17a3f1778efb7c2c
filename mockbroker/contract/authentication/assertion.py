"""Client authentication by a signed assertion (RFC 7523, 2.2): private_key_jwt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mockbroker.contract.authentication.assertion_problems import Part, problems_in
from mockbroker.contract.authentication.method import AuthenticationMethod
from mockbroker.contract.authentication.pair_hints import sent_twice
from mockbroker.contract.authentication.signed_assertion import (
    ASSERTION_TYPE,
    ASSERTION_VARIABLE,
    assertion_in,
    verifying_key,
)
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.assertion_rules import ALGORITHMS
from mockbroker.model.credentials import Credentials
from mockbroker.model.token_request import TokenRequest

__all__ = ["PrivateKeyJwt"]

_NAMES = frozenset({"client_assertion", "client_assertion_type"})


class PrivateKeyJwt(AuthenticationMethod):
    """A JWT in the body that the client signs with its private key."""

    name = "private_key_jwt"
    chapter = "assertion"
    place = "by a signed assertion in the body"
    expected = "client_assertion and client_assertion_type in the body, once each"

    def is_used_in(self, request: TokenRequest) -> bool:
        """Return whether the body or the query has a parameter of an assertion."""
        return bool(_NAMES & (request.names_in_body | request.names_in_query))

    def presents(self, request: TokenRequest, credentials: Credentials) -> bool:
        """Return whether the assertion names the client and has a signature by its key."""
        assertion = assertion_in(request)
        if assertion is None or not credentials.public_keys:
            return False
        if credentials.client_id not in {assertion.text("iss"), assertion.text("sub")}:
            return False
        # Of any algorithm: one that the profile does not accept breaks a clause of its own.
        return verifying_key(assertion, credentials, ALGORITHMS) is not None

    def claimed(self, request: TokenRequest) -> Credentials | None:
        """Return None: an assertion does not show the key by which it can be verified."""
        del request
        return None

    def client_ids_in(self, request: TokenRequest) -> frozenset[str]:
        """Return the values of ``iss`` and ``sub`` that are strings."""
        assertion = assertion_in(request)
        if assertion is None:
            return frozenset()
        return frozenset({assertion.text("iss"), assertion.text("sub")}) - {""}

    def mistakes(self, request: TokenRequest, expected: TokenExpectation) -> Iterator[str]:
        """Yield the hint on each problem, and on credentials of another method beside it."""
        for problem in problems_in(request, expected):
            # Little room for a clock is advice, not a mistake of the request.
            if problem.part is not Part.CLOCK:
                yield problem.hint
        if self.is_used_in(request) and (request.authorizations or request.places_of_secret):
            yield sent_twice(self.place)

    def headers(self, credentials: Credentials) -> Mapping[str, str]:
        """Return no header fields: no header holds credentials."""
        del credentials
        return {}

    def parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """Return the parameters, with a placeholder for the assertion, which lives for minutes."""
        del credentials
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": ASSERTION_VARIABLE}

    def curl_options(self, credentials: Credentials) -> tuple[str, ...]:
        """Return curl's ``--data-urlencode`` for both parameters."""
        pairs = (f"{name}={value}" for name, value in self.parameters(credentials).items())
        return tuple(word for pair in pairs for word in ("--data-urlencode", pair))
