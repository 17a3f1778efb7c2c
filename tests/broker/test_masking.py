"""No secret and no token is printed: each encoding, at each place, of credentials of each kind.

The requests go over sockets to a running broker. Looked at are the body and headers of its answer,
the line for a terminal, the line of the journal file and the traffic of a failing test.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, urlsplit

import click
import pytest
import requests

from mockbroker import Broker, Credentials
from mockbroker.cli.console import log_lines
from mockbroker.cli.journal_file import JournalFile
from mockbroker.model.masking import mask_parameters
from pytest_mockbroker.traffic import traffic_of
from tests.broker.wires import connect

CREDENTIALS = {
    "ASCII with specials": Credentials("app-1", 's3cr3t/Key+9=xyz"q'),
    "default-like": Credentials("client-1a2b3c4d", "0123456789abcdef0123456789abcdef"),
    "UTF-8": Credentials("käse", "pässwörd-€-x"),
    "with blanks": Credentials("app", "correct horse battery staple"),
    "short": Credentials("shop", "s3cr:et"),
}

Encoding = Callable[[str], bytes]


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


def every_byte(octets: bytes, form: str) -> bytes:
    return "".join(form.format(octet) for octet in octets).encode()


def lower_hex(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), text)


ENCODINGS: dict[str, Encoding] = {
    "as it is": lambda s: s.encode(),
    "Latin-1": lambda s: s.encode("latin-1", "replace"),
    "ASCII, the rest left out": lambda s: s.encode("ascii", "ignore"),
    "ASCII, the rest replaced": lambda s: s.encode("ascii", "replace"),
    "Latin-1, then the rest left out": lambda s: (
        s.encode("latin-1", "replace").decode("ascii", "ignore").encode()
    ),
    "CP1252": lambda s: s.encode("cp1252", "replace"),
    "percent": lambda s: quote(s, safe="").encode(),
    "percent, lower case": lambda s: lower_hex(quote(s, safe="")).encode(),
    "percent, slash kept": lambda s: quote(s).encode(),
    "percent, every byte": lambda s: every_byte(s.encode(), "%{:02X}"),
    "percent, twice": lambda s: quote(quote(s, safe=""), safe="").encode(),
    "percent, every byte, twice": lambda s: every_byte(s.encode(), "%25{:02x}"),
    "percent, Latin-1": lambda s: quote(s, safe="", encoding="latin-1", errors="replace").encode(),
    "form": lambda s: quote_plus(s).encode(),
    "JSON": lambda s: json.dumps(s)[1:-1].encode(),
    "JSON, UTF-8": lambda s: json.dumps(s, ensure_ascii=False)[1:-1].encode(),
    "JSON, slash escaped": lambda s: json.dumps(s)[1:-1].replace("/", "\\/").encode(),
    "JSON, every character": lambda s: "".join(f"\\u{ord(c):04x}" for c in s).encode(),
    "JSON in JSON": lambda s: json.dumps(json.dumps(s)).encode(),
    "repr": lambda s: repr(s).encode(),
    "repr of bytes": lambda s: repr(s.encode()).encode(),
    "HTML": lambda s: html.escape(s).encode(),
    "HTML, every character": lambda s: "".join(f"&#{ord(c)};" for c in s).encode(),
    "HTML, hexadecimal": lambda s: "".join(f"&#x{ord(c):X};" for c in s).encode(),
    "Base64": lambda s: b64(s.encode()),
    "Base64, unpadded": lambda s: b64(s.encode()).rstrip(b"="),
    "Base64, URL-safe": lambda s: base64.urlsafe_b64encode(s.encode()),
    "Base64, Latin-1": lambda s: b64(s.encode("latin-1", "replace")),
    "Base64, UTF-16": lambda s: b64(s.encode("utf-16-le")),
    "Base64, UTF-16 with its mark": lambda s: b64(s.encode("utf-16")),
    "Base64 after another id": lambda s: b64(f"other:{s}".encode()),
    "Base64 after a letter": lambda s: b64(f"x{s}".encode()),
    "Base64 after two letters": lambda s: b64(f"xy{s}z".encode()),
    "Base64 of JSON": lambda s: b64(json.dumps({"client_secret": s}).encode()),
    "Base64 of percent": lambda s: b64(f"x:{quote_plus(s)}".encode()),
    "Base64 of Base64": lambda s: b64(b64(s.encode())),
    "Base64 in lines": lambda s: base64.encodebytes(f"{s}:".encode() * 5).replace(b"\n", b"\\n"),
    "percent of Base64": lambda s: quote(b64(s.encode()), safe="").encode(),
    "hexadecimal": lambda s: s.encode().hex().encode(),
    "hexadecimal, upper case": lambda s: s.encode().hex().upper().encode(),
    "upper case": lambda s: s.upper().encode(),
    "swapped case": lambda s: s.swapcase().encode(),
    "after other text": lambda s: b"A" * 30 + s.encode(),
    "before other text": lambda s: s.encode() + b"A" * 30,
    "the last character cut off": lambda s: s[:-1].encode(),
}

# What is not recognised, on purpose: it is the secret no more, or ordinary text would suffer.
NOT_MASKED: dict[str, Encoding] = {
    "reversed": lambda s: s[::-1].encode(),
    "a space put in": lambda s: f"{s[:8]} {s[8:]}".encode(),
    "its first half": lambda s: s[: len(s) // 2].encode(),
    "its last half": lambda s: s[len(s) // 2 :].encode(),
}

# Below these lengths a value is only found in its own case, or as a whole.
SHORTEST_IN_ANY_CASE, SHORTEST_CUT = 8, 24


def is_recognised(encoding: str, value: str) -> bool:
    if encoding in {"upper case", "swapped case"}:
        return len(value) >= SHORTEST_IN_ANY_CASE and len(value.upper()) == len(value)
    return encoding != "the last character cut off" or len(value) >= SHORTEST_CUT


def in_target(octets: bytes) -> bytes:
    """What a request line can carry of it: anything else would end it."""
    return re.sub(rb"[^!-~]", lambda found: b"%%%02X" % found[0][0], octets)


def in_header(octets: bytes) -> bytes:
    return re.sub(rb"[\0\r\n]", b" ", octets)


def in_name(octets: bytes) -> bytes:
    """What a method or a name can carry of it."""
    return re.sub(rb"[^A-Za-z0-9!#$%&'*+.^_`|~-]", b"", octets)


PLACES: dict[str, Callable[[Wire, bytes], bytes]] = {
    "path of the API": lambda w, v: w.get(b"/v2/" + in_target(v)),
    "vehicle": lambda w, v: w.get(b"/v2/vehicle/" + in_target(v)),
    "path elsewhere": lambda w, v: w.get(b"/zz/" + in_target(v)),
    "target without a slash": lambda w, v: w.get(in_target(v)),
    "whole URL": lambda w, v: w.get(b"http://x/" + in_target(v)),
    "query value": lambda w, v: w.ask(query=b"?k=" + in_target(v)),
    "query name": lambda w, v: w.ask(query=b"?" + in_target(v)),
    "X-Api-Key": lambda w, v: w.get(b"/v2/a", (b"X-Api-Key", in_header(v))),
    "Cookie": lambda w, v: w.get(b"/v2/a", (b"Cookie", b"a=" + in_header(v))),
    "Accept": lambda w, v: w.ask(headers=[(b"Accept", in_header(v))]),
    "Content-Type": lambda w, v: w.ask(headers=[(b"Content-Type", in_header(v))]),
    "no scheme": lambda w, v: w.ask(authorization=in_header(v)),
    "half of it for a scheme": lambda w, v: w.ask(authorization=in_header(v)[:20] + b" x"),
    "Basic": lambda w, v: w.ask(authorization=b"Basic " + in_header(v)),
    "Bearer": lambda w, v: w.get(b"/v2/a", (b"Authorization", b"Bearer " + in_header(v))),
    "scheme of a call": lambda w, v: w.get(b"/v2/a", (b"Authorization", in_header(v) + b" x")),
    "body": lambda w, v: w.ask(body=v),
    "body name": lambda w, v: w.ask(body=b"grant_type=client_credentials&" + v + b"=1"),
    "body value": lambda w, v: w.ask(body=b"grant_type=client_credentials&foo=" + v),
    "long body name": lambda w, v: w.ask(
        body=b"grant_type=client_credentials&" + b"n" * 30 + v + b"=1"
    ),
    "grant_type": lambda w, v: w.ask(body=b"grant_type=" + v),
    "JSON body": lambda w, v: w.ask(body=b'{"client_secret":"' + v + b'"}'),
    "body of a call": lambda w, v: w.get(b"/v2/a", body=b"x" * 190 + v),
    "method": lambda w, v: w.get(b"/v2/a", method=in_name(v)[:60]),
    "name of a header": lambda w, v: w.get(b"/v2/a", (in_name(v), b"1")),
}


@dataclass
class Wire:
    """A broker that runs, and all that is printed of what it is asked."""

    broker: Broker
    journal: JournalFile
    file: Path
    token: str = ""

    def get(
        self,
        target: bytes,
        *headers: tuple[bytes, bytes],
        body: bytes = b"",
        method: bytes = b"GET",
    ) -> bytes:
        lines = [b"%s %s HTTP/1.1" % (method or b"GET", target), b"Host: x", b"Connection: close"]
        lines += [b"%s: %s" % (name, value) for name, value in headers if name]
        lines += [b"Content-Length: %d" % len(body), b"", body]
        return b"\r\n".join(lines)

    def ask(
        self,
        *,
        query: bytes = b"",
        headers: list[tuple[bytes, bytes]] | None = None,
        authorization: bytes = b"",
        body: bytes = b"grant_type=client_credentials",
    ) -> bytes:
        pair = self.broker.credentials
        basic = b"Basic " + b64(f"{pair.client_id}:{pair.client_secret}".encode())
        fields = [(b"Authorization", authorization or basic), *(headers or [])]
        if not any(name == b"Content-Type" for name, _ in fields):
            fields.append((b"Content-Type", b"application/x-www-form-urlencoded"))
        path = urlsplit(self.broker.token_url).path.encode()
        return self.get(path + query, *fields, body=body, method=b"POST")

    def printed(self, request: bytes) -> dict[str, str]:
        """What is printed of a request, by where."""
        self.broker.journal.clear()
        with self.file.open("rb+") as file:
            file.truncate()
        with connect(self.broker) as sock:
            sock.sendall(request)
            answer = b""
            while more := sock.recv(65536):
                answer += more
        seen = tuple(self.broker.journal)
        is_token = any(e.endpoint == "token" and e.token is not None for e in seen)
        lines = "\n".join(log_lines(e, self.broker.masked) for e in seen)
        journal = self.file.read_bytes().decode("ascii")
        return {
            "answer": "" if is_token else answer.decode("latin-1"),  # it is there to hold the token
            "terminal": click.unstyle(lines),
            "journal": journal,
            "failing test": traffic_of(self.broker, lambda _: ""),
        }


def _cases() -> list[object]:
    """What is sent of which credentials: what a change is likely to miss each time, all in proof.

    A token is the same whoever gets it.
    """
    often = {
        ("ASCII with specials", "secret"),
        ("UTF-8", "pair"),
        ("default-like", "token"),
    }
    cases = [(kind, what) for kind in CREDENTIALS for what in ("secret", "pair")]
    cases.append(("default-like", "token"))
    return [
        pytest.param(*case, marks=[] if case in often else pytest.mark.slow, id=", ".join(case))
        for case in cases
    ]


@pytest.fixture(scope="module")
def wires(tmp_path_factory) -> Iterator[Callable[[str], Wire]]:
    """A broker for each kind of credentials, started when it is first asked for."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def wire_for(kind: str) -> Wire:
            file = tmp_path_factory.mktemp("masking") / "journal.jsonl"
            return stack.enter_context(_wire(CREDENTIALS[kind], file))

        yield wire_for


