"""Chapter ``signing``: calls to the protected API with a token (RFC 6750).

The judges look at the form of a call. Whether its token is valid is a question of the token's
state, which chapter ``refresh`` judges.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

from mockbroker.contract.clause import (
    ApiCallJudge,
    Clause,
    Flaw,
    Impact,
    Level,
    Precondition,
    Wording,
    provider,
    rfc,
)
from mockbroker.contract.expectations import ApiExpectation
from mockbroker.contract.profile_words import refused_token, token_header
from mockbroker.model.authorization import decode_leniently, is_b64token, read_authorization
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.model.forms import (
    LOOKED_AT_BYTES,
    body_parameters,
    query_parameters,
    unquoted,
)
from mockbroker.model.masking import scheme_name
from mockbroker.model.messages import Request
from mockbroker.model.profile import Profile

__all__ = [
    "BEARER",
    "CALLERS_ARGUMENTS",
    "CLAUSES",
    "CROSS_ORIGIN",
    "FORBIDDEN",
    "HEADER_ONLY",
    "NO_CREDENTIALS",
    "NO_REPLAY",
    "NO_RETRY_STORM",
    "OTHER_HOSTS",
    "PRESERVES_REQUEST",
    "REVOKED",
    "SAME_ORIGIN_REDIRECT",
    "answered_challenges",
]

_ONE_BEARER = "one Authorization header: Bearer, one space, the token as provided"
_KINDS = {"header": "header field", "parameter": "parameter"}
# What languages print for a missing value or a boolean. Each word is also a valid b64token, so the
# grammar alone would accept it.
_WORDS_FOR_NO_TOKEN = frozenset({"None", "null", "undefined", "nil", "true", "false"})

# Shorter values occur by chance in URLs and bodies.
_MIN_TOKEN_LENGTH = 12
_MIN_SECRET_LENGTH = 6


def _judge_bearer(request: Request, expected: ApiExpectation) -> Iterator[Flaw]:
    """Find a missing or repeated header, another scheme, and a damaged token.

    Several headers are a single flaw: which of them an API reads depends on its framework.
    """
    name = expected.header
    kind = "parameter" if expected.in_query else "header"
    wanted = _ONE_BEARER if expected.is_usual else f"one {_KINDS[kind]} {expected.example}"
    values = request.headers.get_all(name)
    if len(values) != 1:
        count = f"{len(values)} {name} {kind}s" if values else f"no {name} {kind}"
        yield Flaw(f"the call has {count}", wanted)
        return
    what = _what_is_wrong(values[0], expected)
    if what:
        yield Flaw(what, wanted)


def _what_is_wrong(value: str, expected: ApiExpectation) -> str:
    """Return what is wrong with the value of the header, in words; empty if it is right.

    A token that was never issued is not a flaw of its form: the API rejects it for its state.
    """
    authorization = read_authorization(value)
    if not expected.scheme:
        if authorization.scheme:
            return f"the word {scheme_name(authorization.scheme)!r} stands before the token"
    elif not authorization.scheme:
        return f"the {expected.header} header names no scheme"
    # Compared with its case, although schemes have none (RFC 9110, 11.1): RFC 6750, 2.1 writes
    # "Bearer", and many gateways compare literally.
    elif authorization.scheme != expected.scheme:
        return f"the scheme is {scheme_name(authorization.scheme)!r}"
    token = authorization.rest
    # An exact token is right in any form: a test may set token values that are not a b64token.
    if token in expected.token_values:
        return ""
    if token in _WORDS_FOR_NO_TOKEN:
        return f"the token is the word {token!r}"
    if not is_b64token(token):
        return "what follows the scheme is not a b64token"
    if (decode_leniently(token) or b"").decode("latin-1") in expected.token_values:
        return "the token is encoded in Base64"
    damage = expected.damage_of(token)
    return damage.value if damage else ""


def _judge_header_only(request: Request, expected: ApiExpectation) -> Iterator[Flaw]:
    """Find a token in the URL or in the body."""
    # By name as well: a token of another broker is unknown here, but in a wrong place all the same.
    named = {
        "URL": any(name == "access_token" for name, _ in query_parameters(request)),
        "body": any(name == "access_token" for name, _ in body_parameters(request)),
    }
    texts = {"URL": request.target, "body": request.body[:LOOKED_AT_BYTES].decode("latin-1")}
    for place, text in texts.items():
        if named[place] or _has_token(text, expected):
            wanted = f"the token in the {expected.header} header only"
            yield Flaw(f"the token is in the {place}", wanted)


def _has_token(text: str, expected: ApiExpectation) -> bool:
    """Return whether the string has a token, also percent-encoded."""
    if not text:
        return False
    # A client that builds a URL encodes the token in it; some tokens have characters that this
    # changes.
    texts = {text, unquoted(text)}
    return any(expected.tokens_in(each, _MIN_TOKEN_LENGTH) for each in texts)


def _judge_no_credentials(request: Request, expected: ApiExpectation) -> Iterator[Flaw]:
    """Find the client's secret anywhere in the call, raw or in Base64."""
    # Every field, not only Authorization: sessions carry Basic credentials, cookies or API keys
    # over.
    fields = " ".join(value for _, value in request.headers)
    texts = (fields, request.target, unquoted(request.target))
    # The whole body, unlike above: nothing in it is decoded, so that the search is cheap.
    everything = "\n".join((*texts, request.body.decode("latin-1")))
    for pair in expected.credentials:
        basic = f"{pair.client_id}:{pair.client_secret}".encode("utf-8", "surrogatepass")
        alone = pair.client_secret.encode("utf-8", "surrogatepass")
        # The pair is searched for at any length: id and secret together do not occur by chance.
        has_pair = base64.b64encode(basic).decode() in everything
        forms = (pair.client_secret, base64.b64encode(alone).decode())
        # A secret that is the client_id may be in a token: a JWT has the id among its claims.
        is_unique = (
            len(pair.client_secret) >= _MIN_SECRET_LENGTH and pair.client_secret != pair.client_id
        )
        if has_pair or (is_unique and any(form in everything for form in forms)):
            what = "the call carries the client's credentials"
            yield Flaw(what, "the access token and no credentials")
            # One flaw for each call: credentials of a second client would need the same fix.
            return


