"""Chapter ``cache``: one token for many calls, and separate tokens for separate clients.

Judging from traffic needs care: several workers of one app may each keep a token of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from mockbroker.contract.clause import (
    Clause,
    Flaw,
    Impact,
    Level,
    Precondition,
    TraceJudge,
    names_lifetime,
    provider,
    rfc,
)
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.exchange import Exchange, Trace

__all__ = [
    "CANCELLATION",
    "CLAUSES",
    "EVENT_LOOPS",
    "FILES",
    "FORK",
    "HUGE_LIFETIME",
    "ISOLATION",
    "PROCESSES",
    "RESTART",
    "REUSE",
    "SINGLE_FLIGHT",
    "THREAD_SAFE",
]

_LONG_LIFETIME_SECONDS = 600
"""Shorter lifetimes prove no waste: sound clients have a leeway of up to 600 s."""
_WASTED_TOKENS = 3
"""How many wasted tokens in a row count. One or two may have another reason, such as a restart."""
_WASTED_OBSERVED_TOKENS = 10
"""In traffic merely observed, each worker of an app may have fetched a token and made one call."""
_UNAUTHORIZED = 401

_Calls = Mapping[AccessToken | None, Sequence[Exchange]]


def _judge_reuse(trace: Trace) -> Iterator[Flaw]:
    """Find tokens fetched one after the other, each for a single call, while they were fresh.

    Several processes that each keep a token of their own show tokens that are used many times,
    and break nothing; nor does a client whose token the API refused. In traffic merely observed,
    nor does a client that used any token twice.
    """
    calls = _calls_by_token(trace)
    # A client that reuses some token has a cache. Its other tokens may be those of its other
    # workers.
    keepers = {token.credentials for token, made in calls.items() if token and _is_reused(made)}
    for (credentials, _), issued in _by_client(trace).items():
        # In a contract run each exchange belongs to a use of the client.
        is_observed = issued[0].use is None
        if is_observed and credentials in keepers:
            continue
        limit = _WASTED_OBSERVED_TOKENS if is_observed else _WASTED_TOKENS
        wasted: list[Exchange] = []
        for exchange in issued:
            # A token that was reused ends the series: a client that sometimes fetches one too many
            # is sound.
            wasted = [*wasted, exchange] if _is_waste(exchange, wasted, calls) else [exchange]
            if len(wasted) == limit:
                yield Flaw(
                    f"the client fetched {limit} tokens in a row, one for each call, while the "
                    "previous one was good for more than half of its lifetime",
                    "one token for many calls",
                    tuple(exchange.number for exchange in wasted),
                )
                # One breach for each client: more of the same would say nothing new.
                break


def _reuses_a_token(trace: Trace) -> bool:
    """Return whether two calls carried the same valid token."""
    return any(token and _is_reused(made) for token, made in _calls_by_token(trace).items())


def _calls_by_token(trace: Trace) -> _Calls:
    """Return the API calls by the token that they presented, in order.

    Calls without a token that the broker knows are under None.
    """
    grouped: dict[AccessToken | None, list[Exchange]] = defaultdict(list)
    for call in trace.api_calls:
        grouped[call.token].append(call)
    return grouped


def _is_reused(calls: Sequence[Exchange]) -> bool:
    """Return whether at least two of the calls presented their token while it was valid."""
    return sum(call.token_state is TokenState.VALID for call in calls) > 1


def _by_client(trace: Trace) -> dict[tuple[Credentials, bytes], list[Exchange]]:
    """Return the token requests that issued a token, by client and body.

    The body is part of the key: other scopes or audiences need other tokens.
    """
    grouped: dict[tuple[Credentials, bytes], list[Exchange]] = defaultdict(list)
    for exchange in trace.token_requests:
        # A scripted fault may have damaged the response, and then the client needed another token.
        if exchange.token is not None and exchange.fault is None:
            grouped[exchange.token.credentials, exchange.request.body].append(exchange)
    return grouped


def _is_waste(exchange: Exchange, wasted: Sequence[Exchange], calls: _Calls) -> bool:
    """Return whether the previous token was used once by now, is still fresh, and never rejected.

    A token that was not used yet belongs to another caller: side by side, each caller fetches a
    token before its call.
    """
    if not wasted or wasted[-1].token is None:
        return False
    previous = wasted[-1].token
    uses = calls.get(previous, ())
    refused = any(
        call.token_state is not TokenState.VALID
        or (call.response is not None and call.response.status == _UNAUTHORIZED)
        for call in uses
    )
    used_once = len(uses) == 1 and uses[0].number < exchange.number
    return used_once and not refused and _is_fresh(previous, exchange.received_at)


def _is_fresh(token: AccessToken, now: float) -> bool:
    """Return whether a token with a long lifetime has more than half of it left.

    ``now`` is in Unix seconds.
    """
    left = token.expires_at - now
    return token.expires_in >= _LONG_LIFETIME_SECONDS and left > token.expires_in / 2


# The vendor says that a valid token "can be stored and used for subsequent calls". That is an
# advice, and a client without a cache works: hence SHOULD.
REUSE = Clause(
    id="cache.reuse",
    level=Level.SHOULD,
    impact=Impact.QUOTA,
    title="one token for many calls while it is valid, lifetimes from 3600 to 2592000, also as a "
    "string",
    sources=(provider("expires_in"),),
    consequence="the client requests a token for each call, which doubles latency and exhausts "
    "rate limits",
    why="A token request for each call doubles the latency, and hits the broker's rate limit on a "
    "busy day.",
    fix="Keep the token with its expiry and use it until shortly before. Make sure that a lifetime "
    "of 30 days does not overflow. Keep the tokens of several clients apart, and one for each.",
    judge=TraceJudge(_judge_reuse),
    precondition=Precondition("no valid token was seen in two calls", _reuses_a_token),
)
# RFC 6749 sets no limit to expires_in, and no broker of a profile issues such a token: hence MAY.
HUGE_LIFETIME = Clause(
    id="cache.huge-lifetime",
    level=Level.MAY,
    impact=Impact.COMPATIBILITY,
    title="survives a lifetime of 10^12",
    consequence="the client fails for tokens that practically never expire",
    why="A test environment may issue tokens that never expire. A date beyond the year 9999 then "
    "overflows, and the client fails or requests a token for each call.",
    fix="Limit the lifetime before you add it to the time.",
    applies_to=names_lifetime,
)
ISOLATION = Clause(
    id="cache.isolation",
    level=Level.MUST,
    impact=Impact.SECURITY,
    title="never presents a token issued to another client_id, another secret, for another scope, "
    "or by another broker; several clients in one process and one working directory",
    sources=(provider("client_authentication"), rfc(6749)),
    consequence="calls of one customer are signed with the token of another",
    why="A cache that two clients share by mistake shows one customer's data to another, and goes "
    "on with a secret that was rotated away.",
    fix="Key the cache by token URL, client id, secret and scope, or keep it in the instance. "
    "Never keep it in a class or module attribute, or in a file with a fixed name. Compare whole "
    "keys, also for a token request that several uses wait for.",
)
# The vendor asks that the system "always has a valid OAuth token available", with threads as well.
THREAD_SAFE = Clause(
    id="cache.thread-safe",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="with N threads or tasks, cold, at refresh, while one is in flight, and after N refusals "
    "at once: no exception, every call signed with a valid token",
    sources=(provider("expires_in"),),
    consequence="calls fail at random when several threads share the client",
    why="Web servers and job runners share one client among threads. Without a lock, some threads "
    "see the token half replaced, or get none.",
    fix="Hold one lock while the token is looked up and replaced, and replace token and expiry "
    "together. Keep the old token until you have the new one. The other threads wait; they do not "
    "fail.",
)
# No document asks for it, and several requests at once break nothing: hence PRACTICE.
SINGLE_FLIGHT = Clause(
    id="cache.single-flight",
    level=Level.PRACTICE,
    impact=Impact.QUOTA,
    title="with N threads or tasks, cold, at refresh, while one is in flight, and after N refusals "
    "at once: one token request (the count is reported)",
    consequence="under load, each thread requests its own token, and the broker throttles them",
    why="When the token expires under load, all threads fetch one at the same time, and a broker "
    "that limits rates refuses most of them.",
    fix="Once the lock is held, check again whether the token is still missing before you fetch. "
    "After a refusal, discard only the token that was refused.",
)
CANCELLATION = Clause(
    id="cache.cancellation",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title="async: a caller that is cancelled while it waits, or while it fetches, leaves the "
    "others and the next call well",
    consequence="one cancelled request takes the token away from other requests",
    why="Web frameworks cancel a task when its user goes away. If all callers share one task, one "
    "user who closes the page takes the token away from everyone, sometimes until a restart.",
    fix="Await a shared task so that a cancelled caller does not cancel it. Or hold an "
    "asyncio.Lock with `async with`, and let the next caller fetch.",
)
EVENT_LOOPS = Clause(
    id="cache.event-loops",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title="async: works when it is used in a second event loop after the first has closed",
    consequence="the client fails in the second event loop, as in a job queue",
    why="Each asyncio.run() makes a loop, as do test runners and job queues. A lock or a "
    "connection of the first loop raises in the second one.",
    fix="Make locks and HTTP clients for the running loop, and replace those of a closed one.",
)
FORK = Clause(
    id="cache.fork",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title="works in a forked child, whose parent goes on",
    consequence="the client fails in the worker processes of a server that forks",
    why="Servers that load the application before they fork use a client in the children that was "
    "made in the parent. A thread does not survive the fork, and a held lock stays held.",
    fix="Refresh at use as well as in the background, or start threads and connections again in "
    "the child (os.register_at_fork).",
)
# An expired token fails as the vendor says, whichever process it came from.
RESTART = Clause(
    id="cache.restart",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="made again with the same settings and files, never presents an expired token, nor one "
    "of other settings",
    sources=(provider("expires_in"), rfc(6749, "5.1")),
    consequence="after a restart, calls are signed with an expired token or that of other settings",
    why="A token in a file outlives the process. If its expiry is counted from the reading of the "
    "file, or by a monotonic clock, every call after a restart fails until someone deletes the "
    "file.",
    fix="Store the moment of expiry in UTC beside the token, and a hash of all settings. Do not "
    "store expires_in, or a value of a monotonic clock.",
)
FILES = Clause(
    id="cache.files",
    level=Level.PRACTICE,
    impact=Impact.OUTAGE,
    title="does not fail for half-written, empty, foreign or unwritable files of its own",
    consequence="a full disk or a damaged file stops the client",
    why="Containers have read-only folders, and a full disk leaves half a file. A client that "
    "raises then has no token although the broker would issue one. So has a client that waits for "
    "the lock file of a process that was killed.",
    fix="Treat a file that cannot be read as an empty cache, and ignore errors of writing it. "
    "Write to a temporary file and rename it. Take a lock that ends with the process, such as "
    "flock, or remove a lock file that is old.",
)
PROCESSES = Clause(
    id="cache.processes",
    level=Level.PRACTICE,
    impact=Impact.QUOTA,
    title="N processes started at once with shared files: the number of token requests is "
    "reported; none fails",
    consequence="worker processes that start together fail, or flood the broker",
    why="Servers start several workers. If they share a file, one may read what another has half "
    "written, or wait for a lock that is never released.",
    fix="Write the file under another name and rename it. Do not wait for a lock without a "
    "timeout.",
)

CLAUSES = (
    REUSE,
    HUGE_LIFETIME,
    ISOLATION,
    THREAD_SAFE,
    SINGLE_FLIGHT,
    CANCELLATION,
    EVENT_LOOPS,
    FORK,
    RESTART,
    FILES,
    PROCESSES,
)