@contextlib.contextmanager
def _wire(credentials: Credentials, file: Path) -> Iterator[Wire]:
    with Broker(credentials=credentials).running() as broker:
        journal = JournalFile(file, broker.masked)
        made = Wire(broker, journal, file)
        with connect(broker) as sock:
            sock.sendall(made.ask())
            answer = b""
            while more := sock.recv(65536):
                answer += more
        made.token = json.loads(answer.partition(b"\r\n\r\n")[2])["access_token"]
        broker.journal.subscribe(journal.write)
        yield made
        journal.close()


def forms(octets: bytes, value: str) -> set[str]:
    """How what was sent may look where it is printed, none of them too short to tell."""
    texts = {octets.decode("utf-8", "replace"), octets.decode("latin-1"), value}
    texts |= {json.dumps(text)[1:-1] for text in texts} | {repr(text)[1:-1] for text in texts}
    return {text for text in texts if len(text) >= 6}


def readings(text: str) -> Iterator[str]:
    """A printed text as somebody may read it: as it is, and with its escapes undone."""
    for _ in range(4):
        yield text
        yield text.encode("latin-1", "replace").decode("utf-8", "replace")
        text = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)
        text = html.unescape(unquote(text)).replace('\\"', '"').replace("\\/", "/")


def leaks(wire: Wire, place: str, octets: bytes, value: str) -> list[str]:
    request = PLACES[place](wire, octets)
    if in_name(octets) != octets and place in {"method", "name of a header"}:
        return []  # it cannot stand there; what is left of it is another text
    sent = {
        "half of it for a scheme": in_header(octets)[:20],
        "method": octets[:60],
    }.get(place, octets)
    wanted = forms(sent, value)
    return [
        f"{where}: {form!r}"
        for where, text in wire.printed(request).items()
        for form in wanted
        if any(form in reading for reading in readings(text))
    ]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("kind", "what"), _cases())
