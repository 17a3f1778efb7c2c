"""Chapter ``response``: how the client reads the token response (RFC 6749, 5.1).

Traffic alone does not show it, so these clauses have no judge; scenarios provoke and judge them.
"""

from __future__ import annotations

from mockbroker.contract.clause import (
    Clause,
    Impact,
    Level,
    Wording,
    names_lifetime,
    names_token_type,
    practice,
    provider,
    rfc,
)
from mockbroker.contract.profile_words import token_header
from mockbroker.model.profile import Profile

__all__ = [
    "CLAUSES",
    "DOCUMENTED",
    "EXPIRES_IN_FORMS",
    "EXPIRES_IN_MISSING",
    "EXPIRES_IN_UNIT",
    "JSON_FORMS",
    "NO_TOKEN",
    "OPAQUE_TOKEN",
    "SCOPE_MISSING",
    "TOKEN_NOT_STRING",
    "TOKEN_TYPE_CASE",
    "TOKEN_TYPE_UNKNOWN",
    "TRANSFER",
    "UNKNOWN_MEMBERS",
]


def _unit_words(profile: Profile) -> Wording:
    form = profile.answer.lifetime
    name = profile.answer.paths.get("expires_in", "expires_in")
    unit = _UNITS[form]
    if (form, name) == ("seconds", "expires_in"):
        return {}
    return {
        "sources": (provider("answer"),),
        "title": f"reads {name} as {unit}: neither drops a token after a hundredth of its life nor "
        "uses it many lives long",
        "why": f"The provider sends {unit}. A client that takes {name} for anything else requests "
        "a token for each call, or keeps one long after its expiry.",
        "fix": f"Read {name} as {unit}, and compute the expiry in the unit of your clock.",
    }


_UNITS = {
    "seconds": "seconds",
    "milliseconds": "milliseconds",
    "rfc3339": "the moment of expiry, a date in RFC 3339",
    "unix": "the moment of expiry, in Unix seconds",
    "unix-milliseconds": "the moment of expiry, in Unix milliseconds",
}


def _answer_words(profile: Profile) -> Wording:
    paths = profile.answer.paths
    token = paths.get("access_token", "access_token")
    lifetime = paths.get("expires_in", "expires_in")
    wanted = token if "expires_in" in profile.answer.omit else f"{token} and {lifetime}"
    return {"fix": f"Read {wanted} from the JSON object and ignore the rest."}


def _type_words(profile: Profile) -> Wording:
    scheme, own = profile.api_scheme, profile.token_type
    if (scheme, own.lower()) == ("Bearer", "bearer"):
        return {}
    return {
        "title": f"accepts token_type {own} in any case, and still signs as the API wants it",
        "why": "token_type is case insensitive. The API, however, takes a token in one form only: "
        f"{token_header(profile)}.",
        "fix": f"Compare token_type in lower case, and sign calls with {token_header(profile)}, "
        "whatever token_type is.",
    }


def _other_type_words(profile: Profile) -> Wording:
    own = profile.token_type.lower()
    return {"fix": f"Raise unless token_type, in lower case, is {own}."}