def answered_challenges(exchanges: Iterable[Exchange]) -> frozenset[int]:
    """Return the numbers of the challenges after which the client did what they ask for.

    A client need not know in advance that a call needs a token. So an unsigned call that was
    answered 401 is not a flaw if the client then requests a token, or repeats the call with a token
    that it has.
    """
    pending: dict[tuple[int | None, str, str], list[int]] = {}
    answered: set[int] = set()
    for exchange in exchanges:
        key = (exchange.use, exchange.request.method, exchange.request.target)
        if exchange.is_challenge:
            pending.setdefault(key, []).append(exchange.number)
        elif exchange.endpoint is Endpoint.TOKEN:
            # For every call that waits: a client that many threads use sends one request for all.
            waiting = [each for each in pending if each[0] == exchange.use]
            answered.update(number for each in waiting for number in pending.pop(each))
        elif pending.get(key) and not exchange.is_unsigned:
            # One repetition for each: a client that gives up one of two calls is noticed.
            answered.add(pending[key].pop(0))
    return frozenset(answered)


_SIGNED_CALL_SEEN = Precondition(
    "no call with a token of this broker was seen",
    lambda trace: any(call.token is not None for call in trace.api_calls),
)


def _bearer_words(profile: Profile) -> Wording:
    header, scheme = profile.api_header, profile.api_scheme
    if (header, scheme) == ("Authorization", "Bearer"):
        return {}
    form = f"{scheme}, one space, the token as provided" if scheme else "the token as provided"
    return {
        "title": f"sends exactly one header {header}: {form}",
        "sources": (provider("api_header", "api_scheme"),),
        "why": "The API takes a token in one form only. Another field, another word before the "
        "token or a second field make it unreadable.",
        "fix": f"Set one header, {token_header(profile)}, and replace one that is already there.",
    }


def _header_words(profile: Profile) -> Wording:
    if profile.api_header == "Authorization":
        return {}
    return {"fix": f"Put the token into the header {profile.api_header} and nowhere else."}


def _redirect_words(profile: Profile) -> Wording:
    if profile.api_header == "Authorization":
        return {}
    return {
        "fix": "Do not follow redirects, or remove the header where the origin changes: HTTP "
        f"libraries drop Authorization there, but not {profile.api_header}.",
    }


def _revoked_words(profile: Profile) -> Wording:
    if profile.error_form("token_invalid") is None:
        return {}
    answer = refused_token(profile)
    return {
        "title": f"on {answer} gets a new token and tries once more",
        "sources": (provider("errors"), rfc(6750, "3.1")),
        "fix": f"Recognize the refusal of this provider, {answer}. Then drop the token that was "
        "refused, fetch another and repeat the call once.",
    }


