"""The broker's answers as values: token responses, error bodies, and how they are sent.

A `Reply` is what the server sends. It keeps the response apart from the manner of sending it, since
a fault may change either.
"""

from __future__ import annotations

import email.utils
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from mockbroker.broker.answer_form import AnswerForm, drop_member, put_member
from mockbroker.broker.clock import LAST_MOMENT
from mockbroker.broker.faults import Body, Fault, Manner, Sent
from mockbroker.model.messages import Headers, Response

__all__ = [
    "Reply",
    "TokenAnswer",
    "apply_fault",
    "dated",
    "error_description",
    "json_response",
    "render_json",
]

# RFC 6749, 5.1: the authorization server MUST include both in any response that contains tokens or
# credentials. The broker sends them with errors as well, whose descriptions may quote a request.
NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
# Without a charset: the media type has no such parameter (RFC 8259, 11).
JSON = "application/json"


# RFC 8259, 8.1: JSON between systems is in UTF-8, so characters beyond ASCII need no escapes. Made
# once: `json.dumps` makes an encoder for each call with this option.
_ENCODE_JSON = json.JSONEncoder(ensure_ascii=False).encode


def render_json(members: Mapping[str, object]) -> bytes:
    """Return the members as a JSON object in UTF-8."""
    return _ENCODE_JSON(members).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """The form of a successful token response (RFC 6749, 5.1).

    ``members`` are added to the documented ones or replace them, ``omit`` leaves some out, and
    ``render`` makes the body from them. None of it changes the lifetime that the broker enforces.
    """

    members: Mapping[str, object] = field(default_factory=dict)
    omit: tuple[str, ...] = ()
    render: Callable[[Mapping[str, object]], bytes] = render_json
    content_type: str = JSON

    def response(
        self, documented: Mapping[str, object], form: AnswerForm | None = None
    ) -> Response:
        """Return the response made from the documented members, in the provider's form."""
        members = {**documented, **self.members}
        chosen: Mapping[str, object] = {n: v for n, v in members.items() if n not in self.omit}
        status = 200
        if form is not None:
            # Last, so that a test changes the members of RFC 6749, wherever a provider has them.
            chosen, status = form.members(chosen), form.answer.status
        fields = (("Content-Type", self.content_type), *NO_STORE)
        return Response(status, Headers(fields), self.render(chosen))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A response and how the server sends it.

    ``delay_seconds`` of real time pass before it, ``spread_seconds`` while it stalls or drips;
    both end early once ``released`` is set. The body is compressed by ``coding``, if there is one
    and the request allows it. ``pieces``, if there are any, follow the body as they are made. Their
    ``close`` is called at the end, if they have one.
    """

    response: Response
    manner: Manner = Manner.NORMAL
    coding: str = ""
    delay_seconds: float = 0.0
    spread_seconds: float = 0.0
    pieces: Iterable[bytes] | None = field(default=None, compare=False)
    # Not compared: two replies are equal if the client sees no difference.
    released: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def arrives(self) -> bool:
        """Whether the server sends the whole response, at once or slowly."""
        return self.manner.sent is Sent.ALL


def json_response(
    status: int, members: Mapping[str, object], *headers: tuple[str, str]
) -> Response:
    """Return a response with a JSON object as its body."""
    fields = (("Content-Type", JSON), *headers)
    return Response(status, Headers(fields), render_json(members))


def dated(response: Response, now: float) -> Response:
    """Return the response with its Date (RFC 9110, 6.6.1); ``now`` is in Unix seconds."""
    # By the broker's clock, so that Date and the lifetimes of tokens agree in a test that moves
    # time.
    fields = (*response.headers.fields, ("Date", _http_date(int(now))))
    return Response(response.status, Headers(fields), response.body)


# A busy broker answers many requests within one second.
@lru_cache(maxsize=16)
def _http_date(moment: int) -> str:
    """Return a Unix time as a date in GMT (IMF-fixdate; RFC 9110, 5.6.7)."""
    # A latency or a scenario may have moved the clock beyond.
    return email.utils.formatdate(min(moment, LAST_MOMENT), usegmt=True)


def error_description(text: str) -> str:
    """Return the string in the characters that RFC 6749, 5.2, allows.

    "Values for the "error_description" parameter MUST NOT include characters outside the set
    %x20-21 / %x23-5B / %x5D-7E." That leaves out quotes and backslashes.
    """
    plain = text.replace('"', "'").replace("\\", "/").replace("“", "'").replace("”", "'")
    return "".join(c if " " <= c <= "~" else "?" for c in plain)


def apply_fault(response: Response, fault: Fault, paths: Mapping[str, str] = {}) -> Response:
    """Return the response as the fault changes it; `Reply` says how it is sent.

    ``paths`` are the places of members that a provider has elsewhere; a fault names RFC 6749's.
    """
    # The order matters where faults are combined: a status replaces the body whose members are
    # changed next, and the JSON is broken after that.
    if fault.status_code is not None:
        response = _with_status(response, fault)
    if fault.changes or fault.omit:
        response = replace(response, body=_change_members(response.body, fault, paths))
    if fault.breaks_json:
        # Half of an object lacks its closing brace, so that each JSON parser rejects it.
        response = replace(response, body=response.body[: len(response.body) // 2])
    if fault.media_type is not None:
        response = _with_content_type(response, fault.media_type)
    return response


def _with_status(default: Response, fault: Fault) -> Response:
    """Return the response with the fault's status, header fields and body.

    The fault's fields replace those of the default response that have the same name. Without a body
    of the fault, the default body for the status stays.
    """
    named = {name.lower() for name, _ in fault.headers}
    kept = tuple(pair for pair in default.headers if pair[0].lower() not in named)
    status = fault.status_code or default.status
    response = replace(default, status=status, headers=Headers(kept + fault.headers))
    if fault.body is None:
        return response
    # A page in place of JSON, as a proxy in front of a broker sends it. Text with the media type of
    # JSON would be another fault.
    if not isinstance(fault.body, Mapping) and "content-type" not in named:
        response = _with_content_type(response, "text/plain; charset=utf-8" if fault.body else "")
    return replace(response, body=_encode(fault.body))


def _encode(body: Body) -> bytes:
    """Return the body of a fault as bytes; empty for None."""
    if isinstance(body, Mapping):
        return render_json(body)
    return body.encode() if isinstance(body, str) else body or b""


def _with_content_type(response: Response, media_type: str) -> Response:
    """Return the response with this media type only; an empty string removes the field."""
    others = tuple(pair for pair in response.headers if pair[0].lower() != "content-type")
    own = (("Content-Type", media_type),) if media_type else ()
    return replace(response, headers=Headers(own + others))


def _change_members(body: bytes, fault: Fault, paths: Mapping[str, str]) -> bytes:
    """Return the JSON object with the fault's changes; return any other body as it is."""
    try:
        members = json.loads(body)
    except ValueError:
        # A body given by the test has no members to change.
        return body
    if not isinstance(members, dict):
        return body
    for name, value in dict(fault.changes).items():
        put_member(members, paths[name].split(".") if name in paths else [name], value)
    for name in fault.omit:
        drop_member(members, paths[name].split(".") if name in paths else [name])
    return render_json(members)
