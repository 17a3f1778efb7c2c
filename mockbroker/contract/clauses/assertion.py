"""Chapter ``assertion``: client authentication by a signed assertion (RFC 7523, 2.2).

Each part of an assertion has a clause. `problems_in` finds what is wrong with each part.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mockbroker.contract.authentication import PrivateKeyJwt
from mockbroker.contract.authentication.assertion_problems import (
    SLACK_SECONDS,
    Part,
    problems_in,
)
from mockbroker.contract.clause import (
    Clause,
    Flaw,
    Impact,
    Level,
    TokenRequestJudge,
    practice,
    rfc,
)
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.contract.method_chapters import applies_with, judge_of_part, judged_by
from mockbroker.contract.preconditions import ANY_TOKEN_REQUEST, token_request_seen
from mockbroker.model.exchange import Exchange
from mockbroker.model.token_request import TokenRequest

__all__ = [
    "AUDIENCE",
    "CLAUSES",
    "CLOCK",
    "ISSUER",
    "JTI",
    "KEY_ID",
    "LIFETIME",
    "ONLY",
    "SENT",
    "SIGNATURE",
]


_applies_to = applies_with(PrivateKeyJwt)
_judge = partial(judge_of_part, PrivateKeyJwt, problems_in)


def _judge_only(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find credentials of another method beside the assertion, and the assertion in the URL."""
    # RFC 6749, 2.3: "The client MUST NOT use more than one authentication method in each request."
    is_judged = judged_by(PrivateKeyJwt, request, expected) is not None
    if not is_judged or not request.values("client_assertion"):
        return
    places = ["an Authorization header"] if request.authorizations else []
    places += [f"a client_secret in the {place}" for place in request.places_of_secret]
    places += ["the assertion in the URL"] if "client_assertion" in request.names_in_query else []
    if places:
        what = f"the request also has {' and '.join(places)}"
        yield Flaw(what, "the assertion in the body only")


def _has_assertion(exchange: Exchange) -> bool:
    """Return whether the form has an assertion, right or wrong."""
    return bool(TokenRequest.of(exchange.request).values("client_assertion"))


_ASSERTION_SEEN = token_request_seen("no token request with an assertion was seen", _has_assertion)


