"""Why each failure of a client on clients.md counts: one sentence for each binding clause."""

from __future__ import annotations

from mockbroker.contract import clauses
from mockbroker.contract.clause import Clause

__all__ = ["WHY_IT_COUNTS"]

_OTHER_TYPE = (
    "A MAC or DPoP token is used as a bearer token; RFC 6749, 7.1: “The client MUST NOT use an "
    "access token if it does not understand the token type.”"
)
_EMPTY = (
    "A call is signed with an empty `access_token`, which RFC 6749, A.12, excludes; the cause is "
    "then a 401 of the API, far from the answer."
)
_ANY_ANSWER = (
    "An answer without `access_token` is taken for a token, though RFC 6749, 5.1, requires it."
)
_EMPTY_OR_MISSING = (
    "A call is signed with an empty or missing `access_token`, which RFC 6749, 5.1, requires; the "
    "cause is then a 401 of the API, far from the answer."
)
_FORM_ENCODED = (
    "Not a bug: RFC 6749, 2.3.1, wants id and secret form-encoded before Base64, as this client "
    "does. The profile's vendor takes them as they are, so that special characters fail there."
)
_IN_THE_BODY = (
    "Not a bug: RFC 6749, 2.3.1, allows credentials in the body. The profile's vendor takes Basic "
    "only, and the client has no setting for it."
)
_AT_EXPIRY = "The expiry is compared so that a token is still used at the instant when it expires."
_SIGNS_REDIRECTS = "A redirect to another origin gets the token, so that its host can use it."
_FOLLOWS_REDIRECTS = (
    "A redirect (307) of the token endpoint to another origin gets the client secret as well."
)

WHY_IT_COUNTS: dict[str, dict[Clause, str]] = {
    "requests-oauthlib": {
        clauses.refresh.HONOURS_EXPIRES_IN: "`expires_at` is rounded to the nearest second, so "
        "that a token is used up to half a second after its expiry (oauthlib).",
    },
    "Authlib, requests": {clauses.response.NO_TOKEN: _EMPTY},
    "Authlib, httpx": {clauses.response.NO_TOKEN: _EMPTY},
    "requests_oauth2client": {clauses.response.NO_TOKEN: _EMPTY},
    "requests-auth": {
        clauses.response.TOKEN_TYPE_UNKNOWN: _OTHER_TYPE,
        clauses.cache.ISOLATION: "Two handlers with different client ids share a token, so that "
        "one acts with the rights of the other.",
    },
    "httpx-auth": {clauses.response.TOKEN_TYPE_UNKNOWN: _OTHER_TYPE},
    "openfga-sdk": {
        clauses.basic.SCHEME: _IN_THE_BODY,
        clauses.response.TOKEN_TYPE_UNKNOWN: _OTHER_TYPE,
        clauses.refresh.CLOCK_CHANGES: "The expiry is in local time without a zone: an expired "
        "token is sent for up to an hour after the clocks go back.",
        clauses.secrecy.REDIRECT: _FOLLOWS_REDIRECTS,
    },
    "mcp": {
        clauses.response.NO_TOKEN: "An empty `access_token` is taken for no token: the call goes "
        "out again without one, and its 401 is returned without a word on the answer.",
        clauses.refresh.HONOURS_EXPIRES_IN: _AT_EXPIRY,
    },
    "@badgateway/oauth2-client": {
        clauses.basic.CREDENTIALS: _FORM_ENCODED,
        clauses.response.JSON_FORMS: "Media types have no case (RFC 9110, 8.3.1), and an answer of "
        "type `Application/JSON` is refused.",
        clauses.response.TOKEN_TYPE_UNKNOWN: _OTHER_TYPE,
    },
    "openid-client": {clauses.basic.CREDENTIALS: _FORM_ENCODED},
    "simple-oauth2": {
        clauses.basic.CREDENTIALS: _FORM_ENCODED,
        clauses.response.NO_TOKEN: _ANY_ANSWER,
    },
    "golang.org/x/oauth2": {
        clauses.basic.CREDENTIALS: _FORM_ENCODED,
        clauses.response.TOKEN_TYPE_UNKNOWN: "A token of any type is sent behind the name of its "
        "type (`MAC …`), without the proof that such a type demands; RFC 6749, 7.1, forbids its "
        "use.",
        clauses.signing.CROSS_ORIGIN: _SIGNS_REDIRECTS,
    },
    "oauth2": {
        clauses.response.JSON_FORMS: "Media types have no case (RFC 9110, 8.3.1), and an answer of "
        "type `Application/JSON` is refused.",
        clauses.response.TOKEN_TYPE_UNKNOWN: _OTHER_TYPE,
        clauses.response.NO_TOKEN: _EMPTY,
        clauses.refresh.HONOURS_EXPIRES_IN: _AT_EXPIRY,
        clauses.signing.PRESERVES_REQUEST: "Of a query parameter that is there twice, one is sent.",
    },
    "google-oauth-client": {
        clauses.response.TOKEN_TYPE_UNKNOWN: _OTHER_TYPE,
        clauses.response.NO_TOKEN: "An answer without a token passes for a success, and the call "
        "goes out unsigned.",
        clauses.refresh.OUTAGE_AFTER_EXPIRY: "A refresh that fails with 5xx is not reported: the "
        "call goes out with the expired token.",
        clauses.signing.CROSS_ORIGIN: _SIGNS_REDIRECTS,
        clauses.errors.BOUNDED: "It fetches a token and repeats the call ten times while the API "
        "answers 401: 22 requests in one use.",
        clauses.errors.SERVER_ERROR: "A failed first token request is not reported: the call goes "
        "out unsigned.",
        clauses.secrecy.REDIRECT: _FOLLOWS_REDIRECTS,
    },
    "LWP::Authen::OAuth2": {
        clauses.basic.SCHEME: _IN_THE_BODY,
        clauses.response.NO_TOKEN: _EMPTY_OR_MISSING,
        clauses.refresh.HONOURS_EXPIRES_IN: _AT_EXPIRY,
        clauses.signing.CROSS_ORIGIN: _SIGNS_REDIRECTS,
    },
    "curl in a script": {clauses.response.TOKEN_TYPE_UNKNOWN: _OTHER_TYPE},
}
"""For each client of the page the clauses that it fails."""
