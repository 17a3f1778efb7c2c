"""Chapter ``errors``: the client's reaction to rejections, failures and timeouts.

Only repeated requests can be judged from traffic. What a client raises is seen in scenarios.
"""

from __future__ import annotations

from collections.abc import Iterator

from mockbroker.contract.clause import (
    Clause,
    Flaw,
    Impact,
    Level,
    Precondition,
    TraceJudge,
    provider,
    rfc,
)
from mockbroker.contract.profile_words import has_error_code
from mockbroker.model.exchange import Endpoint, Exchange, Trace
from mockbroker.model.profile import Profile

__all__ = [
    "BAD_REQUEST",
    "BOUNDED",
    "CAUSE",
    "CLAUSES",
    "IDLE_CONNECTION",
    "INVALID_CLIENT",
    "NOT_CACHED",
    "NO_HAMMERING",
    "PROFILE",
    "QUOTA",
    "RETRY_AFTER",
    "SERVER_ERROR",
    "TIMEOUT",
    "TRANSPORT",
]

# RFC 6749, 5.2 uses 400 and 401. 403 is not from the RFC, but many gateways send it.
_FINAL_STATUSES = frozenset({400, 401, 403})
_SAME_MOMENT_SECONDS = 1.0
"""How close two requests of an observed app must be to count as a repetition."""
_REPEATS = 2
_OBSERVED_REPEATS = 10
"""In traffic merely observed, each worker of an app may have asked once."""


def _judge_hammering(trace: Trace) -> Iterator[Flaw]:
    """Find token requests repeated at once although the refusal was final.

    Within one use of the client a second one is too many, also with other credentials or by
    another method. In traffic merely observed it is unknown where a use begins, so that only a
    series of the same request within a second counts. An API call that is refused is a new reason
    to ask.
    """
    series: list[Exchange] = []
    for exchange in trace.exchanges:
        if exchange.endpoint is not Endpoint.TOKEN or not _is_final(exchange):
            # A final rejection by the API, or a token response of any other kind, ends a series.
            series = [] if _is_final(exchange) or exchange.endpoint is Endpoint.TOKEN else series
            continue
        series = [*series, exchange] if series and _is_repeat(series[-1], exchange) else [exchange]
        if len(series) == (_OBSERVED_REPEATS if exchange.use is None else _REPEATS):
            status = exchange.response.status if exchange.response else 0
            yield Flaw(
                f"after a final refusal ({status}) the client asked again, {len(series)} times "
                "in all",
                "one attempt: asking again cannot change the answer",
                tuple(exchange.number for exchange in series),
            )


def _is_repeat(before: Exchange, now: Exchange) -> bool:
    """Return whether a token request repeats the one before, for no new reason.

    Within a use any second request is a repetition. In observed traffic it must be the same
    request, soon after.
    """
    if now.use is not None:
        return before.use == now.use
    if (before.request.body, before.credentials) != (now.request.body, now.credentials):
        return False
    return now.received_at - before.received_at < _SAME_MOMENT_SECONDS


def _stands_alone(trace: Trace) -> bool:
    """Return whether some rejection was final, without a similar request within a second of it.

    Closer requests may come from one caller or from several, so they show nothing.
    """
    latest: dict[object, Exchange] = {}
    crowded: set[int] = set()
    for exchange in trace.token_requests:
        key = (exchange.request.body, exchange.credentials)
        before = latest.get(key)
        if before and exchange.received_at - before.received_at < _SAME_MOMENT_SECONDS:
            # Both of them: neither can show whether one caller or two made them.
            crowded |= {before.number, exchange.number}
        latest[key] = exchange
    return any(_is_final(e) and e.number not in crowded for e in trace.token_requests)


def _is_final(exchange: Exchange) -> bool:
    """Return whether a response says that the same request cannot succeed later."""
    return exchange.response is not None and exchange.response.status in _FINAL_STATUSES


