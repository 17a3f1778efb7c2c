"""Explaining one request: which clauses it breaks, and what the likely mistake is.

It uses the judges and the hints of the broker, so that both say the same about a request.

It sends nothing and needs no broker: the judges are pure. It judges one request alone, so it says
nothing about clauses on several requests, such as those on refreshing.
"""

from __future__ import annotations

from collections.abc import Sequence

from mockbroker.cli.pasted_request import UnreadableRequestError, parse_curl, parse_raw
from mockbroker.contract.authentication import method_in
from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.contract.hints import hint_for_api_call, hints_for_token_request
from mockbroker.contract.judging import judge_api_call, judge_token_request
from mockbroker.model.breach import Breach
from mockbroker.model.credentials import Credentials
from mockbroker.model.masking import mask
from mockbroker.model.messages import Request
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = ["UnreadableRequestError", "explain_request", "explain_text"]


def explain_text(text: bytes, profile: Profile, credentials: Sequence[Credentials] = ()) -> str:
    """Return what is wrong with a raw HTTP request or a curl command, as lines of text.

    Without ``credentials`` those in the request count as registered. Raises
    UnreadableRequestError if the input is neither.
    """
    if not text.strip():
        raise UnreadableRequestError(
            "stdin is empty; pass a raw HTTP request or a curl command to explain"
        )
    # A raw request begins with its method, so the first word decides.
    first = text.split(None, 1)[0]
    if first.lower() in {b"curl", b"curl.exe"}:
        # A curl command is text; a raw request may have any bytes in its body.
        request = parse_curl(text.decode("utf-8", "replace"))
    else:
        request = parse_raw(text)
    return explain_request(request, profile, credentials)


def explain_request(
    request: Request, profile: Profile, credentials: Sequence[Credentials] = ()
) -> str:
    """Return what is wrong with a request, as lines of text; see `explain_text`.

    Secrets and tokens in the result are masked: users paste it into tickets.
    """
    # Otherwise every request without --client would be rejected for unknown credentials, which
    # would hide the mistake in its form.
    known = tuple(credentials) or _claimed(request, profile)
    if _is_api_call(request, profile):
        lines = _explain_api_call(request, known)
    else:
        lines = _explain_token_request(request, profile, known)
        if not credentials:
            lines.append("(Add --client ID:SECRET to check the credentials too.)")
    return mask("\n".join(lines), known, ())


def _is_api_call(request: Request, profile: Profile) -> bool:
    """Return whether the request is a call to the API, as opposed to a token request."""
    if (request.path + "/").startswith(profile.api_prefix + "/"):
        return True
    # A pasted request often has another path than the profile's. Either sign of a token request is
    # enough: the name of the endpoint or a grant type.
    last = profile.token_path.rstrip("/").rpartition("/")[2]
    return last not in request.path and b"grant_type" not in request.body


def _explain_token_request(
    request: Request, profile: Profile, known: tuple[Credentials, ...]
) -> list[str]:
    """Explain a token request. Any path is accepted: the configured URL is not known here."""
    expectation = TokenExpectation(profile, request.path, known)
    parts = TokenRequest.of(request)
    breaches = judge_token_request(parts, expectation)
    hint = "; ".join(hints_for_token_request(parts, expectation))
    return ["A request for a token.", *_verdict(breaches, hint)]


def _explain_api_call(request: Request, known: tuple[Credentials, ...]) -> list[str]:
    """Explain a call to the API, with its token masked."""
    authorization = request.headers.get("Authorization") or ""
    # Stripped of quotes and blanks, so that the judge can say that exactly these are wrong.
    token = authorization.partition(" ")[2].strip(" \"'")
    # The token in the call counts as issued: only its form can be judged here.
    expectation = ApiExpectation(frozenset({token} - {""}), known)
    breaches = judge_api_call(request, expectation)
    lines = _verdict(breaches, hint_for_api_call(request, expectation))
    text = "\n".join(["A call to the API.", *lines])
    # Masked here, because only this function knows the token. An empty token is not a secret.
    return mask(text, known, {token} - {""}).split("\n")


def _verdict(breaches: Sequence[Breach], hint: str) -> list[str]:
    """Return the breaches, their sources and the hints as lines."""
    if not breaches:
        return ["The request breaks no clause."]
    lines = []
    for breach in breaches:
        entry = clause_named(breach.clause_id)
        lines.append(f"{entry.level.value} {breach.clause_id}: the client {entry.title}")
        lines.append(f"    found: {breach.what}; expected {breach.expected}")
        lines.append(f"    source: {'; '.join(str(s) for s in entry.sources)}")
    # A dict instead of a set: each hint once, in the order of the breaches.
    hints = dict.fromkeys([hint, *(breach.hint for breach in breaches)])
    return lines + [f"Hint: {text}" for text in hints if text]


def _claimed(request: Request, profile: Profile) -> tuple[Credentials, ...]:
    """Return the credentials in the request, read leniently; empty if it has none.

    Their secret cannot be checked, because nothing else knows it.
    """
    parts = TokenRequest.of(request)
    claimed = method_in(parts, profile).claimed(parts)
    return () if claimed is None else (claimed,)