DOCUMENTED = Clause(
    id="response.documented",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="accepts the documented answer",
    sources=(provider("answer", "expires_in", "token_type"), rfc(6749, "5.1")),
    consequence="the client does not work even when the broker answers as documented",
    why="This is what the provider answers when everything works.",
    fix="Read access_token and expires_in from the JSON object and ignore the rest. Let no client "
    "close what others use.",
    wording=_answer_words,
)
# RFC 6749, 5.1, on scope: "OPTIONAL, if identical to the scope requested by the client;
# otherwise, REQUIRED."
SCOPE_MISSING = Clause(
    id="response.scope-missing",
    level=Level.MUST,
    impact=Impact.COMPATIBILITY,
    title="accepts an answer without scope",
    sources=(rfc(6749, "5.1"),),
    consequence="the client fails when the broker leaves scope out of its answer",
    why="A broker that grants what was requested may leave scope out. A client that reads it, or "
    "compares it with what it requested, fails although it has a token.",
    fix="Take an answer without scope as a grant of what you requested, and compare scopes only if "
    "the answer has one.",
)
# RFC 6749, 5.1, on expires_in: "The lifetime in seconds of the access token."
# The impact is that of the graver direction: a lifetime that is read too short costs quota.
EXPIRES_IN_UNIT = Clause(
    id="response.expires-in-unit",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="reads expires_in as seconds: neither drops a token after a hundredth of its life nor "
    "uses it many lives long",
    sources=(rfc(6749, "5.1"),),
    consequence="the client misreads the lifetime of tokens and uses them far too long or too "
    "briefly",
    why="A lifetime that is read as milliseconds is a thousandth of the real one: each call "
    "requests a token. One that is multiplied by 60 or 1000 keeps the token long after its expiry.",
    fix="Add expires_in, in seconds, to a time in seconds. Where the language's clock counts "
    "milliseconds, multiply by 1000 exactly once.",
    applies_to=names_lifetime,
    wording=_unit_words,
)
# RFC 6749, 5.1: "The client should avoid making assumptions about value sizes." RFC 6750, 2.1 has
# the alphabet of a bearer token, b64token.
OPAQUE_TOKEN = Clause(
    id="response.opaque-token",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="carries any token byte for byte: the whole b64token alphabet, 1 to 4096 characters, "
    "whatever else it looks like (a JWT, a number, null)",
    sources=(provider("api_scheme"), rfc(6750, "2.1")),
    consequence="the client changes some tokens, and the API refuses them",
    why="A token is opaque: any b64token characters, of any length. A client that trims, cuts or "
    "parses it presents a token that the broker never issued, or fails on one that is valid.",
    fix="Keep the string in access_token as it is and write it after Bearer unchanged. Leave room "
    "for 4096 characters. Do not read a token as a JWT: its lifetime is in expires_in.",
)
# RFC 6749, 5.1: "The client MUST ignore unrecognized value names in the response."
UNKNOWN_MEMBERS = Clause(
    id="response.unknown-members",
    level=Level.MUST,
    impact=Impact.COMPATIBILITY,
    title="ignores members that it does not know",
    sources=(rfc(6749, "5.1"),),
    consequence="the client fails as soon as the provider adds a member to its answer",
    why="Providers add members without notice. RFC 6749 says that a client must ignore those that "
    "it does not recognize.",
    fix="Read the members that you need. Do not unpack the whole object into a strict model.",
)
# RFC 6749, 5.1: "The order of parameters does not matter and can vary."
# RFC 8259, 2 and 7: white space may stand around any token, and any character may be escaped.
JSON_FORMS = Clause(
    id="response.json-forms",
    level=Level.MUST,
    impact=Impact.COMPATIBILITY,
    title="reads any legal JSON form: white space, order, escapes, media type in any case, charset "
    "parameter",
    sources=(rfc(6749, "5.1"), rfc(8259)),
    consequence="the client fails when the provider formats its JSON differently",
    why="White space, order, escapes and a charset parameter may vary in JSON over HTTP, and "
    "change with any update of the provider's framework.",
    fix="Parse with a JSON library, and compare media types without their parameters.",
)
# RFC 9110, 8.4, and RFC 9112, 6 and 7.1: "A recipient MUST be able to parse and decode the chunked
# transfer coding."
TRANSFER = Clause(
    id="response.transfer",
    level=Level.MUST,
    impact=Impact.COMPATIBILITY,
    title="reads an answer that is chunked, ends with the connection, or is compressed in a coding "
    "that its Accept-Encoding allowed",
    sources=(rfc(9110, "8.4"), rfc(9112, "6"), rfc(9112, "7")),
    consequence="the client fails when a proxy sends the answer in chunks or compressed",
    why="Proxies and frameworks send answers in chunks, without a length, or compressed, and "
    "change that with any update. A client that reads a plain body only then gets no token.",
    fix="Let an HTTP library read the answer. If you read it yourself, do not rely on "
    "Content-Length, and send Accept-Encoding only for codings that you decode.",
)
# RFC 6749, 5.1, on token_type: "Value is case insensitive."
TOKEN_TYPE_CASE = Clause(
    id="response.token-type-case",
    level=Level.MUST,
    impact=Impact.COMPATIBILITY,
    title="accepts token_type in any case, and still signs with Bearer",
    sources=(rfc(6749, "5.1"), rfc(6749, "7.1")),
    consequence="the client fails when the provider writes token_type in another case",
    why="token_type is case insensitive: bearer and Bearer are the same type. An API, however, may "
    "accept only the scheme Bearer.",
    fix="Compare token_type in lower case, and write Bearer yourself when you sign.",
    applies_to=names_token_type,
    wording=_type_words,
)
# RFC 6749, 7.1: "The client MUST NOT use an access token if it does not understand the token type."
TOKEN_TYPE_UNKNOWN = Clause(
    id="response.token-type-unknown",
    level=Level.MUST,
    impact=Impact.SECURITY,
    title="does not use a token of another type",
    sources=(rfc(6749, "7.1"),),
    consequence="the client presents tokens of a type that it does not support",
    why="A token of another type (mac, DPoP) is not used by presenting it alone. RFC 6749 forbids "
    "using a token whose type the client does not understand.",
    fix="Raise unless token_type, in lower case, is bearer.",
    applies_to=names_token_type,
    wording=_other_type_words,
)
# RFC 6749, 5.1: expires_in is RECOMMENDED. "If omitted, the authorization server SHOULD provide the
# expiration time via other means or document the default value."
EXPIRES_IN_MISSING = Clause(
    id="response.expires-in-missing",
    level=Level.SHOULD,
    impact=Impact.COMPATIBILITY,
    title="works when expires_in is absent",
    sources=(rfc(6749, "5.1"),),
    consequence="the client fails when the broker names no lifetime",
    why="expires_in is only recommended. Some brokers omit it, always or for tokens that do not "
    "expire.",
    fix="Assume a default lifetime for an answer without it, or keep the token until the API "
    "refuses it. Do not keep the expiry of the previous token.",
)
# A MAY: RFC 6749, 5.1, says "Numerical values are included as JSON numbers", so the broker breaks
# the RFC, and a client need not read a string.
EXPIRES_IN_FORMS = Clause(
    id="response.expires-in-forms",
    level=Level.MAY,
    impact=Impact.COMPATIBILITY,
    title='accepts "3599" and 3599.0, or raises an error that names expires_in',
    sources=(practice,),
    consequence="the client fails when the lifetime is a string or a fraction",
    why='Real brokers send expires_in as a string ("3599") or with a fraction. A client that takes '
    "such a lifetime for none keeps the token forever, or never.",
    fix="Convert with float() or similar, and raise an error that names expires_in if that fails.",
    applies_to=names_lifetime,
)
# RFC 6749, 5.1: access_token is REQUIRED.
NO_TOKEN = Clause(
    id="response.no-token",
    level=Level.MUST,
    impact=Impact.OUTAGE,
    title="raises on a 200 that is not a JSON object, or has no, a null or an empty access_token; "
    "never signs with it (“Bearer None”)",
    sources=(rfc(6749, "5.1"),),
    consequence="an answer without a token passes for a success, and calls fail later without "
    "a cause",
    why="Otherwise a proxy's page with status 200, or an answer without a token, leads to calls "
    "signed with “Bearer None” and to an error far from its cause.",
    fix="Raise unless the answer is a JSON object whose access_token is a non-empty string.",
)
# A SHOULD: RFC 6749, 5.1, includes parameters "as JSON strings", so a broker that sends another
# type breaks the RFC, and the RFC does not say what a client has to do then.
TOKEN_NOT_STRING = Clause(
    id="response.token-not-string",
    level=Level.SHOULD,
    impact=Impact.COMPATIBILITY,
    title="raises on an access_token that is a number, boolean, list or object",
    sources=(rfc(6749, "5.1"),),
    consequence="a malformed token is sent to the API, and the error appears far from its cause",
    why="A value that is not a string becomes a token by accident: True, 12345 or the text of a "
    "list. The API rejects it, far from the cause.",
    fix="Raise unless access_token is a string. Do not convert other types.",
)

CLAUSES = (
    DOCUMENTED,
    SCOPE_MISSING,
    EXPIRES_IN_UNIT,
    OPAQUE_TOKEN,
    UNKNOWN_MEMBERS,
    JSON_FORMS,
    TRANSFER,
    TOKEN_TYPE_CASE,
    TOKEN_TYPE_UNKNOWN,
    EXPIRES_IN_MISSING,
    EXPIRES_IN_FORMS,
    NO_TOKEN,
    TOKEN_NOT_STRING,
)
