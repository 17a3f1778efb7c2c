"""Likely mistakes that explain the whole body of a token request: another format, quotes around it.

They are read from the octets, because such a body has no parameters that could be judged.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import unquote_plus

from mockbroker.model.forms import FORM, LOOKED_AT_BYTES, METHODS_WITHOUT_BODY, media_type
from mockbroker.model.masking import shown
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest
from mockbroker.model.typography import QUOTES, TYPOGRAPHIC_QUOTES

__all__ = ["BodyMistake", "grant_in_form", "mistake_in_body"]

GRANT = "grant_type=client_credentials"
"""The form of most providers; `mistake_in_body` writes the profile's own in its place."""
_NO_BODY = "this provider needs no parameters; send the token request without a body"
# The vendor's page shows the body as `{ grant_type: client_credentials }`, and clients send it so.
_LITERAL = re.compile(r"\{\s*['\"]?grant_type['\"]?\s*[:=]\s*['\"]?\w+['\"]?\s*\}")


@dataclass(frozen=True, slots=True)
class BodyMistake:
    """A mistake that explains the whole body.

    ``explains_type`` says that it explains a wrong media type as well.
    """

    hint: str
    explains_type: bool = False


def grant_in_form(profile: Profile) -> str:
    """Return the start of a right body, in the profile's form."""
    pairs = dict(list(profile.example_parameters.items())[:1])
    if not pairs and not profile.allows_empty_body:
        pairs = {profile.parameter_names.client_id: "VALUE"}
    if profile.body == "json":
        return json.dumps(pairs)
    return "&".join(f"{name}={value}" for name, value in pairs.items())


def mistake_in_body(request: TokenRequest, profile: Profile) -> BodyMistake | None:
    """Return the mistake that explains the whole body, or None."""
    if request.message.method in METHODS_WITHOUT_BODY:
        return None
    if profile.allows_empty_body and not request.message.body:
        return None
    if profile.body != "query" and profile.allows_empty_body:
        found = _not_form(request) if profile.body == "form" else _not_json(request, profile)
        return found and BodyMistake(_NO_BODY, explains_type=True)
    if profile.body != "form":
        return _not_json(request, profile) if profile.body == "json" else _not_query(request)
    found = _not_form(request)
    grant = grant_in_form(profile)
    if found is None or grant == GRANT:
        return found
    return replace(found, hint=found.hint.replace(GRANT, grant))


def _not_query(request: TokenRequest) -> BodyMistake | None:
    """Recognize parameters in a body where the profile has them in the URL."""
    if request.parameters or not request.message.body.strip():
        return None
    return BodyMistake(
        "the parameters are in the body; this provider takes them in the query of the URL "
        "(curl -G, params= in requests and httpx)",
        explains_type=True,
    )


def _not_json(request: TokenRequest, profile: Profile) -> BodyMistake | None:
    """Recognize a body other than a JSON object where the profile has one."""
    text = request.message.body[:LOOKED_AT_BYTES].decode("utf-8", "replace").strip()
    if request.json is not None:
        return None
    example = f"send {grant_in_form(profile)} and the rest as one JSON object"
    declared = media_type(request.message.headers.get("Content-Type") or "")
    if not text:
        return BodyMistake(f"the body is empty; {example}", explains_type=True)
    if "json" in declared and not text.startswith("{"):
        what = "the body is a JSON list" if text.startswith("[") else "the body is not JSON"
        return BodyMistake(f"{what} although the header says so; {example}")
    if text.startswith("{"):
        return BodyMistake(f"the body begins as JSON and cannot be parsed; {example}")
    return BodyMistake(
        f"the body is a form; this provider takes JSON: {example} (json= in requests and httpx)",
        explains_type=declared == FORM,
    )