# RFC 7521, 4.2: client_assertion_type and client_assertion are both REQUIRED.
SENT = Clause(
    id="assertion.sent",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="sends client_assertion_type and one client_assertion, a signed JWT, in the body",
    sources=(rfc(7521, "4.2"), rfc(7523, "2.2")),
    consequence="the broker finds no credentials and refuses every token request",
    why="A broker that expects an assertion does not look for a secret, and recognizes the form of "
    "the assertion by its type.",
    fix="Switch the library to private_key_jwt, and send "
    "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer.",
    applies_to=_applies_to,
    judge=_judge(Part.SENT),
    precondition=ANY_TOKEN_REQUEST,
)
ONLY = Clause(
    id="assertion.only",
    level=Level.MUST,
    impact=Impact.SECURITY,
    title="sends no secret, Authorization header or query parameter beside the assertion",
    sources=(rfc(6749, "2.3"),),
    consequence="a secret is sent where it is not needed, or the assertion ends up in logs",
    why="RFC 6749 forbids two ways of authentication in one request, and strict brokers answer "
    "400. The key replaces the secret, which should not be sent at all.",
    fix="Leave the client_secret out of the configuration of a client that signs.",
    applies_to=_applies_to,
    judge=TokenRequestJudge(_judge_only),
    precondition=_ASSERTION_SEEN,
)
# RFC 7523, 3: "The JWT MUST be digitally signed or have a Message Authentication Code (MAC) applied
# by the issuer."
SIGNATURE = Clause(
    id="assertion.signature",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="signs the assertion with its configured private key, by an algorithm that the profile "
    "accepts",
    sources=(rfc(7523, "3"), rfc(7515, "5.1")),
    consequence="the broker cannot verify the client and refuses every token request",
    why="A broker accepts the algorithms that it publishes, and the keys that were registered. "
    "Never none, and never a shared secret (HS256).",
    fix="Read key and algorithm from the configuration, and have a library sign the JWT.",
    applies_to=_applies_to,
    judge=_judge(Part.SIGNATURE),
    precondition=_ASSERTION_SEEN,
)
# RFC 7515, 4.1.4: kid "allows originators to explicitly signal a change of key to recipients."
KEY_ID = Clause(
    id="assertion.key-id",
    level=Level.SHOULD,
    impact=Impact.OUTAGE,
    title="names its key by kid in the header, also after the key was rotated",
    sources=(rfc(7515, "4.1.4"),),
    consequence="token requests fail when the key is rotated",
    why="During a rotation a broker has two keys of the client. Most look up the one that kid "
    "names, and refuse an assertion without it or with that of the old key.",
    fix="Configure the key's id together with the key, and put it into the header as kid.",
    applies_to=_applies_to,
    judge=_judge(Part.KEY_ID),
    precondition=_ASSERTION_SEEN,
)
# RFC 7523, 3: "For client authentication, the subject MUST be the "client_id" of the OAuth client."
ISSUER = Clause(
    id="assertion.issuer",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="puts its client_id into iss and sub, and into the parameter client_id if it sends one",
    sources=(rfc(7523, "3"), rfc(7521, "4.2")),
    consequence="the broker does not recognize the client and refuses every token request",
    why="The broker finds the client's key by iss or sub, and both must name the same client.",
    fix="Set iss and sub to the client_id.",
    applies_to=_applies_to,
    judge=_judge(Part.ISSUER),
    precondition=_ASSERTION_SEEN,
)
# RFC 7523, 3: "The authorization server MUST reject any JWT that does not contain its own identity
# as the intended audience."
AUDIENCE = Clause(
    id="assertion.audience",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="puts the configured audience into aud: the token endpoint's URL or the issuer's, as the "
    "profile says",
    sources=(rfc(7523, "3"),),
    consequence="the broker refuses every token request",
    why="The audience keeps an assertion from being used at another server. Brokers compare it "
    "character by character, and differ in which of the two URLs they expect.",
    fix="Make the audience a setting, with the token URL as its default.",
    applies_to=_applies_to,
    judge=_judge(Part.AUDIENCE),
    precondition=_ASSERTION_SEEN,
)
# RFC 7523, 3: "The JWT MUST contain an "exp" (expiration time) claim".
LIFETIME = Clause(
    id="assertion.lifetime",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="gives each assertion an exp in the future, not further ahead than the profile allows, "
    "in seconds; iat and nbf are not in the future",
    sources=(rfc(7523, "3"),),
    consequence="the broker refuses every token request, or those from the second one on",
    why="Brokers refuse assertions that have expired, that live too long, or that are not valid "
    "yet. An assertion that is made once works until it expires, and never again.",
    fix="Make the assertion just before the request, with iat now and exp one to five minutes "
    "later, in UTC.",
    applies_to=_applies_to,
    judge=_judge(Part.LIFETIME),
    precondition=_ASSERTION_SEEN,
)
# RFC 7523, 3: the server "MAY ensure that JWTs are not replayed by maintaining the set of used
# "jti" values". OpenID Connect Core, 9, requires the claim for private_key_jwt.
JTI = Clause(
    id="assertion.jti",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="makes a new assertion, with a jti of its own, for each token request, also to repeat "
    "one that failed",
    sources=(rfc(7523, "3"),),
    consequence="a retry or a refresh is refused as a replay",
    why="A broker remembers the jti of an assertion even if its answer was lost or was an error. A "
    "client that sends the same assertion again turns a short outage into a refusal.",
    fix="Make the assertion inside the function that sends the request, also in a retry, with a "
    "random jti such as uuid.uuid4().",
    applies_to=_applies_to,
    judge=_judge(Part.JTI),
    precondition=_ASSERTION_SEEN,
)
CLOCK = Clause(
    id="assertion.clock",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title=f"leaves room for a clock that is off: exp is at least {SLACK_SECONDS} s ahead",
    sources=(practice, rfc(7523, "3")),
    consequence="token requests fail on a machine whose clock is some seconds slow",
    why="The assertion's times are the client's, and the broker compares them with its own clock. "
    "An assertion that lives for a few seconds expires on the way.",
    fix="Let the assertion live for one to five minutes.",
    applies_to=_applies_to,
    judge=_judge(Part.CLOCK),
    precondition=_ASSERTION_SEEN,
)

CLAUSES = (SENT, ONLY, SIGNATURE, KEY_ID, ISSUER, AUDIENCE, LIFETIME, JTI, CLOCK)
