"""Credentials that programs change on their way: what was registered, and what arrived instead.

Each alteration is a function of the registered string. A pair that an alteration turns into what
was sent names the program's mistake. The hints never quote a secret, except for one character of
punctuation at which it was cut.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.credentials import Credentials, same_text

__all__ = ["altered"]

_Alteration = Callable[[str], str]

# What a shell, `os.path.expandvars` or a template takes for a variable. `$$` is a number in shells.
_VARIABLE = re.compile(r"\$(?:\w+|\{[^}]*\}|\([^)]*\)|\$)|`[^`]*`|%[A-Za-z_]\w*%")
_LEAST_LITERAL = 3
"""The unchanged characters of a secret by which an expansion is recognized."""
_MIN_CUT = 2
_TYPOGRAPHIC = str.maketrans({"'": "\u2019", '"': "\u201d", "-": "\u2013"})


def altered(pair: tuple[str, str], expected: TokenExpectation) -> str:
    """Recognize a pair of a registered client that was changed, or cut, before it was sent.

    The pair is not that of a registered client.
    """
    sent = ":".join(pair)
    return next((hint for known in expected.credentials for hint in _causes(known, sent)), "")


def _causes(known: Credentials, sent: str) -> Iterator[str]:
    """Yield the hints that explain what was sent for this client, the most specific first."""
    client_id, secret = known.client_id, known.client_secret
    registered = f"{client_id}:{secret}"
    for hint, alteration in _ALTERATIONS:
        candidates = {
            f"{alteration(client_id)}:{alteration(secret)}",
            f"{client_id}:{alteration(secret)}",
            f"{alteration(client_id)}:{secret}",
        }
        if any(same_text(each, sent) for each in candidates - {registered}):
            yield hint
    if _is_expanded(known, sent):
        yield (
            f"a {_sign_of_variable(known)} in the credentials was expanded as a variable, and a "
            "part of them is missing or replaced: put them in single quotes in a shell, escape it "
            "in a .env or compose file, and call no expandvars"
        )
    if _is_history(known, sent):
        yield (
            "the ! in the credentials was expanded from the shell's history: put them in single "
            "quotes"
        )
    if _is_home_expanded(known, sent):
        yield "the ~ at the beginning was expanded as a home folder: call no expanduser"
    yield from _cut(known, sent)


def _sign_of_variable(known: Credentials) -> str:
    """Return the sign at which the first variable of the pair begins."""
    found = _VARIABLE.search(f"{known.client_id}:{known.client_secret}")
    return found[0][0] if found else "$"


def _is_history(known: Credentials, sent: str) -> bool:
    """Return whether what follows a ! in the registered pair was replaced by an earlier command."""
    registered = f"{known.client_id}:{known.client_secret}"
    found = _EVENT.search(registered)
    if not found or found.start() < len(known.client_id) + _LEAST_LITERAL:
        return False
    before, after = registered[: found.start()], registered[found.end() :]
    middle = sent[len(before) : len(sent) - len(after)]
    return (
        sent.startswith(before) and sent.endswith(after) and middle != "" and middle not in found[0]
    )


# What bash and zsh take for an event of their history.
_EVENT = re.compile(r"!(?:!|[\w?-][^\s:\"']*)")


def _is_expanded(known: Credentials, sent: str) -> bool:
    """Return whether variables in the registered pair were replaced by anything or by nothing."""
    parts = _VARIABLE.split(f"{known.client_id}:{known.client_secret}")
    if len(parts) == 1:
        return False
    if same_text("".join(parts), sent):
        return True
    literal = len(_VARIABLE.sub("", known.client_secret))
    return literal >= _LEAST_LITERAL and _has_parts(sent, parts)


def _has_parts(text: str, parts: list[str]) -> bool:
    """Return whether the string has the parts in this order, the first and last at its ends."""
    # Not by a regular expression with a wildcard for each variable: it could take very long.
    first, *middle, last = parts
    if not text.startswith(first):
        return False
    position = len(first)
    for part in middle:
        found = text.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return len(text) - len(last) >= position and text.endswith(last)


def _is_home_expanded(known: Credentials, sent: str) -> bool:
    """Return whether a ~ at the beginning of the secret became an absolute path."""
    secret = known.client_secret
    before = f"{known.client_id}:/"
    return (
        secret.startswith("~")
        and len(secret) > _LEAST_LITERAL
        and sent.startswith(before)
        and sent.endswith(secret[1:])
    )


def _cut(known: Credentials, sent: str) -> Iterator[str]:
    """Recognize a secret of which only the beginning, or only the end, was sent."""
    before, secret = f"{known.client_id}:", known.client_secret
    part = sent.removeprefix(before) if sent.startswith(before) else ""
    if len(part) >= _MIN_CUT and len(part) < len(secret):
        rest = secret[len(part) :]
        if same_text(secret[: len(part)], part):
            # A letter would be a part of the secret; punctuation is the likely cause.
            where = f"after {len(part)} characters" if rest[0].isalnum() else f"at its {rest[0]!r}"
            why = _CUTTING.get(rest[0], "")
            yield f"the secret was cut {where}" + (f": {why}" if why else "")
        elif same_text(secret[-len(part) :], part) and not secret[-len(part) - 1].isalnum():
            yield f"what comes before the last {secret[-len(part) - 1]!r} of the secret is missing"


_QUOTE_IT = "put it in single quotes in a shell"
_CUTTING = {
    "#": "a comment begins there in .env files and shells, and the fragment of a URL; quote it",
    "&": f"a shell ends the command there, and a form its parameter; {_QUOTE_IT}, and encode it",
    ";": f"a shell ends the command there; {_QUOTE_IT}",
    "|": f"a shell begins a pipe there; {_QUOTE_IT}",
    "<": f"a shell redirects there; {_QUOTE_IT}",
    ">": f"a shell redirects there; {_QUOTE_IT}",
    "(": f"a shell takes it for its syntax; {_QUOTE_IT}",
    " ": f"a shell ends the word there; {_QUOTE_IT}",
    "$": f"a shell expands a variable there; {_QUOTE_IT}",
    "`": f"a shell runs a command there; {_QUOTE_IT}",
    "!": f"a shell looks into its history there; {_QUOTE_IT}",
    '"': "a string ends there; escape it",
    "'": "a string ends there; escape it",
    "\\": f"a shell takes it for an escape; {_QUOTE_IT}",
    "@": "the host of a URL begins there; percent-encode it in a URL",
    "/": "the path of a URL begins there; percent-encode it in a URL",
    "?": "the query of a URL begins there; percent-encode it in a URL",
    ":": "was the pair split at each colon? only the first one divides it",
    "=": "was the line split at each equals sign? only the first one divides it",
    "%": "cmd.exe expands a variable there; double it in a batch file",
}
"""Why a secret is cut before a character."""


def _unescaped(text: str) -> str:
    """Return the string with the usual escapes of program languages replaced."""
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1]) or chr(int(match[1][1:], 16)), text)


_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
_ESCAPE = re.compile(r"""\\([nrt\\"']|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})""")


def _octets(text: str) -> bytes:
    """Return the string in UTF-8; half a surrogate pair has a form as well."""
    return text.encode("utf-8", "surrogatepass")


def _from_base64(text: str) -> str:
    """Return what the string holds as Base64; the string itself if it is something else."""
    try:
        return base64.b64decode(_octets(text), validate=True).decode()
    except (binascii.Error, ValueError):
        return text


# The more specific first. An alteration that leaves the strings unchanged explains nothing.
_ALTERATIONS: tuple[tuple[str, _Alteration], ...] = (
    ("the credentials are in lower case; send them as they are", str.lower),
    ("the credentials are in upper case; send them as they are", str.upper),
    ("the white space around the id or the secret is missing: was it stripped?", str.strip),
    (
        "each + in the credentials became a space: they were form-decoded before they were sent",
        lambda text: text.replace("+", " "),
    ),
    ("the credentials were percent-decoded before they were sent", unquote),
    ("the credentials were form-decoded before they were sent", unquote_plus),
    ("the credentials were percent-encoded", lambda text: _quoted(quote, text)),
    (
        "the credentials were form-encoded before they were sent",
        lambda text: _quoted(quote_plus, text),
    ),
    ("the credentials were form-encoded twice", lambda text: _quoted(quote_plus, text, times=2)),
    (
        "the quotes in the credentials are missing: a shell or a parser removed them",
        lambda text: text.replace('"', "").replace("'", ""),
    ),
    ("the double quotes in the credentials are missing", lambda text: text.replace('"', "")),
    ("the single quotes in the credentials are missing", lambda text: text.replace("'", "")),
    (
        "the backslashes in the credentials are missing: a shell or a parser removed them",
        lambda text: text.replace("\\", ""),
    ),
    (
        "the credentials are escaped as in JSON; send them as they are",
        lambda text: json.dumps(text)[1:-1],
    ),
    ("each backslash in the credentials is doubled", lambda text: text.replace("\\", "\\\\")),
    (
        "escapes in the credentials were replaced: a backslash in them is an ordinary character",
        _unescaped,
    ),
    (
        "there is a backslash before the !: in single quotes a shell needs none",
        lambda text: text.replace("!", "\\!"),
    ),
    (
        "there are backslashes before the !: in single quotes a shell needs none",
        lambda text: text.replace("!", "\\\\!"),
    ),
    ("the credentials are escaped as in HTML; send them as they are", html.escape),
    ("entities of HTML in the credentials were replaced", html.unescape),
    (
        "quotes or dashes in the credentials are typographic: do they come from a word processor?",
        lambda text: text.translate(_TYPOGRAPHIC),
    ),
    (
        "{{ or }} in the credentials became a single brace: were they formatted as a template?",
        lambda text: text.replace("{{", "{").replace("}}", "}"),
    ),
    (
        "%% in the credentials became %: were they formatted as a template?",
        lambda text: text.replace("%%", "%"),
    ),
    (
        "$$ in the credentials became $: were they read by a template or a compose file?",
        lambda text: text.replace("$$", "$"),
    ),
    ("the white space in the credentials is missing", lambda text: "".join(text.split())),
    ("white space in the credentials was changed", lambda text: " ".join(text.split())),
    ("the = at the end of the secret is missing", lambda text: text.rstrip("=")),
    ("the colons in the secret are missing", lambda text: text.replace(":", "")),
    (
        "the ! in the credentials is missing: put them in single quotes in a shell",
        lambda text: text.replace("!", ""),
    ),
    (
        "the ^ in the credentials is missing: cmd.exe takes it for an escape; use double quotes",
        lambda text: text.replace("^", ""),
    ),
    ("each ^ in the credentials is doubled", lambda text: text.replace("^", "^^")),
    (
        "the % in the credentials is missing: a batch file needs it twice",
        lambda text: text.replace("%", ""),
    ),
    ("each % in the credentials is doubled", lambda text: text.replace("%", "%%")),
    ("each $ in the credentials is doubled", lambda text: text.replace("$", "$$")),
    (
        "the ` in the credentials is missing: PowerShell takes it for an escape; use single quotes",
        lambda text: text.replace("`", ""),
    ),
    (
        (
            "there are backslashes before characters of the credentials: in single quotes a shell "
            "needs none"
        ),
        lambda text: re.sub(r"([^\w:.-])", r"\\\1", text),
    ),
    (
        "a backslash stands before the $: in single quotes a shell needs none",
        lambda text: text.replace("$", "\\$"),
    ),
    (
        "the braces in the credentials were expanded by a shell: put them in single quotes",
        lambda text: re.sub(r"\{([^{},]*),[^{}]*\}", r"\1", text),
    ),
    ("the braces in the credentials are missing", lambda text: re.sub(r"[{}]", "", text)),
    ("upper and lower case of the credentials were changed", str.capitalize),
    ("the secret was decoded from Base64; it is used as it is", _from_base64),
    (
        "the id or the secret was encoded in Base64 by itself; join them first, then encode",
        lambda text: base64.b64encode(_octets(text)).decode(),
    ),
    ("the secret was hashed (MD5)", lambda text: hashlib.md5(_octets(text)).hexdigest()),  # noqa: S324 - recognized, not used
    ("the secret was hashed (SHA-1)", lambda text: hashlib.sha1(_octets(text)).hexdigest()),  # noqa: S324 - recognized, not used
    ("the secret was hashed (SHA-256)", lambda text: hashlib.sha256(_octets(text)).hexdigest()),
    ("zeros at the beginning are missing: was it read as a number?", lambda t: t.lstrip("0")),
    ("each - in the credentials is missing", lambda text: text.replace("-", "")),
    ("each - in the credentials became _", lambda text: text.replace("-", "_")),
    ("each _ in the credentials became -", lambda text: text.replace("_", "-")),
)


def _quoted(encode: Callable[..., str], text: str, times: int = 1) -> str:
    """Return the string encoded so many times; half a surrogate pair has a form as well."""
    for _ in range(times):
        text = encode(text, safe="", errors="surrogatepass")
    return text