# RFC 6750, 2.1: credentials = "Bearer" 1*SP b64token. The grammar allows several spaces; the
# vendor's example has one, and gateways that split at the first space fail on two.
BEARER = Clause(
    id="signing.bearer",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="sends exactly one Authorization header: Bearer, one space, the token as provided",
    sources=(provider("api_scheme", "api_header"), rfc(6750, "2.1")),
    consequence="the API cannot read the token of a call and refuses the call",
    why="Many gateways compare the header literally: another case of the scheme, two spaces or a "
    "second header make it unreadable.",
    fix='Set one header, f"Bearer {token}", and replace one that is already there.',
    wording=_bearer_words,
    judge=ApiCallJudge(_judge_bearer),
    precondition=_SIGNED_CALL_SEEN,
)
# RFC 6750, 2: "Clients MUST NOT use more than one method to transmit the token in each request."
# RFC 6750, 5.3: "Don't pass bearer tokens in page URLs".
HEADER_ONLY = Clause(
    id="signing.header-only",
    level=Level.MUST,
    impact=Impact.SECURITY,
    title="puts the token nowhere else: not in URL or body",
    sources=(rfc(6750, "2"), rfc(6750, "5.3")),
    consequence="tokens end up in URLs or bodies, and from there in logs",
    why="Access logs, browser histories and Referer headers keep a token that is in a URL.",
    fix="Put the token into the Authorization header and nowhere else.",
    wording=_header_words,
    judge=ApiCallJudge(_judge_header_only),
    precondition=_SIGNED_CALL_SEEN,
)
NO_CREDENTIALS = Clause(
    id="signing.no-credentials",
    level=Level.MUST,
    impact=Impact.SECURITY,
    title="never sends the client's credentials to the API",
    sources=(provider("client_authentication"),),
    consequence="the client secret goes to the API, which could then act in the client's name",
    why="The secret is not shared with the API: each API, and each proxy in front of it, could "
    "request tokens in the client's name.",
    fix="Use one session for the broker and another one for the API, so that neither Basic "
    "credentials nor default headers carry over.",
    judge=ApiCallJudge(_judge_no_credentials),
    precondition=_SIGNED_CALL_SEEN,
)
PRESERVES_REQUEST = Clause(
    id="signing.preserves-request",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="leaves method, path, query, body and the caller's headers as they were, also when it "
    "repeats a call",
    sources=(provider("api_scheme"),),
    consequence="calls reach the API changed, so that wrong data is read or written",
    why="Signing that loses a query, a body or a caller's header changes the request: the first "
    "page instead of the third, an order without its lines.",
    fix="Add the Authorization header to the caller's request and leave the rest as it is, also "
    "when the call is repeated after a 401.",
)
# No document binds the client here: the vendor's page has no call whose body is read once.
BODY_READ_ONCE = Clause(
    id="signing.body-read-once",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title="repeats no call with an empty body because the body, an iterator or a file, has been "
    "read to its end",
    consequence="a repeated call reaches the API with an empty body",
    why="The first attempt reads such a body. The second one sends nothing in its place, and the "
    "API stores an order without its lines.",
    fix="Give the 401 to the caller, or raise, if the body was an iterator or a file.",
)
CALLERS_ARGUMENTS = Clause(
    id="signing.callers-arguments",
    level=Level.PRACTICE,
    impact=Impact.DIAGNOSIS,
    title="does not write into the caller's headers, body or parameters",
    consequence="a token from an earlier call leaks into the caller's later calls",
    why="Callers keep such dicts for their next call. An Authorization header in one is then sent "
    "wherever that call goes, and is in the way of a later token.",
    fix="Copy headers and parameters before something is added: {**headers, ...}.",
)
# RFC 6750, 3.1, on invalid_token: "The client MAY request a new access token and retry the
# protected resource request." A MAY for the client, which experience makes a PRACTICE.
REVOKED = Clause(
    id="signing.revoked",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title="on 401 invalid_token gets a new token and tries once more",
    sources=(rfc(6750, "3.1"),),
    consequence="after a revocation, every call fails until the token would have expired",
    why="Tokens are revoked when secrets are rotated, and lost when a broker restarts. Without a "
    "second attempt every call fails until the token would have expired.",
    fix="On 401 drop the token that was refused, fetch another and repeat the call once.",
    wording=_revoked_words,
)
NO_RETRY_STORM = Clause(
    id="signing.no-retry-storm",
    level=Level.MUST,
    impact=Impact.QUOTA,
    title="when every call answers 401: at most 2 calls and 2 token requests, then an error or the "
    "401 for the caller",
    consequence="a wrong permission turns each call into many, on the API and the broker",
    why="A client that answers each 401 with a new token and a new call turns a wrong permission "
    "into load on two services, and may block its caller.",
    fix="Repeat the call once at most, then give the 401 to the caller.",
)
# RFC 9110, 9.2.2: "A client SHOULD NOT automatically retry a request with a non-idempotent method
# unless it has some means to know that the request semantics are actually idempotent".
NO_REPLAY = Clause(
    id="signing.no-replay",
    level=Level.SHOULD,
    impact=Impact.OUTAGE,
    title="does not repeat a POST or PATCH by itself after a 5xx, a timeout or a broken connection",
    sources=(rfc(9110, "9.2.2"),),
    consequence="an order that failed half-way may be placed twice",
    why="The API may have done what it was asked before it failed. A call that is sent again "
    "places an order twice.",
    fix="Repeat calls after 401 only, or limit other repetitions to GET, HEAD, PUT and DELETE.",
)
# RFC 6750, 3.1: only invalid_token says that another token may help.
FORBIDDEN = Clause(
    id="signing.forbidden",
    level=Level.SHOULD,
    impact=Impact.QUOTA,
    title="does not fetch a new token for a 403, nor for 429 or 5xx of the API",
    sources=(rfc(6750, "3.1"),),
    consequence="a busy or forbidden API costs a new token for each call",
    why="403, 429 and 5xx do not say that the token is bad. A new token cannot help, and adds load "
    "to a service that has too much.",
    fix="Fetch a new token after 401 only.",
)
# RFC 9110, 15.4 names Authorization among the fields to remove before a redirect is followed.
CROSS_ORIGIN = Clause(
    id="signing.cross-origin",
    level=Level.MUST,
    impact=Impact.SECURITY,
    title="does not carry the token to another origin when redirected",
    sources=(rfc(6750, "5.3"), rfc(9110, "15.4")),
    consequence="a redirect gives a working token to another site",
    why="Otherwise any site that the API can be made to redirect to gets a working token.",
    fix="Let the HTTP library drop Authorization where the origin changes, or do not follow "
    "redirects. Add the header to the first request only.",
    wording=_redirect_words,
)
# RFC 9110, 15.4 lets a client follow a redirect by itself or give the answer to its user. Of the
# fields to remove it names Authorization only where the origin changes.
SAME_ORIGIN_REDIRECT = Clause(
    id="signing.same-origin-redirect",
    level=Level.SHOULD,
    impact=Impact.OUTAGE,
    title="follows a redirect within the origin with the token, or gives the answer back",
    sources=(rfc(9110, "15.4"),),
    consequence="calls fail when the API redirects within its own site",
    why="A call that is sent on without its token ends with a 401 that says nothing about the "
    "redirect, and costs a new token.",
    fix="Keep Authorization while scheme, host and port are the same, or do not follow redirects.",
)
# RFC 6750, 5.3: "Client implementations MUST ensure that bearer tokens are not leaked to unintended
# parties". Which party is meant only the configuration says: hence PRACTICE.
OTHER_HOSTS = Clause(
    id="signing.other-hosts",
    level=Level.PRACTICE,
    impact=Impact.SECURITY,
    title="does not sign calls to other origins than the API that it was configured for",
    sources=(rfc(6750, "5.3"),),
    consequence="a call to another site gives it a working token",
    why="A picture's URL from an answer, or a webhook of a customer, is called with the same "
    "client: its host then has a working token.",
    fix="Compare scheme, host and port of the URL with those of the API. If they differ, raise, or "
    "send the call without a token.",
)

CLAUSES = (
    BEARER,
    HEADER_ONLY,
    NO_CREDENTIALS,
    PRESERVES_REQUEST,
    BODY_READ_ONCE,
    CALLERS_ARGUMENTS,
    REVOKED,
    NO_RETRY_STORM,
    NO_REPLAY,
    FORBIDDEN,
    CROSS_ORIGIN,
    SAME_ORIGIN_REDIRECT,
    OTHER_HOSTS,
)