def test_nothing_is_printed_in_clear(wires, kind, encoding, what):
    wire = wires(kind)
    pair = wire.broker.credentials
    value = pair.client_secret if what != "token" else wire.token
    text = f"{pair.client_id}:{value}" if what == "pair" else value
    if not is_recognised(encoding, value):
        pytest.skip("too short to be told from other text")
    octets = ENCODINGS[encoding](text)
    found = {place: leak for place in PLACES if (leak := leaks(wire, place, octets, value))}
    if encoding in {"upper case", "swapped case"}:
        found.pop("half of it for a scheme", None)
    assert found == {}


@pytest.mark.parametrize("encoding", NOT_MASKED)
def test_what_is_another_text_is_not_masked(wires, encoding):
    wire = wires("default-like")
    octets = NOT_MASKED[encoding](wire.token)
    seen = wire.printed(wire.ask(body=b"grant_type=client_credentials&foo=" + octets))
    assert octets.decode() in seen["journal"]


@pytest.mark.parametrize("secret", ["a", "ab", "abc"])
def test_ordinary_text_stays_readable_for_a_short_secret(secret, tmp_path):
    with Broker(credentials=Credentials("a", secret)).running() as broker:
        broker.token_values = lambda: "e"
        wire = Wire(broker, JournalFile(tmp_path / "j", broker.masked), tmp_path / "j")
        broker.journal.subscribe(wire.journal.write)
        wire.printed(wire.ask())
        seen = wire.printed(wire.get(b"/v2/vehicle/abc?a=b", (b"User-Agent", b"an abc of ab")))
        wire.journal.close()
    assert "/v2/vehicle/abc?a=b" in seen["terminal"]
    assert "an abc of ab" in seen["journal"]
    assert "<secret>" not in "".join(seen.values())
    assert "<token>" not in seen["terminal"].partition("hint:")[0]