def _not_form(request: TokenRequest) -> BodyMistake | None:
    """Return the mistake that explains why a body is not a form, or None."""
    octets = request.message.body[:LOOKED_AT_BYTES]
    declared = media_type(request.message.headers.get("Content-Type") or "")
    if declared.startswith("multipart/") or b"Content-Disposition: form-data" in octets[:2000]:
        return BodyMistake(
            "the body is multipart/form-data, as curl -F, FormData and files= send it; send "
            f"{GRANT} as {FORM} (curl -d, URLSearchParams, data=)",
            explains_type=declared.startswith("multipart/"),
        )
    if octets[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in octets[:8]:
        return BodyMistake("the body is encoded as UTF-16; encode it as UTF-8")
    if octets.startswith(b"\xef\xbb\xbf"):
        return BodyMistake(
            "the body begins with a byte order mark: was it read from a file? leave it out"
        )
    text = octets.decode("utf-8", "replace")
    is_json_type = "json" in declared
    if text.strip() and request.json is not None:
        is_form_type = declared == FORM
        said = " although the header says form: send" if is_form_type else "; send a form:"
        return BodyMistake(f"the body is JSON{said} {GRANT}", explains_type=is_json_type)
    looks: tuple[Callable[[str], str], ...] = (
        _literal,
        _in_other_notation,
        _word_in_place,
        _in_quotes,
        _entities,
        _encoded_as_a_whole,
        _as_value_of_another,
        _spread,
    )
    hint = next(filter(None, (look(text.strip()) for look in looks)), "")
    if not hint:
        return None
    is_json = text.lstrip().startswith(('"', "[")) and is_json_type
    return BodyMistake(hint, explains_type=is_json)


def _literal(text: str) -> str:
    """Recognize the body in the notation of the vendor's page."""
    if not _LITERAL.fullmatch(text):
        return ""
    return (
        "the body is `{ grant_type: client_credentials }` literally, as the documentation "
        f"prints it; send {GRANT}"
    )


def _in_other_notation(text: str) -> str:
    """Recognize YAML, XML, a list of JSON, and the repr of a dictionary."""
    if re.match(r"grant_?-?type\s*:(?!=)", text, re.IGNORECASE):
        return f"the body has a colon in place of the equals sign (YAML notation); send {GRANT}"
    if text.startswith("<"):
        return f"the body is XML or HTML; send {GRANT}"
    if text.startswith(("[{", '["', "[[")):
        return f"the body is a JSON list; send a form: {GRANT}"
    if text.startswith("{") and '\\"' in text:
        return (
            "the body is JSON with a backslash before each quote, which a shell passed on; send a "
            f"form: {GRANT}"
        )
    if text.startswith(("{", "%{", "@{", "#{", "Map(", "dict(")) and "grant_type" in text:
        return f"the body is a dictionary in the notation of a program; send a form: {GRANT}"
    if re.match(r"[bu]['\"]", text):
        return f"the body was bytes, written as b'…': decode them, and send {GRANT}"
    return ""


def _word_in_place(text: str) -> str:
    """Recognize the words that languages print for an object or for nothing."""
    if re.fullmatch(r"\[object \w+\]|Array|System\.[\w.`\[\], ]+|None|null|undefined|nil", text):
        return (
            f"the body is the word {text[:40]!r}: an object was sent without encoding it; send "
            f"{GRANT}"
        )
    if text.startswith("@") and "=" not in text:
        return (
            "the body is the name of a file with an @; curl reads the file, other programs do not"
        )
    return ""


def _in_quotes(text: str) -> str:
    """Recognize quotes around the whole body."""
    if len(text) < 2 or not ("=" in text or "grant" in text):  # noqa: PLR2004 - two quotes
        return ""
    first, last = text[0], text[-1]
    if first == '"' and last == '"':
        return (
            "the body is a form in double quotes, a JSON string: was it passed to JSON.stringify, "
            f"to json=, or with quotes within quotes? send {GRANT}"
        )
    if _is_around("'", text):
        return (
            "there are single quotes around the body: cmd.exe passes them on as they are; write "
            f'"{GRANT}" in double quotes'
        )
    if any(_is_around(quote, text) for quote in TYPOGRAPHIC_QUOTES):
        return (
            "there are typographic (curly) quotes around the body, as word processors write them: "
            "use straight quotes"
        )
    if _is_around('"', text) or _is_around("`", text):
        return f"there is a quote at one end of the body: send {GRANT} without quotes"
    return ""


def _is_around(quote: str, text: str) -> bool:
    """Return whether the quote begins a text, or is the only one and ends it."""
    is_only = not any(each in text[:-1] for each in QUOTES)
    return text.startswith(quote) or (text.endswith(quote) and is_only)


def _entities(text: str) -> str:
    """Recognize entities of HTML."""
    found = re.search(r"&(?:quot|amp|apos|lt|gt|nbsp|#\d{2,5}|#[xX][0-9A-Fa-f]{2,5});", text)
    if not found:
        return ""
    return (
        f"the body has entities of HTML, such as {found[0]}: was it copied from the source of a "
        f"page? write {html.unescape(found[0])}"
    )


def _encoded_as_a_whole(text: str) -> str:
    """Recognize a body that was percent-encoded as a whole."""
    if "grant_type=" in text or not re.match(r"grant(?:_|%5F)type%(?:25)*3D", text, re.IGNORECASE):
        return ""
    return (
        f"the = is percent-encoded: names and values are encoded, not the whole body; send {GRANT}"
    )


def _as_value_of_another(text: str) -> str:
    """Recognize JSON or a whole form as the name or the value of one parameter."""
    if "grant_type=" in text:
        return ""
    plain = unquote_plus(text)
    name, _, value = plain.partition("=")
    for part in (plain.rstrip("="), value):
        if part.startswith("{") and _is_json(part):
            return f"the body is JSON in the place of a parameter; send a form: {GRANT}"
    if re.match(r"grant_type=", value):
        return f"the form is the value of a parameter {shown(name)!r}; send {GRANT} by itself"
    return ""


def _is_json(text: str) -> bool:
    """Return whether the string is JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _spread(text: str) -> str:
    """Recognize a string that was taken for a list of characters."""
    if re.match(r"(?:%?\w*\[?)?0(?:\]|%5D)?=g&", text):
        return f"the body is a string taken apart into characters; send {GRANT}"
    return ""
