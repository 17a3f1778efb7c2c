"""The contract: every clause, in order, with its level and its source.

This table is the one place where a clause is written down. The broker refuses by it, scenarios
judge by it, reports and documentation are printed from it.
"""

from __future__ import annotations

from mockbroker.contract.clause import Clause, Level, Source

__all__ = ["CATALOGUE", "CHAPTERS", "clause"]

MUST, SHOULD, MAY, PRACTICE = Level.MUST, Level.SHOULD, Level.MAY, Level.PRACTICE

_VENDOR = Source("AutoGrab developer pages, “OAuth Authentication”", "", "")
_PRACTICE_OF_BROKERS = Source("practice of real brokers", "", "")


def _rfc(number: int, section: str) -> Source:
    anchor = f"#section-{section}" if section else ""
    return Source(f"RFC {number}", section, f"https://www.rfc-editor.org/rfc/rfc{number}{anchor}")


def _clause(
    clause_id: str, level: Level, title: str, *sources: Source, passive: bool = False
) -> Clause:
    return Clause(clause_id, level, title, sources, passive)


CATALOGUE: tuple[Clause, ...] = (
    _clause(
        "request.method", MUST, "asks for a token by POST", _VENDOR, _rfc(6749, "3.2"), passive=True
    ),
    _clause(
        "request.url",
        MUST,
        "uses the token URL exactly as configured, with no query of its own",
        _VENDOR,
        passive=True,
    ),
    _clause(
        "request.content-type",
        MUST,
        "sends media type application/x-www-form-urlencoded (any case, parameters allowed), once",
        _VENDOR,
        _rfc(6749, "4.4.2"),
        passive=True,
    ),
    _clause(
        "request.grant-type",
        MUST,
        "sends grant_type=client_credentials exactly once, in a form-encoded body",
        _VENDOR,
        _rfc(6749, "3.2"),
        _rfc(6749, "4.4.2"),
        passive=True,
    ),
    _clause(
        "request.no-extra-parameters",
        SHOULD,
        "sends nothing else in the body but a configured scope",
        _VENDOR,
        passive=True,
    ),
    _clause(
        "request.accept",
        SHOULD,
        "does not rule out application/json in Accept",
        _rfc(9110, "12.5.1"),
        passive=True,
    ),
    _clause(
        "basic.scheme",
        MUST,
        "authenticates with exactly one Authorization header, scheme Basic",
        _VENDOR,
        _rfc(7617, "2"),
        passive=True,
    ),
    _clause(
        "basic.base64",
        MUST,
        "encodes in standard Base64: padded, no line breaks, not the URL-safe alphabet",
        _VENDOR,
        _rfc(7617, "2"),
        passive=True,
    ),
    _clause(
        "basic.credentials",
        MUST,
        "sends client_id:client_secret exactly, for all printable ASCII credentials (colon only in the secret); profile rfc6749: each form-urlencoded first",
        _VENDOR,
        _rfc(6749, "2.3.1"),
        passive=True,
    ),
    _clause(
        "basic.utf8",
        SHOULD,
        "encodes non-ASCII credentials as UTF-8",
        _rfc(7617, "2.1"),
        passive=True,
    ),
    _clause(
        "basic.only",
        MUST,
        "does not also put credentials into body or URL",
        _rfc(6749, "2.3"),
        _rfc(6749, "2.3.1"),
        passive=True,
    ),
    _clause("response.documented", MUST, "accepts the documented answer", _VENDOR),
    _clause(
        "response.opaque-token",
        MUST,
        "carries any token byte for byte (the whole b64token alphabet, 1 to 4096 characters)",
        _VENDOR,
        _rfc(6750, "2.1"),
    ),
    _clause(
        "response.unknown-members", MUST, "ignores members that it does not know", _rfc(6749, "5.1")
    ),
    _clause(
        "response.json-forms",
        MUST,
        "reads any legal JSON form: white space, order, escapes, charset parameter",
        _rfc(6749, "5.1"),
        _rfc(8259, ""),
    ),
    _clause(
        "response.token-type-case",
        MUST,
        "takes token_type in any case, and still signs with Bearer",
        _rfc(6749, "5.1"),
        _rfc(6749, "7.1"),
    ),
    _clause(
        "response.token-type-unknown",
        MUST,
        "does not use a token of another type",
        _rfc(6749, "7.1"),
    ),
    _clause(
        "response.expires-in-missing", SHOULD, "works when expires_in is absent", _rfc(6749, "5.1")
    ),
    _clause(
        "response.expires-in-forms",
        MAY,
        'copes with "3599" and 3599.0, or says clearly that it does not',
        _PRACTICE_OF_BROKERS,
    ),
    _clause(
        "response.invalid",
        MUST,
        "raises on a 200 that is no JSON object, or has no, an empty or a non-string access_token; never signs with it (“Bearer None”)",
        _rfc(6749, "5.1"),
    ),
    _clause(
        "cache.reuse",
        SHOULD,
        "uses one token for many calls while it is valid, for lifetimes from 3600 to 2592000 and 10^12, and when the lifetime comes as a string",
        _VENDOR,
        passive=True,
    ),
    _clause(
        "cache.isolation",
        MUST,
        "never presents a token issued to another client_id, another secret, for another scope, or by another broker; several clients in one process and one working directory",
        _VENDOR,
        _rfc(6749, ""),
    ),
    _clause(
        "cache.thread-safe",
        MUST,
        "with N threads, cold or at refresh: no exception, every call signed with a valid token",
        _VENDOR,
    ),
    _clause(
        "cache.single-flight",
        PRACTICE,
        "with N threads, cold or at refresh: one token request (the count is reported)",
    ),
    _clause(
        "refresh.honours-expires-in",
        MUST,
        "never presents an expired token, whatever lifetimes come and however time moves (a token fetched within the same call is not held against it, even with a lifetime of 0)",
        _VENDOR,
        passive=True,
    ),
    _clause(
        "refresh.ahead",
        SHOULD,
        "refreshes before expiry (the measured leeway is reported; at least 1 s)",
        _VENDOR,
    ),
    _clause(
        "refresh.not-too-eager",
        SHOULD,
        "does not refresh in the first half of a 3599 s lifetime",
        _VENDOR,
    ),
    _clause(
        "refresh.short-lived",
        MUST,
        "works with lifetimes at or below its leeway, 1 s and 0 s included: at most one token request for each call (one more at first use is tolerated), and an answer",
        _VENDOR,
    ),
    _clause(
        "refresh.latency",
        SHOULD,
        "counts the lifetime from before the request was sent, or has leeway enough: a broker that takes d seconds (d up to 10) to answer (the clock moves between issue and arrival) leads to no expired token",
        _VENDOR,
    ),
    _clause(
        "refresh.same-grant",
        MUST,
        "asks again with client_credentials; never with a refresh token",
        _VENDOR,
        _rfc(6749, "4.4.3"),
        passive=True,
    ),
    _clause(
        "refresh.outage-while-valid",
        PRACTICE,
        "goes on with a valid token when a pre-emptive refresh fails",
    ),
    _clause(
        "refresh.outage-after-expiry",
        MUST,
        "raises when no valid token can be had; does not present the expired one",
        _VENDOR,
    ),
    _clause("refresh.recovers", MUST, "works again at the first call after the outage", _VENDOR),
    _clause(
        "signing.bearer",
        MUST,
        "sends exactly one Authorization header: Bearer, one space, the token as provided",
        _VENDOR,
        _rfc(6750, "2.1"),
        passive=True,
    ),
    _clause(
        "signing.header-only",
        MUST,
        "puts the token nowhere else: not in URL or body",
        _rfc(6750, "2"),
        _rfc(6750, "5.3"),
        passive=True,
    ),
    _clause(
        "signing.no-credentials",
        MUST,
        "never sends the client's credentials to the API",
        _VENDOR,
        passive=True,
    ),
    _clause(
        "signing.preserves-request",
        MUST,
        "leaves method, path, query, body and the caller's headers as they were",
        _VENDOR,
    ),
    _clause(
        "signing.revoked",
        PRACTICE,
        "on 401 invalid_token gets a new token and tries once more",
        _rfc(6750, "3.1"),
    ),
    _clause(
        "signing.no-retry-storm",
        MUST,
        "when every call answers 401: at most 2 calls and 2 token requests, then tells the caller",
    ),
    _clause(
        "signing.forbidden",
        SHOULD,
        "does not fetch a new token for a 403, nor for 429 or 5xx of the API",
        _rfc(6750, "3.1"),
    ),
    _clause(
        "signing.cross-origin",
        MUST,
        "does not carry the token to another origin when redirected",
        _rfc(6750, "5.3"),
        _rfc(9110, "15.4"),
    ),
    _clause("errors.invalid-client", MUST, "raises on 401", _rfc(6749, "5.2")),
    _clause(
        "errors.bad-request",
        MUST,
        "raises on 400, for every error code of RFC 6749 5.2 and for a body that is not JSON",
        _rfc(6749, "5.2"),
    ),
    _clause(
        "errors.no-hammering",
        SHOULD,
        "makes one attempt for each call when the refusal is final (400, 401, 403)",
        passive=True,
    ),
    _clause(
        "errors.server-error",
        MUST,
        "raises on 5xx after at most 5 attempts (the count is reported)",
        _rfc(9110, "15.6"),
    ),
    _clause(
        "errors.retry-after",
        SHOULD,
        "does not retry on its own, within a call, before Retry-After has passed (429, 503); a new call by the application may ask again",
        _rfc(9110, "10.2.3"),
    ),
    _clause(
        "errors.transport",
        MUST,
        "raises when the connection is refused, reset, or the answer cut short",
    ),
    _clause(
        "errors.timeout", SHOULD, "gives up on a broker that does not answer (the time is reported)"
    ),
    _clause(
        "errors.not-cached", MUST, "does not remember a failure: the next call after recovery works"
    ),
    _clause(
        "errors.cause",
        PRACTICE,
        "names the broker's error code in what it raises",
        _rfc(6749, "5.2"),
    ),
    _clause(
        "secrecy.secret",
        SHOULD,
        "shows the client secret (raw or Base64) in no repr, exception, log record or output",
        _rfc(6749, "10.1"),
    ),
    _clause("secrecy.token", PRACTICE, "the same for access tokens", _rfc(6750, "5.3")),
    _clause(
        "secrecy.redirect",
        MUST,
        "does not resend credentials to another origin when request-token redirects (301, 302, 303, 307, 308)",
        _rfc(9700, "4.12"),
    ),
    _clause(
        "secrecy.files",
        SHOULD,
        "leaves no file with a secret or token that others can read (working directory, HOME, TMPDIR; umask 022)",
        _rfc(6750, "5.3"),
    ),
    _clause(
        "tls.verify",
        MUST,
        "refuses a broker whose certificate it has no reason to trust (twin: trusts the given CA)",
        _rfc(6750, "5.3"),
        _rfc(6749, ""),
    ),
    _clause(
        "lifecycle",
        MUST,
        "keeps every clause above over any interleaving of calls, time, revocation, outages, changing lifetimes and rotated secrets (model-based state machine)",
        _VENDOR,
    ),
)
"""Every clause of the contract, in the order in which reports show them."""

CHAPTERS: tuple[str, ...] = tuple(dict.fromkeys(entry.chapter for entry in CATALOGUE))
"""The chapters of the contract, in order."""

_BY_ID = {entry.id: entry for entry in CATALOGUE}


def clause(clause_id: str) -> Clause:
    """The clause of that id.

    Raises KeyError, naming the id, if the catalogue has none.
    """
    try:
        return _BY_ID[clause_id]
    except KeyError:
        raise KeyError(f"no clause {clause_id!r} in the catalogue") from None