# RFC 6749, 5.2, on invalid_client: "Client authentication failed (e.g., unknown client, no client
# authentication included, or unsupported authentication method)."
INVALID_CLIENT = Clause(
    id="errors.invalid-client",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="raises on 401",
    sources=(rfc(6749, "5.2"),),
    consequence="a wrong or rotated secret goes unnoticed, and calls fail later without a cause",
    why="A wrong or rotated secret must be reported at once, where it happened, not later as a "
    "missing token.",
    fix="Check the status before the body, and raise on 401.",
)
BAD_REQUEST = Clause(
    id="errors.bad-request",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="raises on 400, for every error code of RFC 6749 5.2 and for a body that is not JSON",
    sources=(rfc(6749, "5.2"),),
    consequence="a refused token request goes unnoticed, and calls fail later without a cause",
    why="400 says that the request is wrong. A client that goes on without a token hides that.",
    fix="Raise on 400 whatever the body is: the JSON of RFC 6749, a page, or nothing.",
)
PROFILE = Clause(
    id="errors.profile",
    level=Level.MUST,
    impact=Impact.DIAGNOSIS,
    title="raises on the profile's own error forms",
    sources=(provider("errors"),),
    consequence="errors in the provider's own form go unnoticed, and calls fail later without "
    "a cause",
    why="Some providers answer errors with status 200, or with members of their own. A client that "
    "takes one for a success reports a missing token, and not what the provider says.",
    fix="Raise on every status but 200, and on a 200 without an access_token. Put what the "
    "provider says into the exception.",
    applies_to=lambda profile: (
        "" if profile.token_errors else f"profile {profile.name} has no error forms of its own"
    ),
)
# The provider's page says how its quota is answered; RFC 6585, 4, has the status 429: "Too Many
# Requests". A client that asks again at once cannot get another answer.
QUOTA = Clause(
    id="errors.quota",
    level=Level.SHOULD,
    impact=Impact.QUOTA,
    title="when the provider's quota is used up, sends no further token request within the call "
    "before the time to wait is over",
    sources=(provider("quotas", "errors"), rfc(6585, "4")),
    consequence="the client repeats requests that its quota refuses, which prolongs the limit",
    why="A quota is over when its period is. A client that asks again at once gets the same "
    "answer, and with some providers the period begins again.",
    fix="Recognize the provider's answer, and raise. If you repeat within a call, wait as long as "
    "the answer says, and a second at least.",
    applies_to=lambda profile: "" if profile.quotas else f"profile {profile.name} has no quota",
)
NO_HAMMERING = Clause(
    id="errors.no-hammering",
    level=Level.SHOULD,
    impact=Impact.QUOTA,
    title="makes one attempt for each call when the refusal is final (400, 401, 403)",
    sources=(rfc(6749, "5.2"),),
    consequence="the client repeats requests that were refused for good, which locks accounts",
    why="Asking again does not change a final refusal. It locks accounts, and triggers alarms at "
    "the broker.",
    fix="Retry after transport failures and 5xx only, never after 400, 401 or 403.",
    judge=TraceJudge(_judge_hammering),
    precondition=Precondition("no final refusal was seen on its own", _stands_alone),
)
# RFC 9110, 9.2.2: "A client SHOULD NOT automatically retry a failed automatic retry." The number is
# a choice: twice the attempts that errors.server-error allows.
BOUNDED = Clause(
    id="errors.bounded",
    level=Level.MUST,
    impact=Impact.QUOTA,
    title="sends at most 10 requests altogether in one use, whatever is answered",
    sources=(rfc(9110, "9.2.2"),),
    consequence="one call becomes a stream of requests without end, which blocks the caller",
    why="One call that becomes a stream of requests blocks its caller, and every caller of an app "
    "sends such a stream when the broker or the API fails.",
    fix="Count the attempts of one use, over token requests and calls together, and raise when "
    "there were enough. Never repeat without a limit.",
)
# The number is a choice: sound clients make up to 5 attempts, loops without an end many more.
SERVER_ERROR = Clause(
    id="errors.server-error",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="raises on 5xx after at most 5 attempts (the count is reported)",
    sources=(rfc(9110, "15.6"),),
    consequence="an outage of the broker goes unnoticed, or is made worse by endless retries",
    why="Retries without end multiply the load on a broker that is down, and block the caller's "
    "thread.",
    fix="Give up after a few attempts (5 at most) and raise.",
)
# RFC 9110, 10.2.3: "Servers send the "Retry-After" header field to indicate how long the user agent
# ought to wait before making a follow-up request." An "ought", hence SHOULD.
RETRY_AFTER = Clause(
    id="errors.retry-after",
    level=Level.SHOULD,
    impact=Impact.QUOTA,
    title="does not retry on its own, within a call, before Retry-After has passed (429, 503); a "
    "new call by the application may ask again",
    sources=(rfc(9110, "10.2.3"),),
    consequence="the client ignores the broker's limits, which prolongs them for every client",
    why="The broker has said when it will answer again. A request before that prolongs the limit "
    "for every client with the same credentials.",
    fix="Wait for as long as Retry-After says, or raise at once and leave the retry to the caller.",
)
TRANSPORT = Clause(
    id="errors.transport",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="raises when the connection is refused, reset, or the answer cut short",
    consequence="broken connections go unnoticed, and calls are signed with half a token or none",
    why="Half an answer is not an answer: the API refuses a token that was cut off, much later.",
    fix="Raise transport errors as they are, or wrap them. Check that the body is complete.",
)
# RFC 9112, 9.3.1: a client may repeat a request that a premature close has cut off, if it is
# idempotent or known not to have been applied. RFC 9112, 9.5: "Implementations that support
# persistent connections SHOULD constantly monitor open connections for a received closure signal".
IDLE_CONNECTION = Clause(
    id="errors.idle-connection",
    level=Level.SHOULD,
    impact=Impact.OUTAGE,
    title="takes no idle connection that the server closed meanwhile for a failure, and sends the "
    "request on a new one",
    sources=(rfc(9112, "9.3.1"), rfc(9112, "9.5")),
    consequence="a refresh fails whenever the server has closed the idle connection",
    why="Servers and load balancers close idle connections after a minute or so. Token requests "
    "are an hour apart, so that each refresh fails.",
    fix="Let the HTTP library's pool check a connection before it is used again, or open one for "
    "each token request. Repeat once on a new connection if the old one has no answer.",
)
TIMEOUT = Clause(
    id="errors.timeout",
    level=Level.SHOULD,
    impact=Impact.OUTAGE,
    title="gives up on a broker that does not answer (the time is reported)",
    consequence="a broker that does not answer stops the whole application",
    why="Without a timeout, a broker that accepts the connection and then sends nothing stops the "
    "whole application.",
    fix="Set a timeout for the token request, in seconds. requests has none by default.",
)
NOT_CACHED = Clause(
    id="errors.not-cached",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="does not remember a failure: the next call after recovery works",
    consequence="a short outage of the broker becomes a long one",
    why="A failure that the client remembers makes a short outage a long one.",
    fix="Store successful answers only, and reset unfinished state when a request fails.",
)


def _has_error_codes(profile: Profile) -> str:
    """Return why errors.cause does not apply to a profile; empty if it does."""
    form = profile.error_form("invalid_client")
    if form is None or has_error_code(form):
        return ""
    return f"the errors of profile {profile.name} have no member error, as RFC 6749 has"


# No document asks for it: hence PRACTICE. RFC 6749, 5.2 defines the codes that it is about.
CAUSE = Clause(
    id="errors.cause",
    level=Level.PRACTICE,
    impact=Impact.DIAGNOSIS,
    title="names the broker's error code in what it raises",
    sources=(rfc(6749, "5.2"),),
    consequence="the error message does not say why the broker refused the request",
    why="The error code decides whom to call: invalid_client is yours to fix, "
    "temporarily_unavailable the provider's.",
    fix="Put the status and the members error and error_description into the exception.",
    applies_to=_has_error_codes,
)

CLAUSES = (
    INVALID_CLIENT,
    BAD_REQUEST,
    PROFILE,
    QUOTA,
    NO_HAMMERING,
    BOUNDED,
    SERVER_ERROR,
    RETRY_AFTER,
    TRANSPORT,
    IDLE_CONNECTION,
    TIMEOUT,
    NOT_CACHED,
    CAUSE,
)
