"""Chapter ``refresh``: replacing a token in time, not too often, and by the same grant.

Sound clients differ in their leeway, from none to ten minutes, so no judge expects a certain one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from mockbroker.contract.clause import (
    Clause,
    Flaw,
    Impact,
    Level,
    Precondition,
    TraceJudge,
    Wording,
    names_lifetime,
    provider,
    rfc,
)
from mockbroker.contract.profile_words import quota_in_words
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.exchange import Endpoint, Exchange, Trace, Use
from mockbroker.model.forms import body_parameters
from mockbroker.model.profile import Profile, Quota, TokenPolicy

__all__ = [
    "AHEAD",
    "CLAUSES",
    "CLOCK_CHANGES",
    "HONOURS_EXPIRES_IN",
    "LATENCY",
    "NOT_TOO_EAGER",
    "OFFERED_REFRESH_TOKEN",
    "OUTAGE_AFTER_EXPIRY",
    "OUTAGE_WHILE_VALID",
    "QUOTA",
    "RECOVERS",
    "RECOVERS_AT_ONCE",
    "REFUSED_WHILE_VALID",
    "SAME_GRANT",
    "SAME_TOKEN",
    "SHORT_LIVED",
    "SINGLE_LIVE_TOKEN",
    "ZERO_LIFETIME",
    "late_use",
    "tokens_needed",
]

_SAME_MOMENT_SECONDS = 1.0
"""How long after its expiry an observed app may still use a token: a call takes time to arrive."""
_LAST_PART = 0.1
"""How much of a token's lifetime is left, as a fraction, when it nears its expiry."""


def _judge_expiry(trace: Trace) -> Iterator[Flaw]:
    """Find expired tokens that were presented to the API, or returned by ``get_token``.

    A token with a lifetime of 0 does not count: `refresh.zero-lifetime` is about it. Nor does a
    token fetched within the same use. In traffic merely observed, one that expired less than a
    second ago does not count either: the client counts from when it received the answer, and its
    call takes time to arrive.
    """
    for call in trace.api_calls:
        token = _expired_token_of(call)
        if token is not None and not _is_excused(call, trace):
            yield late_use(token, call.received_at, (call.number,))
    for use in trace.uses:
        token = _expired_token_of(use)
        if token is not None and not _fetched_in(use.number, token, trace):
            yield late_use(token, use.ended_at)


def _expired_token_of(presenter: Exchange | Use) -> AccessToken | None:
    """Return the token of a call or a use if it had expired at that moment, or None."""
    token = presenter.token if presenter.token_state is TokenState.EXPIRED else None
    return token if token is not None and token.expires_in > 0 else None


def late_use(token: AccessToken, now: float, exchanges: tuple[int, ...] = ()) -> Flaw:
    """Describe the use of an expired token; ``now`` is when it was used, in Unix seconds."""
    late = round(now - token.expires_at, 1)
    when = f"{late:g} s after it expired" if late > 0 else "at the moment it expired"
    return Flaw(
        f"the client used {token.label} (expires_in={token.expires_in:g}) {when}",
        "a new token: a token issued at t is valid while now < t + expires_in",
        exchanges,
    )


def _is_excused(call: Exchange, trace: Trace) -> bool:
    """Return whether a call with an expired token shows no mistake of the client.

    In a contract run that is a token fetched within the same use. In observed traffic the client
    may have received the token, or begun its call, before the expiry.
    """
    # A test may let a token expire early. The client was promised more, and cannot know.
    if call.token is not None and call.received_at < call.token.expires_at:
        return True
    if call.use is not None:
        return _fetched_in(call.use, call.token, trace)
    if call.token is not None and 0 < call.received_at - call.token.expires_at < (
        _SAME_MOMENT_SECONDS
    ):
        return True
    if any(c.token == call.token and c.number < call.number for c in trace.api_calls):
        # The client has used the token before, so it had it in its cache and could check the
        # expiry. Only the first use of a token that arrived too late is excused.
        return False
    issued = [e for e in trace.token_requests if e.token == call.token]
    # From the answer on: until then the client did not have the token.
    return bool(issued) and call.received_at - issued[-1].answered_at < _SAME_MOMENT_SECONDS


