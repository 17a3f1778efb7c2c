"""Explaining one request: which clauses it breaks, and what the likely mistakes are.

It uses the reader, the judges and the hints of the broker, so that both say the same about a
request. It sends nothing and needs no broker. It judges one request alone, so it says
nothing about clauses on several requests, such as those on refreshing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from mockbroker.cli.decoded_credentials import DecodedCredentials, decoded_credentials
from mockbroker.cli.pasted_command import find_command, other_command, read_pasted_command
from mockbroker.cli.pasted_message import read_pasted_message
from mockbroker.cli.pasted_text import (
    Mistake,
    Pasted,
    Repair,
    UnreadableRequestError,
    repaired_text,
)
from mockbroker.contract.authentication import method_in
from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.contract.hints import hint_for_api_call, hints_for_token_request
from mockbroker.contract.judging import judge_api_call, judge_token_request
from mockbroker.contract.request_hints import hint_on_path
from mockbroker.model.api_call import judged_call
from mockbroker.model.breach import Breach, hints_of
from mockbroker.model.credentials import Credentials
from mockbroker.model.masking import Mask, mask, mask_parameters, shown
from mockbroker.model.messages import Request
from mockbroker.model.placeholders import placeholder_in, stands_for_nothing
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = ["Explanation", "UnreadableRequestError", "explain", "explain_request", "read_pasted"]

TOKEN_REQUEST, API_CALL = "token-request", "api-call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is known about one request; no string of it holds a secret or a token.

    ``mistakes`` are those in the command or in the framing of the message. ``hints`` are the likely
    mistakes in the request, those of the breaches among them. ``notes`` are remarks on what was
    not judged.
    """

    kind: str
    profile: Profile
    breaches: tuple[Breach, ...] = ()
    hints: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    decoded: tuple[DecodedCredentials, ...] = ()
    repairs: tuple[Repair, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong with the request, nor with the command."""
        return not (self.breaches or self.hints or self.mistakes)

    def lines(self) -> list[str]:
        """Return the explanation for a terminal."""
        is_token_request = self.kind == TOKEN_REQUEST
        lines = ["A request for a token." if is_token_request else "A call to the API."]
        lines += [str(each) for each in self.decoded]
        lines += [f"Mistake: {mistake.text}" for mistake in self.mistakes]
        for breach in self.breaches:
            entry = clause_named(breach.clause_id).for_profile(self.profile)
            lines.append(f"{entry.level.value} {breach.clause_id}: the client {entry.title}")
            lines.append(f"    found: {breach.what}; expected {breach.expected}")
            lines.append(f"    source: {'; '.join(map(str, entry.sources))}")
        lines += [f"Hint: {hint}" for hint in self.hints]
        if not (self.breaches or self.hints):
            lines.append("The request breaks no clause.")
        if self.repairs:
            lines.append(f"(Read after these repairs: {', '.join(r.value for r in self.repairs)}.)")
        return lines + [f"({note})" for note in self.notes]

    def as_json(self) -> dict[str, object]:
        """Return the explanation as values for JSON; docs/offline.md describes them."""
        return {
            "schema": 1,
            "kind": self.kind,
            "profile": self.profile.name,
            "ok": self.is_right,
            "mistakes": [{"kind": m.kind.value, "text": m.text} for m in self.mistakes],
            "breaches": [_breach_row(breach, self.profile) for breach in self.breaches],
            "hints": list(self.hints),
            "decoded": [each.as_json() for each in self.decoded],
            "repairs": [repair.name.lower().replace("_", "-") for repair in self.repairs],
            "notes": list(self.notes),
        }


def _breach_row(breach: Breach, profile: Profile) -> dict[str, object]:
    """Return a breach as values for JSON."""
    entry = clause_named(breach.clause_id).for_profile(profile)
    return {
        "clause": breach.clause_id,
        "level": entry.level.value,
        "title": entry.title,
        "found": breach.what,
        "expected": breach.expected,
        "hints": list(breach.hints),
        "sources": [str(source) for source in entry.sources],
    }


def read_pasted(text: bytes) -> Pasted:
    """Return the request in a pasted text: a raw HTTP message or a curl command.

    Raises UnreadableRequestError if it is neither.
    """
    if not text.strip():
        raise UnreadableRequestError(
            "stdin is empty; pass a raw HTTP request or a curl command to explain"
        )
    plain, repairs = repaired_text(text)
    # A curl command is text; a raw request may have any bytes in its body.
    as_text = plain.decode("utf-8", "replace")
    other = other_command(as_text)
    if other:
        raise UnreadableRequestError(other)
    command = find_command(as_text)
    if command is not None:
        return read_pasted_command(command, repairs)
    return read_pasted_message(plain, repairs)


def explain(text: bytes, profile: Profile, credentials: Sequence[Credentials] = ()) -> Explanation:
    """Explain a pasted text.

    Without ``credentials`` those in the request count as registered. Raises
    UnreadableRequestError if the text is neither an HTTP message nor a curl command.
    """
    return explain_request(read_pasted(text), profile, credentials)


def explain_request(
    pasted: Pasted, profile: Profile, credentials: Sequence[Credentials] = ()
) -> Explanation:
    """Explain a request that was read; see `explain`."""
    request = pasted.request
    # Otherwise every request without --client would be rejected for unknown credentials, which
    # would hide the mistake in its form.
    known = tuple(credentials) or _claimed(request, profile)
    if _is_api_call(request, profile):
        explanation, token_values = _explain_api_call(request, profile, known)
    else:
        explanation, token_values = _explain_token_request(pasted, profile, known), set()
        if not credentials:
            note = "Add --client ID:SECRET to check the credentials too."
            explanation = replace(explanation, notes=(*explanation.notes, note))
    explanation = replace(explanation, mistakes=pasted.mistakes, repairs=pasted.repairs)
    return _masked(explanation, lambda text: mask_parameters(mask(text, known, token_values)))


def _is_api_call(request: Request, profile: Profile) -> bool:
    """Return whether the request is a call to the API, as opposed to a token request."""
    if request.path.rstrip("/").endswith(profile.own_token_path):
        return False
    if profile.has_token_path(request.path):
        return False
    if (request.path + "/").startswith(profile.api_prefix + "/"):
        return True
    # A pasted request often has another path than the profile's. Any sign of a token request is
    # enough: the name of the endpoint, a grant type, or credentials.
    last = profile.own_token_path.rstrip("/").rpartition("/")[2]
    place = request.target.lower()
    body = request.body.lower()
    signs = (
        last in place,
        "token" in request.path.lower(),
        "grant_type" in place,
        any(word in body for word in (b"grant", b"client_credentials", b"client_secret")),
        (request.headers.get("Authorization") or "").lower().startswith("basic"),
    )
    return not any(signs)


def _explain_token_request(
    pasted: Pasted, profile: Profile, known: tuple[Credentials, ...]
) -> Explanation:
    """Explain a token request. Other paths are accepted: the configured URL is not known here."""
    request, notes = pasted.request, []
    if pasted.is_body_unknown:
        notes.append("The text has no body, as curl -v prints none: it was not judged.")
        request = replace(request, body=_right_body(profile))
    is_near = hint_on_path(request.path, profile.own_token_path)
    is_right = profile.has_token_path(request.path)
    if not is_near and not is_right:
        notes.append(
            f"The path is {shown(request.path)}; that of profile {profile.name} is "
            f"{profile.token_path}."
        )
    wanted = profile.own_token_path if is_near and not is_right else request.path
    expectation = TokenExpectation(profile, wanted, known)
    parts = TokenRequest.of(request, profile)
    breaches = judge_token_request(parts, expectation)
    found = (*hints_for_token_request(parts, expectation), *hints_of(breaches))
    return Explanation(
        kind=TOKEN_REQUEST,
        profile=profile,
        breaches=breaches,
        hints=tuple(dict.fromkeys(found)),
        decoded=decoded_credentials(parts, expectation),
        notes=tuple(notes),
    )


def _right_body(profile: Profile) -> bytes:
    """Return a body that breaks no clause, in place of one that is not known."""
    pairs = profile.example_parameters
    return json.dumps(pairs).encode() if profile.body == "json" else urlencode(pairs).encode()


def _explain_api_call(
    request: Request, profile: Profile, known: tuple[Credentials, ...]
) -> tuple[Explanation, set[str]]:
    """Explain a call to the API; return also its token, which must be masked."""
    request = judged_call(request, profile)
    usual = ApiExpectation.of(profile, (), known)
    carrier = request.headers.get(usual.header) or ""
    # Stripped of quotes and blanks, so that the judge can say that exactly these are wrong.
    after_scheme = carrier.partition(" ")[2] if usual.scheme else carrier
    token = after_scheme.strip(" \"'")
    token_values = {token} - {""}
    # The token in the call counts as issued: only its form can be judged here. A placeholder does
    # not, nor does the word for a missing value.
    is_token = not (placeholder_in(token) or stands_for_nothing(token))
    expectation = replace(usual, token_values=frozenset(token_values if is_token else ()))
    breaches = judge_api_call(request, expectation)
    hint = hint_for_api_call(request, expectation) if breaches else ""
    explanation = Explanation(
        kind=API_CALL,
        profile=profile,
        breaches=breaches,
        hints=tuple(dict.fromkeys([hint, *hints_of(breaches)])) if hint else hints_of(breaches),
    )
    return explanation, token_values if is_token else set()


def _claimed(request: Request, profile: Profile) -> tuple[Credentials, ...]:
    """Return the credentials in the request, read leniently; empty if it has none.

    Their secret cannot be checked, because nothing else knows it.
    """
    parts = TokenRequest.of(request, profile)
    claimed = method_in(parts, profile).claimed(parts)
    return () if claimed is None else (claimed,)


def _masked(explanation: Explanation, mask_it: Mask) -> Explanation:
    """Return the explanation with secrets and tokens masked: users paste it into tickets."""
    return replace(
        explanation,
        breaches=tuple(
            replace(
                breach,
                what=mask_it(breach.what),
                expected=mask_it(breach.expected),
                hints=tuple(map(mask_it, breach.hints)),
            )
            for breach in explanation.breaches
        ),
        hints=tuple(map(mask_it, explanation.hints)),
        mistakes=tuple(
            replace(mistake, text=mask_it(mistake.text)) for mistake in explanation.mistakes
        ),
        decoded=tuple(each.masked(mask_it) for each in explanation.decoded),
        notes=tuple(map(mask_it, explanation.notes)),
    )