def test_a_string_is_masked_again_once_its_token_is_issued():
    broker = Broker()
    assert broker.masked("/v2/given-token-1") == "/v2/given-token-1"
    broker.token_values = lambda: "given-token-1"
    with broker.running():
        pair = (broker.credentials.client_id, broker.credentials.client_secret)
        requests.post(broker.token_url, auth=pair, data={"grant_type": "client_credentials"})
    assert broker.masked("/v2/given-token-1") == "/v2/<token>"


def test_a_string_is_masked_again_once_its_secret_is_registered():
    broker = Broker()
    assert broker.masked("/v2/rotated-secret") == "/v2/rotated-secret"
    broker.register("app", "rotated-secret")
    assert broker.masked("/v2/rotated-secret") == "/v2/<secret>"


@pytest.mark.parametrize(
    "text",
    [
        '{"clientSecret": "PROD-s3cret"}',
        '{"password":"PROD-s3cret"}',
        "corpid=a&corpsecret=PROD-s3cret",
        "api_secret_key=PROD-s3cret&scope=x",
        "https://a.example/token?secret%3DPROD-s3cret",
    ],
)
def test_the_secret_of_another_environment_is_masked_by_the_name_of_its_parameter(text):
    assert "PROD-s3cret" in text
    assert "PROD-s3cret" not in mask_parameters(text)
    assert "<masked>" in mask_parameters(text)
