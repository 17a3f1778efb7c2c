"""Chapter ``post``: client authentication in the body of the token request (RFC 6749, 2.3.1).

As in chapter ``request``, each mistake is named by one clause only.
"""

from __future__ import annotations

from collections.abc import Iterator

from mockbroker.contract.authentication import (
    Body,
    HeaderFields,
    PublicClient,
    Query,
    accepted_methods,
)
from mockbroker.contract.clause import (
    Clause,
    Flaw,
    Impact,
    Level,
    TokenRequestJudge,
    Wording,
    provider,
    rfc,
)
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.contract.method_chapters import applies_with, judged_by
from mockbroker.contract.preconditions import (
    ANY_TOKEN_REQUEST,
    is_accepted,
    token_request_seen,
)
from mockbroker.contract.profile_words import argument_for, body_in_words
from mockbroker.model.exchange import Exchange
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = ["CLAUSES", "CREDENTIALS", "ONLY"]


_applies_to = applies_with(Body)


def _judge_credentials(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find credentials that are missing, in another place, or wrong.

    The flaw names the place where they are instead, because the fix depends on it.
    """
    method = judged_by(Body, request, expected)
    if method is None or any(method.presents(request, pair) for pair in expected.credentials):
        return
    where = method.where
    other = next((place for place in request.places_of_secret if place != where), "")
    if method.is_used_in(request):
        what = f"the credentials in the {where} match no registered client"
    elif request.authorizations:
        what = f"the credentials are in the Authorization header, not in the {where}"
    elif other:
        what = f"the credentials are in the {other}, not in the {where}"
    else:
        what = f"the {where} has no credentials"
    yield Flaw(what, method.expected)


def _judge_only(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
    """Find credentials in a second place."""
    # RFC 6749, 2.3: "The client MUST NOT use more than one authentication method in each request."
    method = judged_by(Body, request, expected)
    if method is None or not method.is_used_in(request):
        return
    places = ["Authorization header"] if request.authorizations else []
    places += [place for place in request.places_of_secret if place != method.where]
    if places:
        what = f"the credentials are also in the {' and '.join(places)}"
        yield Flaw(what, f"credentials in the {method.where} only")


def _shows_credentials(exchange: Exchange) -> bool:
    """Return whether the form has a client_secret, right or wrong; in another form a right one."""
    parts = TokenRequest.of(exchange.request)
    if parts.values("client_secret"):
        return True
    # A lenient broker issues a token for wrong credentials as well.
    is_wrong = any(breach.clause_id == CREDENTIALS.id for breach in exchange.breaches)
    return is_accepted(exchange) and not is_wrong and not parts.authorizations


def _credential_words(profile: Profile) -> Wording:
    method = next(each for each in accepted_methods(profile) if isinstance(each, Body))
    names, place = profile.parameter_names, body_in_words(profile)
    both = f"{names.client_id} and {names.client_secret}"
    own_pages = (provider("client_authentication", "parameter_names", "body"),)
    if isinstance(method, PublicClient):
        return {
            "sources": own_pages,
            "title": f"sends {names.client_id} in {place}, exactly as registered and once, and no "
            "secret",
            "fix": f"Pass {names.client_id} to the HTTP library as a parameter "
            f"({argument_for(profile)}), and let the library encode it once.",
        }
    if isinstance(method, Query):
        return {
            "sources": own_pages,
            "title": f"sends {both} in the query of the URL, exactly as registered and once each, "
            "for all characters",
            "fix": f"Pass {both} to the HTTP library as parameters of the query (`params={{…}}` in "
            "requests and httpx), and let the library encode them once.",
        }
    if profile.body == "json":
        return {
            "sources": own_pages,
            "title": f"sends {both} in a JSON body, exactly as registered and once each, for all "
            "characters",
            "why": "Generated secrets contain quotes, backslashes and characters beyond ASCII. A "
            "client that writes JSON by hand works with some secrets and fails with the next one.",
            "fix": f"Pass {both} to the HTTP library as members ({argument_for(profile)}), and let "
            "the library encode them.",
        }
    return {
        "title": f"sends {both} in the body, exactly as registered and once each, for all "
        "characters",
        "fix": f"Pass {both} to the HTTP library as form parameters ({argument_for(profile)}), and "
        "let the library encode them once.",
    }


def _only_words(profile: Profile) -> Wording:
    method = next(each for each in accepted_methods(profile) if isinstance(each, Body))
    if method.where == "body":
        return {}
    if isinstance(method, HeaderFields):
        names = profile.parameter_names
        return {
            "title": "does not also put credentials into the Authorization header, the URL or the "
            "body",
            "sources": (provider("client_authentication", "parameter_names"), rfc(6749, "2.3")),
            "fix": f"Send the credentials in the header fields {names.client_id} and "
            f"{names.client_secret} only. Switch off the option that also puts them into the "
            "Authorization header, the URL or the body.",
        }
    return {
        "title": "does not also put credentials into a header or the body",
        "sources": (provider("client_authentication"), rfc(6749, "2.3")),
        "why": "RFC 6749 forbids two ways of authentication in one request, and strict brokers "
        "answer 400.",
        "fix": "Send the credentials in the URL only, as this provider wants it. Switch off the "
        "option that also puts them into the Authorization header or the body.",
    }


# RFC 6749, 2.3.1: "Alternatively, the authorization server MAY support including the client
# credentials in the request-body".
CREDENTIALS = Clause(
    id="post.credentials",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="sends client_id and client_secret in the body, exactly as registered and once each, for "
    "all characters",
    sources=(provider("client_authentication", "parameter_names"), rfc(6749, "2.3.1")),
    consequence="the broker receives wrong credentials and refuses them",
    why="Generated secrets contain characters such as + / = & % and spaces. A client that does not "
    "form-encode them, or does it twice, works with some secrets and fails with the next one.",
    fix="Pass client_id and client_secret to the HTTP library as form parameters (`data={…}` in "
    "requests and httpx), and let the library encode them once.",
    applies_to=_applies_to,
    wording=_credential_words,
    judge=TokenRequestJudge(_judge_credentials),
    precondition=ANY_TOKEN_REQUEST,
)
# RFC 6749, 2.3.1: the parameters "can only be transmitted in the request-body and MUST NOT be
# included in the request URI."
ONLY = Clause(
    id="post.only",
    level=Level.MUST,
    impact=Impact.SECURITY,
    title="does not also put credentials into a header or the URL",
    sources=(rfc(6749, "2.3"), rfc(6749, "2.3.1")),
    consequence="the client secret also goes into headers or URLs, and from there into logs",
    why="RFC 6749 forbids two ways of authentication in one request, and strict brokers answer "
    "400. In a URL the secret also ends up in access logs.",
    fix="Send the credentials in the body only. Switch off the option that also puts them into the "
    "Authorization header or the URL.",
    applies_to=_applies_to,
    wording=_only_words,
    judge=TokenRequestJudge(_judge_only),
    precondition=token_request_seen(
        "no token request with credentials in its body was seen", _shows_credentials
    ),
)

CLAUSES = (CREDENTIALS, ONLY)