def _fetched_in(use: int, token: AccessToken | None, trace: Trace) -> bool:
    """Return whether the token was issued to a request of that use."""
    return any(e.use == use and e.token == token for e in trace.token_requests)


def _outlives_a_token(trace: Trace) -> bool:
    """Return whether a client outlived its token, or replaced it shortly before its expiry.

    Only such a client could have presented an expired token.
    """
    first: dict[Credentials, AccessToken] = {}
    for exchange in trace.exchanges:
        client, token = exchange.credentials, exchange.token
        if client is None:
            continue
        if client in first and _shows_care(exchange, first[client]):
            return True
        if token and (client not in first or token.expires_at < first[client].expires_at):
            # The token with the earliest expiry: it is the first that the client has to replace.
            first[client] = token
    return False


def _shows_care(exchange: Exchange, old: AccessToken) -> bool:
    """Return whether the client requests a token late in the old one's lifetime, or calls after it.

    Such a call counts only with a valid token.
    """
    if exchange.endpoint is Endpoint.TOKEN:
        return exchange.received_at >= old.expires_at - _LAST_PART * old.expires_in
    return exchange.token_state is TokenState.VALID and exchange.received_at >= old.expires_at


def _judge_grant(trace: Trace) -> Iterator[Flaw]:
    """Find token requests with the grant refresh_token and no refresh token of the broker."""
    yield from _refreshes(trace, is_offered=False)


def _judge_offered(trace: Trace) -> Iterator[Flaw]:
    """Find token requests with a refresh token, which the client can have from a broker only."""
    # RFC 6749, 4.4.3: "A refresh token SHOULD NOT be included."
    yield from _refreshes(trace, is_offered=True)


def _refreshes(trace: Trace, *, is_offered: bool) -> Iterator[Flaw]:
    # The offer may be older than the trace. So any value counts as offered that is not an access
    # token.
    access_tokens = {e.token.value for e in trace.token_requests if e.token is not None}
    for exchange in trace.token_requests:
        sent = dict(body_parameters(exchange.request))
        refresh_token = sent.get("refresh_token", "")
        was_offered = bool(refresh_token) and refresh_token not in access_tokens
        if sent.get("grant_type") == "refresh_token" and was_offered is is_offered:
            yield Flaw(
                "the client requested a token by grant_type=refresh_token",
                "grant_type=client_credentials again",
                (exchange.number,),
            )


def _asks_twice(trace: Trace) -> bool:
    """Return whether some client made a second token request.

    Requests from which no client can be recognized do not count.
    """
    asked = [e.credentials for e in trace.token_requests if e.credentials is not None]
    return len(asked) > len(set(asked))


def _repeats_a_token(profile: Profile) -> str:
    """Return why a provider never issues a valid token again; empty if it may."""
    if profile.token_policy not in {"new", "same"}:
        return _policy_of(profile)
    return names_lifetime(profile)


def _ends_a_token(profile: Profile) -> str:
    """Return why a provider's new token never ends the old one at once; empty if it may."""
    if profile.token_policy == "single" and profile.overlap_seconds:  # noqa: S105 - a policy
        return f"profile {profile.name} lets an old token live on for {profile.overlap_seconds:g} s"
    return "" if profile.token_policy in {"new", "single"} else _policy_of(profile)


def _refuses_a_token(profile: Profile) -> str:
    """Return why a provider refuses no client that has a valid token; empty if it does."""
    if profile.token_policy != "refuse":  # noqa: S105 - a policy, not a password
        return _policy_of(profile)
    return names_lifetime(profile)


def _has_quota(profile: Profile) -> str:
    """Return why no quota of a provider can be kept; empty if one can."""
    if not profile.quotas:
        return f"profile {profile.name} has no quota"
    if all(tokens_needed(profile, quota) > quota.requests for quota in profile.quotas):
        return f"the quota of profile {profile.name} is less than the lifetime of tokens needs"
    return ""


def tokens_needed(profile: Profile, quota: Quota) -> int:
    """Return how many tokens a sound client may need in the period of a quota.

    It may replace each token after half of its lifetime, and may need one more at the start.
    """
    lifetime = max(profile.expires_in, 1)
    return math.ceil(2 * quota.period_seconds / lifetime) + 1


