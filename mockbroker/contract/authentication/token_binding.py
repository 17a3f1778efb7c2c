"""Whether a call has the certificate to which its token is bound (RFC 8705, 3)."""

from __future__ import annotations

import enum

from mockbroker.contract.authentication.client_certificate import thumbprint_of
from mockbroker.contract.expectations import ApiExpectation
from mockbroker.model.messages import Request

__all__ = ["BindingProblem", "binding_problem"]


class BindingProblem(enum.Enum):
    """What is wrong with the certificate of a call; the values are the words of a message."""

    NO_CERTIFICATE = "without a client certificate"
    OTHER_CERTIFICATE = "with another certificate than its token request had"


def binding_problem(request: Request, expected: ApiExpectation) -> BindingProblem | None:
    """Return what is wrong with the certificate; None if the token is not bound, or bound to it."""
    if not expected.bound_to or request.certificate is None:
        return None
    if not request.certificate:
        return BindingProblem.NO_CERTIFICATE
    is_same = thumbprint_of(request.certificate) == expected.bound_to
    return None if is_same else BindingProblem.OTHER_CERTIFICATE
