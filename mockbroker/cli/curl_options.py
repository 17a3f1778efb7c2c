"""The options of curl, and the request that a command with them would send.

No file is opened and no command is run.
"""

from __future__ import annotations

import base64
import re
from collections import deque
from collections.abc import Sequence
from difflib import get_close_matches
from urllib.parse import SplitResult, quote_plus, unquote, urlsplit

from mockbroker.cli.pasted_text import Mistake, MistakeKind, UnreadableRequestError
from mockbroker.model.forms import FORM, JSON
from mockbroker.model.messages import Headers, Request
from mockbroker.model.placeholders import placeholder_in
from mockbroker.model.typography import TYPOGRAPHIC_QUOTES

__all__ = ["CurlCommand"]

# Options of curl that take the next word and change the request, by what they set.
WITH_VALUE = {
    "-X": "method", "--request": "method", "-H": "header", "--header": "header",
    "-d": "data", "--data": "data", "--data-ascii": "data", "--data-raw": "raw",
    "--data-binary": "data", "--data-urlencode": "urlencode", "--json": "json",
    "-u": "user", "--user": "user", "--url": "url", "-A": "agent", "--user-agent": "agent",
    "--oauth2-bearer": "bearer", "-F": "form", "--form": "form", "--form-string": "form",
}  # fmt: skip
# These do not change what clauses judge: connections, output, cookies and the referrer.
IGNORED_WITH_VALUE = {
    "-o", "--output", "-m", "--max-time", "--connect-timeout", "--cacert", "-w", "--write-out",
    "--retry", "-x", "--proxy", "-c", "--cookie-jar", "-b", "--cookie", "-e", "--referer",
    "-E", "--cert", "--key", "--capath", "--resolve", "--connect-to", "--noproxy", "-U",
    "--proxy-user", "-D", "--dump-header", "--max-redirs", "--retry-delay", "--retry-max-time",
}  # fmt: skip
# Options without a value that do not change what clauses judge. An option missing here is an error:
# it might take a value, and a guess would shift every later word.
FLAGS = {
    "-s", "--silent", "-S", "--show-error", "-v", "--verbose", "-i", "--include", "-k",
    "--insecure", "-L", "--location", "-f", "--fail", "--fail-with-body", "-g", "--globoff", "-N",
    "--no-buffer", "-q", "-#", "--progress-bar", "--no-progress-meter", "-4", "--ipv4", "-6",
    "--ipv6", "-0", "--http1.0", "--http1.1", "--http2", "--compressed", "--basic", "-1",
    "--tlsv1.2", "--tlsv1.3", "--path-as-is", "--ssl-no-revoke", "--retry-all-errors", "-O",
    "--retry-connrefused", "--remote-name", "-n", "--netrc", "--location-trusted",
}  # fmt: skip
SETTING_FLAGS = {"-G": "in_query", "--get": "in_query", "-I": "is_head", "--head": "is_head"}
# curl chooses a random boundary; a fixed one makes the output the same each time.
BOUNDARY = "------------------------mockbroker"
# curl sends Basic unless one of these chooses another scheme.
OTHER_SCHEMES = {"--digest", "--ntlm", "--negotiate", "--anyauth"}