def _quota_words(profile: Profile) -> Wording:
    limits = " and ".join(quota_in_words(quota) for quota in profile.quotas)
    return {
        "title": f"keeps within the provider's quota of {limits}: does not request a token for "
        "each call",
    }


def _policy_of(profile: Profile) -> str:
    """Return what a client gets that has a valid token, as the reason of a clause."""
    return f"profile {profile.name} {_POLICIES[profile.token_policy]}"


_POLICIES: dict[TokenPolicy, str] = {
    "new": "issues a further token while one is valid",
    "same": "issues the same token again while it is valid",
    "single": "issues a new token, which ends the old one",
    "refuse": "refuses another token while one is valid",
}


# RFC 6749, 5.1: expires_in is "The lifetime in seconds of the access token". The vendor asks for a
# valid token at all times.
HONOURS_EXPIRES_IN = Clause(
    id="refresh.honours-expires-in",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="never presents an expired token, whatever lifetimes from 1 s come and however time "
    "moves (a token fetched within the same call does not count)",
    sources=(provider("expires_in"), rfc(6749, "5.1")),
    consequence="calls are signed with expired tokens, and the API refuses them",
    why="An expired token means a 401 for every call, an hour after the deployment.",
    fix="Compute the expiry from each answer's own expires_in, in an unambiguous time (UTC or a "
    "monotonic clock). Fetch a new token when now plus the leeway is past the expiry.",
    applies_to=names_lifetime,
    judge=TraceJudge(_judge_expiry),
    precondition=Precondition("no client was seen to outlast a token", _outlives_a_token),
)
# A wall clock that is set back during the life of a token is not among the cases: it looks like
# time that has not passed, and sound clients may read the wall clock.
CLOCK_CHANGES = Clause(
    id="refresh.clock-changes",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="never presents an expired token when local clocks go back or forth",
    sources=(provider("expires_in"), rfc(6749, "5.1")),
    consequence="when clocks change, calls are signed with expired tokens for hours",
    why="Local time repeats an hour in autumn, and the clock of a machine may differ from the "
    "broker's. A client that mixes local time with UTC, or its own time with the broker's, uses "
    "tokens up to hours after their expiry.",
    fix="Take the time of issue and the time of use from one clock: the machine's in UTC, or a "
    "monotonic one. Do not compute with naive local datetimes, or with the Date header.",
    applies_to=names_lifetime,
)
# RFC 6749, 5.1 defines expires_in as a lifetime in seconds; no broker of a profile issues a token
# without any: hence SHOULD.
ZERO_LIFETIME = Clause(
    id="refresh.zero-lifetime",
    level=Level.SHOULD,
    impact=Impact.OUTAGE,
    title="takes 0 and negative lifetimes for expired: an answer, at most one token request per "
    "call, no endless loop",
    sources=(rfc(6749, "5.1"),),
    consequence="a broker with a wrong clock stops the client, or makes it loop",
    why="A broker whose clock is wrong issues tokens that have expired already. A client that asks "
    "until it gets a better one never returns, and one that takes 0 for no expiry never refreshes.",
    fix="Use the token that was just fetched for this call, and fetch another one for the next.",
    applies_to=names_lifetime,
)
# The vendor recommends to "refresh pre-emptively". A client that refreshes after expiry and retries
# on 401 works as well: hence SHOULD.
AHEAD = Clause(
    id="refresh.ahead",
    level=Level.SHOULD,
    impact=Impact.OUTAGE,
    title="refreshes before expiry (the leeway is reported; at least 1 s)",
    sources=(provider("expires_in"),),
    consequence="about once in each lifetime of a token, a call fails because its token "
    "expires on the way",
    why="The API refuses a token that expires while the call is under way. That happens once an "
    "hour, and rarely while you are looking.",
    fix="Refresh some seconds before the expiry (10 to 60 is usual), not only after it. Limit the "
    "leeway to a part of the lifetime, instead of none for short ones.",
    applies_to=names_lifetime,
)
# Half a lifetime is far beyond any sound leeway; the usual ones take seconds to minutes.
NOT_TOO_EAGER = Clause(
    id="refresh.not-too-eager",
    level=Level.SHOULD,
    impact=Impact.QUOTA,
    title="does not refresh in the first half of a 3599 s lifetime",
    sources=(provider("expires_in"),),
    consequence="the client requests at least twice as many tokens as it needs",
    why="A client that refreshes in the first half of a token's life asks at least twice as often "
    "as needed. A common cause is reading seconds as milliseconds.",
    fix="Read expires_in as seconds, and keep the leeway well below the lifetime.",
    applies_to=names_lifetime,
)
SHORT_LIVED = Clause(
    id="refresh.short-lived",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="works with lifetimes from 1 s at or below its leeway: at most one token request per "
    "call (one more at first use)",
    sources=(provider("expires_in"), rfc(6749, "5.1")),
    consequence="the client fails or loops when tokens live only for seconds",
    why="When lifetimes shrink to the leeway or below, as they do in incidents and in tests, a "
    "client may loop forever or refuse every token.",
    fix="Use the token that was just fetched, whatever its lifetime is. Limit the leeway to a part "
    "of the lifetime.",
    applies_to=names_lifetime,
)
LATENCY = Clause(
    id="refresh.latency",
    level=Level.SHOULD,
    impact=Impact.OUTAGE,
    title="counts the lifetime from before the request was sent, or has leeway enough",
    sources=(provider("expires_in"), rfc(6749, "5.1")),
    consequence="after a slow answer of the broker, calls are signed with an expired token",
    why="The lifetime begins when the broker issues the token. A client that counts from a slow "
    "answer's arrival takes the token for valid when it has already expired.",
    fix="Read the clock before you send the request, and count the lifetime from there.",
    applies_to=names_lifetime,
)
# Most providers issue a new token each time. Those that issue the same token, or a single one, say
# so on their own pages, and another provider may begin to: hence PRACTICE, for each profile whose
# policy does not exclude it.
SAME_TOKEN = Clause(
    id="refresh.same-token",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title="copes with a broker that issues the same token again with what is left of its life: no "
    "loop, no use beyond it",
    sources=(provider("token_policy"),),
    consequence="the client floods a broker that issues the same token again",
    why="Some brokers have a cache. A client that refreshes ahead gets its own token back, and one "
    "that asks until the token is another one asks hundreds of times in the last minute.",
    fix="Take the new expires_in even if the token is the same. Ask once, then use what you got.",
    applies_to=_repeats_a_token,
)
SINGLE_LIVE_TOKEN = Clause(
    id="refresh.single-live-token",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title="copes with a broker where a new token ends the old one: calls in flight with the old "
    "one are repeated once",
    sources=(provider("token_policy"),),
    consequence="calls under way fail at each refresh, if the broker ends the old token",
    why="Some brokers keep one token for each client. Calls that are under way at a refresh get a "
    "401, and a client that then requests a token for each of them ends the others' tokens.",
    fix="Repeat a refused call with the current token. Request another one only if the refused "
    "token is still the current one.",
    applies_to=_ends_a_token,
)
# A SHOULD: the page of such a provider says it, and a client without a leeway never meets it.
REFUSED_WHILE_VALID = Clause(
    id="refresh.refused-while-valid",
    level=Level.SHOULD,
    impact=Impact.OUTAGE,
    title="goes on with its valid token when the provider refuses another one, and gets one after "
    "its expiry",
    sources=(provider("token_policy"),),
    consequence="calls fail shortly before each expiry, because the provider gives no second token",
    why="Some providers refuse a token request while the client has a valid token. A client that "
    "refreshes ahead gets an error, although the token that it has would still do.",
    fix="When a refresh is refused and the token has not expired, use the token, and ask again "
    "after its expiry.",
    applies_to=_refuses_a_token,
)
# A SHOULD: a client without a cache works while its calls are few.
QUOTA = Clause(
    id="refresh.quota",
    level=Level.SHOULD,
    impact=Impact.QUOTA,
    title="keeps within the provider's quota of token requests: does not request a token for each "
    "call",
    sources=(provider("quotas"),),
    consequence="the provider refuses tokens as soon as the client makes as many calls as its "
    "quota allows token requests",
    why="The provider counts token requests, and refuses the next one when there were too many. "
    "Every call of the client fails then until the period is over.",
    fix="Keep the token, and use it for every call until shortly before its expiry. Share it "
    "between the processes of one client.",
    applies_to=_has_quota,
    wording=_quota_words,
)
SAME_GRANT = Clause(
    id="refresh.same-grant",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="asks again with the profile's grant, when no refresh token was offered",
    sources=(provider("grant_type"), rfc(6749, "4.4.3")),
    consequence="the client cannot get a second token, so that it fails after the first hour",
    why="The client credentials grant issues no refresh token. A client that waits for one, or "
    "sends one, fails after the first hour.",
    fix="Send grant_type=client_credentials again.",
    judge=TraceJudge(_judge_grant),
    precondition=Precondition("no client asked for a second token", _asks_twice),
)
# RFC 6749, 4.4.3 binds the broker, which should offer none: hence PRACTICE.
OFFERED_REFRESH_TOKEN = Clause(
    id="refresh.offered-refresh-token",
    level=Level.PRACTICE,
    impact=Impact.COMPATIBILITY,
    title="asks again with the profile's grant although a refresh token was offered",
    sources=(rfc(6749, "4.4.3"),),
    consequence="the client fails after the first hour at a broker that offers refresh tokens",
    why="Some brokers answer with a refresh token that they do not accept for this client. The "
    "client then fails after the first hour.",
    fix="Send grant_type=client_credentials again, and ignore a refresh_token member.",
    judge=TraceJudge(_judge_offered),
    precondition=Precondition("no client asked for a second token", _asks_twice),
)
# No document asks for it: hence PRACTICE.
OUTAGE_WHILE_VALID = Clause(
    id="refresh.outage-while-valid",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title="goes on with a valid token when a pre-emptive refresh fails",
    consequence="a short outage of the broker fails calls although the token is still valid",
    why="A refresh ahead of time may fail: the old token is still valid for the leeway, so a short "
    "outage of the broker need not be an outage of yours.",
    fix="If a refresh fails and the token has not expired, use it, and try again at a later call.",
    applies_to=names_lifetime,
)
OUTAGE_AFTER_EXPIRY = Clause(
    id="refresh.outage-after-expiry",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="raises when no valid token can be had; does not present the expired one",
    sources=(provider("expires_in"), rfc(6749, "5.1")),
    consequence="during an outage of the broker, the client goes on without a valid token and "
    "hides the outage",
    why="Signing with a token that is known to be expired hides the outage of the broker behind a "
    "401 of the API.",
    fix="Once the token has expired, raise the error of the refresh to the caller, and to those "
    "that waited for the refresh.",
    applies_to=names_lifetime,
)
RECOVERS = Clause(
    id="refresh.recovers",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="works again within 60 s of the end of an outage, without being made again (how long it "
    "took is reported)",
    sources=(provider("expires_in"),),
    consequence="after an outage of the broker, the client needs a restart",
    why="A client that keeps a failure, a broken connection or a held lock needs a restart after "
    "every outage of the broker.",
    fix="Change state only on success, release locks in `finally`, and limit how long a circuit "
    "breaker stays open.",
)
# A circuit breaker protects the broker and opens for a while, on purpose: hence PRACTICE.
RECOVERS_AT_ONCE = Clause(
    id="refresh.recovers-at-once",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title="works again at the first call after an outage",
    consequence="after an outage of the broker, the client fails for longer than necessary",
    why="Each second for which a client waits after the end of an outage makes the outage longer "
    "for its callers.",
    fix="Try again at the next call; or let a circuit breaker try once in a few seconds.",
)

CLAUSES = (
    HONOURS_EXPIRES_IN,
    CLOCK_CHANGES,
    ZERO_LIFETIME,
    AHEAD,
    NOT_TOO_EAGER,
    SHORT_LIVED,
    LATENCY,
    SAME_TOKEN,
    SINGLE_LIVE_TOKEN,
    REFUSED_WHILE_VALID,
    QUOTA,
    SAME_GRANT,
    OFFERED_REFRESH_TOKEN,
    OUTAGE_WHILE_VALID,
    OUTAGE_AFTER_EXPIRY,
    RECOVERS,
    RECOVERS_AT_ONCE,
)
