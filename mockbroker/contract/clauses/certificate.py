"""Chapter ``certificate``: client authentication by a certificate in TLS (RFC 8705).

`problems_in` finds what is wrong with a token request, `binding_problem` with a call of the API.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mockbroker.contract.authentication import ClientCertificateMethod
from mockbroker.contract.authentication.certificate_problems import (
    CertificatePart,
    other_credentials,
    problems_in,
)
from mockbroker.contract.authentication.token_binding import binding_problem
from mockbroker.contract.clause import (
    ApiCallJudge,
    Clause,
    Flaw,
    Impact,
    Level,
    Precondition,
    TokenRequestJudge,
    rfc,
)
from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.contract.method_chapters import applies_with, judge_of_part, judged_by
from mockbroker.contract.preconditions import ANY_TOKEN_REQUEST, token_request_seen
from mockbroker.model.exchange import Exchange, Trace
from mockbroker.model.messages import Request
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = ["API", "CLAUSES", "CLIENT_ID", "ONLY", "PRESENTED"]


_applies_to = applies_with(ClientCertificateMethod)
_judge = partial(judge_of_part, ClientCertificateMethod, problems_in)


def _binds_tokens(profile: Profile) -> str:
    """Return why the clause on bound tokens does not apply to a profile; empty if it does."""
    if profile.certificate.bound_tokens:
        return _applies_to(profile)
    return f"profile {profile.name} binds no token to a certificate"


def _judge_only(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find credentials of another method beside the certificate."""
    # RFC 6749, 2.3: "The client MUST NOT use more than one authentication method in each request."
    is_judged = judged_by(ClientCertificateMethod, request, expected) is not None
    others = other_credentials(request)
    if is_judged and request.message.certificate and others:
        what = f"the request also has {' and '.join(others)}"
        yield Flaw(what, "the certificate and client_id only")


def _judge_api(request: Request, expected: ApiExpectation) -> Iterator[Flaw]:
    """Find a bound token that is presented with another certificate, or without one."""
    problem = binding_problem(request, expected)
    if problem is not None:
        what = f"the call presents a token {problem.value}"
        yield Flaw(what, "the certificate to which the token is bound")


def _has_certificate(exchange: Exchange) -> bool:
    """Return whether the connection has a certificate of the client, right or wrong."""
    return bool(exchange.request.certificate)


def _has_bound_token(trace: Trace) -> bool:
    """Return whether a call presents a token that is bound to a certificate."""
    return any(call.token is not None and call.token.bound_to for call in trace.api_calls)


_CERTIFICATE_SEEN = token_request_seen(
    "no token request with a client certificate was seen", _has_certificate
)


# RFC 8705, 2: "In order to utilize TLS for OAuth client authentication, the TLS connection between
# the client and the authorization server MUST have been established or re-established with
# mutual-TLS X.509 certificate authentication".
PRESENTED = Clause(
    id="certificate.presented",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="makes each token request over TLS with its configured certificate",
    sources=(rfc(8705, "2"),),
    consequence="the broker does not recognize the client and refuses every token request",
    why="The certificate of the connection is the client's only credential. The broker "
    "does not look for a secret, and cannot know who has made a connection without it.",
    fix="Give certificate and private key to the HTTP client that sends the token request, such as "
    "cert=(certificate_file, key_file) of requests, or load_cert_chain of an SSLContext.",
    applies_to=_applies_to,
    judge=_judge(CertificatePart.PRESENTED),
    precondition=ANY_TOKEN_REQUEST,
)
# RFC 8705, 2: "For all requests to the authorization server utilizing mutual-TLS client
# authentication, the client MUST include the client_id parameter".
CLIENT_ID = Clause(
    id="certificate.client-id",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="sends its client_id in the body of the token request, once",
    sources=(rfc(8705, "2"),),
    consequence="the broker cannot find the client's registration and refuses every token request",
    why="A broker looks up the registration by client_id, and compares the certificate with it. "
    "The subject of a certificate need not be the client_id.",
    fix="Add client_id to the parameters of the token request.",
    applies_to=_applies_to,
    judge=_judge(CertificatePart.CLIENT_ID),
    precondition=_CERTIFICATE_SEEN,
)
ONLY = Clause(
    id="certificate.only",
    level=Level.MUST,
    impact=Impact.SECURITY,
    title="sends no secret, assertion or Authorization header beside the certificate",
    sources=(rfc(6749, "2.3"),),
    consequence="a secret is sent where it is not needed, or strict brokers refuse the request",
    why="RFC 6749 forbids two ways of authentication in one request, and strict brokers answer "
    "400. The certificate replaces the secret, which should not be sent at all.",
    fix="Leave the client_secret out of the configuration of a client that has a certificate.",
    applies_to=_applies_to,
    judge=TokenRequestJudge(_judge_only),
    precondition=_CERTIFICATE_SEEN,
)
# RFC 8705, 3: "the client makes protected resource requests, as described in [RFC6750], however,
# those requests MUST be made over a mutually authenticated TLS connection using the same
# certificate that was used for mutual TLS at the token endpoint."
API = Clause(
    id="certificate.api",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="calls the API with the certificate of the token request, if the token is bound to it",
    sources=(rfc(8705, "3"),),
    consequence="the API refuses every call with 401 invalid_token",
    why="A bound token is worthless without the private key, so that a stolen one cannot be used. "
    "A client that has the certificate in the HTTP client for tokens only, or that keeps a token "
    "when the certificate is renewed, is refused in the same way as a thief.",
    fix="Give the same certificate and private key to the HTTP client of the API, and request a "
    "new token when the certificate changes.",
    applies_to=_binds_tokens,
    judge=ApiCallJudge(_judge_api),
    precondition=Precondition(
        "no call with a token that is bound to a certificate was seen", _has_bound_token
    ),
)

CLAUSES = (PRESENTED, CLIENT_ID, ONLY, API)