class CurlCommand:
    """The settings that the words of a curl command make.

    Raises UnreadableRequestError for options that would change the request in an unknown way.
    """

    def __init__(self, words: Sequence[str], *, is_cmd: bool = False) -> None:
        self.mistakes: list[Mistake] = []
        self._is_cmd = is_cmd
        self._settings: dict[str, str] = {}
        self._flags: set[str] = set()
        self._urls: list[str] = []
        self._headers: list[tuple[str, str]] = []
        # Header fields that curl adds unless the user sets them.
        self._defaults: dict[str, str] = {"Accept": "*/*"}
        self._data: list[str] = []
        self._form: list[str] = []
        arguments = deque(words)
        while arguments:
            word, *rest = _split(arguments.popleft())
            arguments.extendleft(reversed(rest))
            self._take(word, arguments)

    def request(self) -> Request:
        """Return the request of the whole command, with the header fields that curl adds."""
        url = self._url()
        data = _multipart(self._form) if self._form else "&".join(self._data)
        target = _target(url)
        if "user" in self._settings:
            self._authenticate(self._settings["user"])
        elif userinfo := _userinfo(url):
            self._authenticate(userinfo)
        # curl -G moves the data to the query, and then sends no body.
        if "in_query" in self._flags and data:
            target, data = f"{target}{'&' if '?' in target else '?'}{data}", ""
            self._defaults.pop("Content-Type", None)
        # A header of the user's own replaces curl's; an empty one removes it, as in curl.
        named = {name.lower() for name, _ in self._headers}
        defaults = [(n, v) for n, v in self._defaults.items() if n.lower() not in named]
        # curl sends the bytes of the terminal, usually UTF-8; the model holds bytes as Latin-1.
        fields = (*defaults, *self._headers)
        sent = [
            (n.encode().decode("latin-1"), v.encode().decode("latin-1")) for n, v in fields if v
        ]
        return Request(self._method(), target, Headers.of(sent), data.encode())

    def _take(self, word: str, arguments: deque[str]) -> None:
        """Apply one word of the command, which may take the next word as its value."""
        if _has_value(word):
            if not arguments:
                raise UnreadableRequestError(f"curl's option {word} has no value")
            value = arguments.popleft()
            if word in WITH_VALUE:
                self._set(WITH_VALUE[word], value)
        elif word in SETTING_FLAGS:
            self._flags.add(SETTING_FLAGS[word])
        elif word in OTHER_SCHEMES:
            self._report(
                MistakeKind.OTHER_AUTHENTICATION,
                f"curl {word} chooses another scheme than Basic; leave it out",
            )
        elif not word.startswith("-"):
            self._urls.append(word)
        elif word not in FLAGS:
            name = word.partition("=")[0]
            near = get_close_matches(name.lower(), [*WITH_VALUE, *FLAGS], n=1, cutoff=0.8)
            meant = f"; did you mean {near[0]}?" if near and len(name) > 2 else ""  # noqa: PLR2004 - a dash and a letter
            raise UnreadableRequestError(
                f"unknown curl option {name}{meant}; leave it out, or paste the raw HTTP request"
            )

    def _set(self, kind: str, value: str) -> None:
        """Apply an option with a value; ``kind`` is its entry in `WITH_VALUE`."""
        if kind == "url":
            self._urls.append(value)
        elif kind in {"method", "user"}:
            if kind in self._settings:
                self._report(
                    MistakeKind.REPEATED_OPTION, f"the {kind} is set twice; curl takes the last"
                )
            self._settings[kind] = self._without_typography(value) if kind == "method" else value
        elif kind == "header":
            self._headers.append(_header(self._without_typography(value)))
        elif kind == "bearer":
            self._defaults["Authorization"] = f"Bearer {value}"
        elif kind == "agent":
            self._defaults["User-Agent"] = value
        elif kind == "form":
            _refuse_file(value.partition("=")[2], "@<")
            self._form.append(value)
            self._defaults["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
        else:
            self._set_data(kind, value)

    def _set_data(self, kind: str, value: str) -> None:
        """Add a part of the body. curl reads a value that begins with @ from a file."""
        if kind == "urlencode":
            _refuse_file("@" if "@" in value and "=" not in value else "", "@")
        elif kind != "raw":
            _refuse_file(value, "@")
        self._data.append(_urlencode(value) if kind == "urlencode" else value)
        # What curl -d declares, whatever the content is.
        declared = JSON if kind == "json" else FORM
        self._defaults.setdefault("Content-Type", declared)

    def _authenticate(self, user: str) -> None:
        """Set what curl makes of -u, or of credentials in the URL."""
        if ":" not in user:
            self._report(
                MistakeKind.NO_SECRET,
                "curl -u has no secret, and curl asks for it: write -u client_id:client_secret",
            )
            user += ":"
        encoded = base64.b64encode(user.encode("utf-8", "surrogatepass")).decode()
        self._defaults["Authorization"] = f"Basic {encoded}"

    def _url(self) -> str:
        """Return the URL; report the words that are neither options nor a URL."""
        if not self._urls:
            raise UnreadableRequestError("the curl command has no URL")
        likely = [url for url in self._urls if "://" in url] or [
            url for url in self._urls if "/" in url or "." in url
        ]
        chosen = (likely or self._urls)[-1 if not likely else 0]
        extra = [url for url in self._urls if url is not chosen]
        if extra and self._is_cmd and any("'" in word for word in (*extra, *self._data)):
            self._report(
                MistakeKind.SINGLE_QUOTES,
                "cmd.exe does not take single quotes for quotes: use double quotes",
            )
        elif extra:
            self._report(
                MistakeKind.EXTRA_WORD,
                f"{len(extra)} further words would be URLs for curl: is a quote, an & or an option "
                "missing before one?",
            )
        plain = self._without_typography(chosen)
        placeholder = placeholder_in(_parts(plain).netloc)
        if placeholder:
            self._report(
                MistakeKind.PLACEHOLDER_IN_HOST,
                f"a placeholder is left in the host of the URL: {placeholder}; replace it",
            )
        return plain

    def _method(self) -> str:
        """Return the method: that of -X, or the one that curl chooses."""
        has_data = bool(self._data or self._form)
        wanted = self._settings.get("method", "")
        if wanted.upper() == "GET" and has_data:
            self._report(
                MistakeKind.GET_WITH_DATA,
                "-X GET sends the data of -d with GET; leave -X out, and curl uses POST",
            )
        if wanted:
            return wanted
        if "is_head" in self._flags:
            return "HEAD"
        return "POST" if has_data and "in_query" not in self._flags else "GET"

    def _without_typography(self, value: str) -> str:
        """Return a value without typographic quotes around it."""
        plain = value.strip(TYPOGRAPHIC_QUOTES)
        if plain != value:
            self._report(
                MistakeKind.TYPOGRAPHIC_QUOTES,
                "there are typographic (curly) quotes of a word processor, which no shell takes "
                "for quotes; use straight ones",
            )
        return plain

    def _report(self, kind: MistakeKind, text: str) -> None:
        """Add a mistake."""
        self.mistakes.append(Mistake(kind, text))


def _split(word: str) -> list[str]:
    """Separate an option from the rest of its word: -sS, -XPOST, -ufoo:bar, --data=x.

    Returns one or two words. The second may itself be a group of flags: -sS becomes -s and -S.
    """
    name, equals, value = word.partition("=")
    if word.startswith("--"):
        return [name, value] if equals and _has_value(name) else [word]
    if len(word) <= 2 or word[0] != "-":  # noqa: PLR2004 - a dash and a letter
        return [word]
    rest = word[2:]
    return [word[:2], rest if _has_value(word[:2]) else f"-{rest}"]


def _has_value(option: str) -> bool:
    """Return whether curl takes the next word as the value of this option."""
    return option in WITH_VALUE or option in IGNORED_WITH_VALUE


def _refuse_file(value: str, signs: str) -> None:
    """Raise UnreadableRequestError if a value names a file.

    Reading it would be wrong: the command may come from another machine.
    """
    if value and value[0] in signs:
        raise UnreadableRequestError(
            "the body is in a file, which mockbroker does not read; write the content of the file "
            "into the command"
        )


def _urlencode(value: str) -> str:
    """Encode NAME=CONTENT, =CONTENT or CONTENT as curl does for --data-urlencode."""
    name, equals, content = value.partition("=")
    return f"{name}={quote_plus(content)}" if equals and name else quote_plus(content or name)


def _multipart(fields: list[str]) -> str:
    """Return the fields as multipart/form-data. Only its form matters, not its content."""
    parts = (field.partition("=") for field in fields)
    disposition = "Content-Disposition: form-data; name"
    texts = [f'--{BOUNDARY}\r\n{disposition}="{n}"\r\n\r\n{v}\r\n' for n, _, v in parts]
    return "".join(texts) + f"--{BOUNDARY}--\r\n"


def _header(line: str) -> tuple[str, str]:
    """Return the name and the value of a header line. Raises UnreadableRequestError."""
    name, colon, value = line.partition(":")
    if not colon:
        # Cut, because the line may hold a secret.
        raise UnreadableRequestError(f"header line {name[:20]!r}... has no colon")
    return name, value.strip(" \t")


def _target(url: str) -> str:
    """Return the request target of a URL: without scheme, host and fragment."""
    parts = _parts(url)
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def _userinfo(url: str) -> str:
    """Return the decoded credentials in a URL, as id:secret; empty if it has none."""
    userinfo, at, _ = _parts(url).netloc.rpartition("@")
    return unquote(userinfo) if at else ""


def _parts(url: str) -> SplitResult:
    """Return the parts of a URL. Raises UnreadableRequestError."""
    try:
        # curl takes a URL without a scheme for http.
        return urlsplit(url if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url) else f"http://{url}")
    except ValueError as error:
        raise UnreadableRequestError(f"the URL is malformed: {error}") from error
