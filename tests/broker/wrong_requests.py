"""Wrong requests as they are asked about in public, each with the cause that must be named."""

from __future__ import annotations

import base64
from dataclasses import dataclass

__all__ = ["IN_COMMANDS", "SOUND", "WRONG", "Wrong"]

URL = "http://127.0.0.1:8080/auth-broker/request-token"
PATH = "/auth-broker/request-token"
FORM = "application/x-www-form-urlencoded"
GRANT = "grant_type=client_credentials"
RIGHT = "c2hvcDpzM2NyZXQ="  # shop:s3cret


@dataclass(frozen=True)
class Wrong:
    """A wrong request, the client that is registered, and words of the hints that it must get."""

    name: str
    text: str
    words: tuple[str, ...]
    client: str = "shop:s3cret"


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def raw(
    authorization: str | None = f"Basic {RIGHT}",
    content_type: str | None = FORM,
    body: str = GRANT,
    *,
    method: str = "POST",
    target: str = PATH,
    extra: str = "",
) -> str:
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1:8080"]
    lines += [f"Authorization: {authorization}"] if authorization is not None else []
    lines += [f"Content-Type: {content_type}"] if content_type is not None else []
    lines += [extra] if extra else []
    return "\r\n".join(lines) + "\r\n\r\n" + body


def curl(options: str) -> str:
    return f"curl {URL} {options}"


def basic(pair: str | bytes) -> str:
    """Return a request whose header decodes to that pair."""
    return raw(f"Basic {b64(pair)}")


def _scheme() -> list[Wrong]:
    return [
        Wrong("Bearer with a pair", raw(f"Bearer {RIGHT}"), ("Bearer is for API calls",)),
        Wrong("invented scheme", raw(f"OUR-KEY_1 {RIGHT}"), ("'OUR-KEY_1'",)),
        Wrong("Digest", raw('Digest username="shop"'), ("'Digest'",)),
        Wrong("misspelt Basic", raw(f"Baisc {RIGHT}"), ("'Baisc'",)),
        Wrong("scheme missing", raw(RIGHT), ("scheme is missing",)),
        Wrong("pair alone", raw("shop:s3cret"), ("scheme is missing", "not encoded")),
        Wrong("id and secret as words", raw("shop s3cret"), ("not encoded",)),
        Wrong("colon after Basic", raw(f"Basic: {RIGHT}"), ("colon",)),
        Wrong("equals after Basic", raw(f"Basic={RIGHT}"), ("equals sign",)),
        Wrong("comma after Basic", raw(f"Basic, {RIGHT}"), ("comma",)),
        Wrong("tab after Basic", raw(f"Basic\t{RIGHT}"), ("tab",)),
        Wrong("no space after Basic", raw(f"Basic{RIGHT}"), ("space after", "missing")),
        Wrong("Basic twice", raw(f"Basic Basic {RIGHT}"), ("occurs twice",)),
        Wrong("Basic twice, other case", raw(f"Basic basic {RIGHT}"), ("occurs twice",)),
        Wrong("name in the value", raw(f"Authorization: Basic {RIGHT}"), ("repeats the name",)),
        Wrong("quotes around the value", raw(f'"Basic {RIGHT}"'), ("quotes around the value",)),
        Wrong("single quotes around", raw(f"'Basic {RIGHT}'"), ("quotes around the value",)),
        Wrong("list in place of a string", raw(f"['Basic {RIGHT}']"), ("before the word",)),
        Wrong("two headers", raw(extra="Authorization: Bearer abcdefgh"), ("2 Authorization",)),
        Wrong("the same twice", raw(extra=f"Authorization: Basic {RIGHT}"), ("2 Authorization",)),
        Wrong("no header", raw(None), ("no Authorization header was sent",)),
        *(
            Wrong(f"header {name}", raw(None, extra=f"{name}: Basic {RIGHT}"), (repr(name),))
            for name in (
                "Authorisation",
                "Authentication",
                "X-Authorization",
                "Auth",
                "Proxy-Authorization",
                "HTTP_AUTHORIZATION",
                "Autorization",
            )
        ),
        Wrong(
            "headers of their own",
            raw(None, extra="client_id: shop\r\nclient_secret: s3cret"),
            ("header fields client_id, client_secret",),
        ),
        Wrong("API key", raw(None, extra="X-Api-Key: s3cret"), ("header field X-Api-Key",)),
        Wrong("word alone", raw("Basic"), ("nothing follows",)),
    ]


def _base64() -> list[Wrong]:
    return [
        Wrong("not encoded", raw("Basic shop:s3cret"), ("not encoded",)),
        Wrong("bytes of Python", raw(f"Basic b'{RIGHT}'"), ("b'…'",)),
        Wrong("quotes", raw(f'Basic "{RIGHT}"'), ("quotes around the Base64",)),
        Wrong("brackets", raw(f"Basic <{RIGHT}>"), ("brackets around",)),
        Wrong("percent-encoded", raw("Basic c2hvcDpzM2NyZXQ%3D"), ("percent-encoded",)),
        Wrong("escaped", raw("Basic c2hvcDpzM2NyZXQ\\u003d"), ("escapes of JSON",)),
        Wrong("entities", raw("Basic c2hvcDpzM2NyZXQ&#61;"), ("entities of HTML",)),
        Wrong("trailing comma", raw(f"Basic {RIGHT},"), ("punctuation follows",)),
        Wrong("lower case", raw("basic c2hvcdpzm2nyzxq="), ("upper and lower case",)),
        Wrong("cut", raw("Basic c2hvcDpzM2Ny".removesuffix("y")), ("was cut",)),
        Wrong("beginning lost", raw("Basic hvcDpzM2NyZXQ="), ("beginning", "missing")),
        Wrong("twice", raw(f"Basic {RIGHT}{RIGHT}"), ("there twice",)),
        Wrong("one character too many", raw("Basic c2hvcDpzM2NyZXQxx"), ("incomplete",)),
        Wrong("hexadecimal", raw("Basic " + b"shop:s3cret".hex()), ("hexadecimal",)),
        Wrong("hexadecimal in Base64", basic(b"shop:s3cret".hex()), ("hexadecimal",)),
        Wrong("no padding", raw("Basic c2hvcDpzM2NyZXQ"), ("lost its padding",)),
        Wrong("URL-safe", raw("Basic c2hvcDo_Pz8-"), ("URL-safe alphabet",), client="shop:???>"),
        Wrong("two lines", raw("Basic c2hvcDpz M2NyZXQ="), ("broken into lines",)),
        Wrong("folded", raw("Basic c2hvcDpz\r\n M2NyZXQ="), ("broken into lines",)),
        Wrong("plus to blank", raw("Basic c2hvcDo Pj4="), ("became a space",), "shop:>>>"),
        Wrong("empty", raw("Basic "), ("nothing follows",)),
        Wrong("undefined", raw("Basic undefined"), ("the word 'undefined'",)),
        Wrong("None", raw("Basic None"), ("the word 'None'",)),
        Wrong("object", raw("Basic [object Object]"), ("[object Object]",)),
        Wrong("function not called", raw("Basic Base64(shop:s3cret)"), ("name of a function",)),
        Wrong("id alone", raw("Basic shop"), ("client_id alone",)),
        Wrong("secret alone", raw("Basic s3cret"), ("secret alone",)),
        Wrong("curly quotes", raw("Basic \u201cc2hvcDpzM2NyZXQ=\u201d"), ("quotes around",)),
        Wrong("zero-width space", raw(f"Basic \u200b{RIGHT}"), ("invisible",)),
        Wrong("a token", raw("Basic eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"), ("not Base64",)),
    ]


def _in_pairs(pairs: dict[str, tuple[str | bytes, str]]) -> list[Wrong]:
    """Mistakes that show in what the Base64 decodes to: the text, and words of the hint."""
    return [Wrong(f"decoded: {name}", basic(pair), (w,)) for name, (pair, w) in pairs.items()]


def _octets_of_pair() -> list[Wrong]:
    """Mistakes of an encoding, and text that is not a pair."""
    return _in_pairs(
        {
            "UTF-16": ("shop:s3cret".encode("utf-16-le"), "UTF-16"),
            "UTF-16 with a mark": ("shop:s3cret".encode("utf-16"), "UTF-16"),
            "big-endian UTF-16": ("shop:s3cret".encode("utf-16-be"), "UTF-16"),
            "byte order mark": (b"\xef\xbb\xbfshop:s3cret", "byte order mark"),
            "line feed": ("shop:s3cret\n", "line feed"),
            "line feed of Windows": ("shop:s3cret\r\n", "line feed"),
            "line feed after the id": ("shop\n:s3cret", "an id that ends in a line feed"),
            "NUL": ("shop:s3cret\0", "NUL"),
            "URL": ("https://api.example.test", "a URL"),
            "pair in a URL": ("https://shop:s3cret@api.example.test", "a URL"),
            "JSON": ('{"client_id": "shop", "client_secret": "s3cret"}', "JSON"),
            "form": ("client_id=shop&client_secret=s3cret", "parameters of a form"),
            "Basic inside": ("Basic shop:s3cret", "`Basic` was encoded"),
            "header inside": ("Authorization: Basic shop:s3cret", "`Basic` was encoded"),
        }
    )


def _separator_of_pair() -> list[Wrong]:
    """Mistakes at the colon, or without one."""
    return _in_pairs(
        {
            "Base64 twice": (b64("shop:s3cret"), "encoded twice"),
            "blank": ("shop s3cret", "separated by a blank"),
            "semicolon": ("shop;s3cret", "separated by `;`"),
            "comma": ("shop,s3cret", "separated by `,`"),
            "bar": ("shop|s3cret", "separated by `|`"),
            "tab": ("shop\ts3cret", "separated by a tab"),
            "equals": ("shop=s3cret", "without a colon between"),
            "slash": ("shop/s3cret", "without a colon between"),
            "nothing between": ("shops3cret", "without a colon between"),
            "id alone": ("shop", "the client_id alone"),
            "secret alone": ("s3cret", "the secret alone"),
            "a hash": (bytes(range(200, 232)), "not text"),
            "other text": ("something", "without a colon"),
            "a token": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "JWT"),
        }
    )


def _parts_of_pair() -> list[Wrong]:
    """Mistakes in the id or the secret of a pair."""
    return _in_pairs(
        {
            "swapped": ("s3cret:shop", "swapped"),
            "id twice": ("shop:shop:s3cret", "client_id is there twice"),
            "secret twice": ("shop:s3crets3cret", "secret is there twice"),
            "id for the secret": ("shop:shop", "in place of the secret"),
            "names with the values": (
                "client_id=shop:client_secret=s3cret",
                "names of the settings",
            ),
            "colon and blank": ("shop: s3cret", "white space around"),
            "quoted parts": ('"shop":"s3cret"', "quotes around"),
            "curly quotes": ("\u201cshop:s3cret\u201d", "quotes around"),
            "angle brackets": ("<shop>:<s3cret>", "brackets around"),
            "trailing comma": ("shop:s3cret,", "punctuation follows"),
            "zero-width space": ("shop:\u200bs3cret", "invisible"),
            "non-breaking space": ("shop:s3cret\u00a0", "non-breaking"),
            "empty id": (":s3cret", "client_id is empty"),
            "empty secret": ("shop:", "secret is empty"),
            "both empty": (":", "client_id and the secret are empty"),
            "e-mail address": ("me@example.test:s3cret", "e-mail address"),
            "misspelt id": ("shpo:nothing-like-it", "did you mean 'shop'"),
            "id in other case": ("SHOP:s3cret", "case"),
            "secret in upper case": ("shop:S3CRET", "upper case"),
            "another client": ("acme-production:s0mething", "no client with that client_id"),
            "another secret": ("shop:nothing-like-it", "with another secret"),
        }
    )


def _placeholders_of_pair() -> list[Wrong]:
    """Words that stand for an id and a secret."""
    return _in_pairs(
        {
            "undefined": ("undefined:undefined", "the word 'undefined'"),
            "null secret": ("shop:null", "the word 'null'"),
            "example": ("client_id:client_secret", "placeholder"),
            "user and password": ("username:password", "placeholder"),
            "capitals": ("YOUR_CLIENT_ID:YOUR_CLIENT_SECRET", "YOUR_CLIENT_ID"),
            "braces": ("{{client_id}}:{{client_secret}}", "{{client_id}}"),
            "shell variables": ("$CLIENT_ID:$CLIENT_SECRET", "$CLIENT_SECRET"),
            "variables of cmd": ("%CLIENT_ID%:%CLIENT_SECRET%", "%CLIENT_ID%"),
            "variables of PowerShell": ("$env:CLIENT_ID:$env:CLIENT_SECRET", "$env:CLIENT_ID"),
            "single braces": ("{client_id}:{client_secret}", "{client_id}"),
            "angles": ("<client_id>:<client_secret>", "<client_id>"),
            "brackets": ("[CLIENT_ID]:[CLIENT_SECRET]", "[CLIENT_ID]"),
            "Ruby": ("#{ENV_ID}:#{ENV_SECRET}", "#{ENV_ID}"),
            "crosses": ("shop:xxxxxxxx", "placeholder is left in the secret"),
            "stars": ("shop:********", "placeholder is left in the secret"),
            "encoded alone": (f"shop:{b64('s3cret')}", "encoded in Base64 by itself"),
        }
    )


def _damaged() -> list[Wrong]:
    damages = (
        ("s3$cret", "s3", "expanded as a variable"),
        ("a$(id)bcd", "abcd", "expanded as a variable"),
        ("abc`id`def", "abcdef", "expanded as a variable"),
        ("Test123!", "Test123\\!", "a backslash before the !"),
        ("Test123!", "Test123\\\\!", "backslashes before the !"),
        ("Test123!", "Test123", "the ! in the credentials is missing"),
        ("Test!abc9", "Testls -la9", "history"),
        ("Test!9", "Test9", "the ! in the credentials is missing"),
        ("ab\\cd", "abcd", "backslashes in the credentials are missing"),
        ("ab#cd", "ab", "a comment begins there"),
        ("ab&cd", "ab", "a shell ends the command"),
        ("ab;cd", "ab", "a shell ends the command"),
        ("ab|cd", "ab", "a pipe"),
        ("ab cd", "ab", "ends the word"),
        ("ab'cd", "abcd", "quotes in the credentials are missing"),
        ("~/abcdef", "/home/me/abcdef", "home folder"),
        ("x{ab,cd}y", "xaby", "braces"),
        ("ab^cd", "abcd", "the ^"),
        ("ab%cd", "abcd", "the %"),
        ("ab`cd", "abcd", "the `"),
        ("ab%41cd", "abAcd", "percent-decoded"),
        ("a+b", "a%2Bb", "percent-encoded before Base64"),
        ("a+b", "a b", "form-decoded"),
        ("c2VjcmV0", "secret", "decoded from Base64"),
        ("s3cret", "33e1b232a4e6fa0028a6670753749a17", "hashed"),
        ("0123", "123", "read as a number"),
        ("ab-cd", "ab\u2013cd", "typographic"),
    )
    return [
        Wrong(f"damaged: {secret} as {sent}", basic(f"shop:{sent}"), (words,), f"shop:{secret}")
        for secret, sent, words in damages
    ]


def _in_bodies(bodies: dict[str, tuple[str, str]]) -> list[Wrong]:
    """Mistakes in the body alone: the body, and words of the hint."""
    return [Wrong(f"body: {name}", raw(body=body), (w,)) for name, (body, w) in bodies.items()]


def _notation_of_body() -> list[Wrong]:
    """Bodies in another notation than a form."""
    return _in_bodies(
        {
            "JSON": ('{"grant_type": "client_credentials"}', "JSON"),
            "double quotes": (f'"{GRANT}"', "double quotes"),
            "single quotes": (f"'{GRANT}'", "single quotes"),
            "curly quotes": (f"\u201c{GRANT}\u201d", "curly"),
            "entities as quotes": (f"&quot;{GRANT}&quot;", "&quot;"),
            "entities between": (f"{GRANT}&amp;scope=a", "&amp;"),
            "literal braces": ("{ grant_type: client_credentials }", "literally"),
            "YAML": ("grant_type: client_credentials", "colon in place of"),
            "XML": ("<grant_type>client_credentials</grant_type>", "XML"),
            "list of JSON": ('[{"grant_type": "client_credentials"}]', "JSON list"),
            "hash of Ruby": ('{:grant_type=>"client_credentials"}', "notation of a program"),
            "bytes of Python": (f"b'{GRANT}'", "b'…'"),
            "object": ("[object Object]", "[object Object]"),
            "form data object": ("[object FormData]", "[object FormData]"),
            "None": ("None", "the word 'None'"),
            "name of a file": ("@body.txt", "name of a file"),
            "encoded as a whole": ("grant_type%3Dclient_credentials", "percent-encoded"),
            "JSON as a name": ("%7B%22grant_type%22%3A%22client_credentials%22%7D=", "JSON"),
            "JSON as a value": ("data=%7B%22grant_type%22%3A%22client_credentials%22%7D", "JSON"),
            "form as a value": (
                "data=grant_type%3Dclient_credentials",
                "value of a parameter 'data'",
            ),
            "characters": ("0=g&1=r&2=a&3=n&4=t", "characters"),
            "byte order mark": (f"\ufeff{GRANT}", "byte order mark"),
        }
    )


def _separators_of_body() -> list[Wrong]:
    """Mistakes between and around parameters."""
    return _in_bodies(
        {
            "semicolon": (f"{GRANT};scope=a", "separated by ';'"),
            "comma": (f"{GRANT},scope=a", "separated by ','"),
            "line feed": (f"{GRANT}\nscope=a", "separated by a line feed"),
            "blank": (f"{GRANT} scope=a", "separated by a blank"),
            "line feed at the end": (f"{GRANT}\n\n", "line feed"),
            "blank before": ("grant_type= client_credentials", "white space"),
            "question mark": (f"?{GRANT}", "a ?"),
            "value in quotes": ('grant_type="client_credentials"', "quotes around the value"),
        }
    )


def _names_in_body() -> list[Wrong]:
    """grant_type by another name, or without one."""
    return _in_bodies(
        {
            "grant-type": ("grant-type=client_credentials", "'grant-type'"),
            "granttype": ("granttype=client_credentials", "'granttype'"),
            "grantType": ("grantType=client_credentials", "'grantType'"),
            "GRANT_TYPE": ("GRANT_TYPE=client_credentials", "'GRANT_TYPE'"),
            "grant_type[]": ("grant_type[]=client_credentials", "as a list"),
            "grant": ("grant=client_credentials", "another name"),
            "value alone": ("client_credentials", "name grant_type is missing"),
        }
    )


def _grants_in_body() -> list[Wrong]:
    """Other grants, and none."""
    return _in_bodies(
        {
            "client_credential": ("grant_type=client_credential", "'client_credential'"),
            "client-credentials": ("grant_type=client-credentials", "'client-credentials'"),
            "clientCredentials": ("grant_type=clientCredentials", "'clientCredentials'"),
            "CLIENT_CREDENTIALS": ("grant_type=CLIENT_CREDENTIALS", "'CLIENT_CREDENTIALS'"),
            "password": ("grant_type=password&username=a&password=b", "'password'"),
            "code": ("grant_type=authorization_code&code=x", "'authorization_code'"),
            "empty value": ("grant_type=", "grant_type is empty"),
            "other value": ("grant_type=nonsense", "must be client_credentials"),
            "twice": (f"{GRANT}&{GRANT}", "2 times"),
            "empty": ("", "the body is empty"),
            "nothing like it": ("a=b", "the body must be"),
            "placeholder": ("grant_type={{grant}}", "{{grant}}"),
            "placeholder in a parameter": (f"{GRANT}&audience=$%7BAUDIENCE%7D", "${AUDIENCE}"),
        }
    )


def _bodies_with_their_type() -> list[Wrong]:
    boundary = "----WebKitFormBoundaryX"
    part = 'Content-Disposition: form-data; name="grant_type"\r\n\r\nclient_credentials'
    return [
        Wrong(
            "multipart",
            raw(
                content_type=f"multipart/form-data; boundary={boundary}",
                body=f"--{boundary}\r\n{part}\r\n--{boundary}--\r\n",
            ),
            ("multipart", "curl -F", "FormData", "files="),
        ),
        Wrong("JSON string", raw(content_type="application/json", body=f'"{GRANT}"'), ("JSON",)),
        Wrong("JSON", raw(content_type="application/json", body='{"a": 1}'), ("send a form",)),
    ]


def _media_types() -> list[Wrong]:
    types = {
        "application/x-www-form-urlencode": "misspelt",
        "x-www-form-urlencoded": "misspelt",
        "application/www-form-urlencoded": "misspelt",
        "application/form-urlencoded": "misspelt",
        "text/plain": "'text/plain'",
        "text/plain;charset=UTF-8": "'text/plain'",
        "application/json": "says JSON",
        "application/octet-stream": "'application/octet-stream'",
        f'"{FORM}"': "quotes around",
        f"Content-Type: {FORM}": "repeats the name",
        f"{FORM}, application/json": "two values",
    }
    return [
        *(Wrong(f"type {name}", raw(content_type=name), (w,)) for name, w in types.items()),
        Wrong("no type", raw(content_type=None), ("Content-Type is missing",)),
        Wrong(
            "misnamed type",
            raw(content_type=None, extra=f"Content_Type: {FORM}"),
            ("'Content_Type'",),
        ),
        Wrong("two types", raw(extra="Content-Type: text/plain"), ("2 Content-Type",)),
        Wrong("compressed", raw(body="\x1f\x8b", extra="Content-Encoding: gzip"), ("compressed",)),
    ]


def _lines() -> list[Wrong]:
    return [
        Wrong("GET", raw(method="GET", body=""), ("use POST",)),
        Wrong("PUT", raw(method="PUT"), ("use POST",)),
        Wrong("post", raw(method="post"), ("upper case",)),
        Wrong("slash at the end", raw(target=f"{PATH}/"), ("slash at the end",)),
        Wrong("doubled slash", raw(target="//auth-broker/request-token"), ("doubled slash",)),
        Wrong("prefix twice", raw(target=f"/auth-broker{PATH}"), ("twice",)),
        Wrong("end twice", raw(target=f"{PATH}/request-token"), ("end of the path",)),
        Wrong("case", raw(target="/Auth-Broker/Request-Token"), ("upper and lower case",)),
        Wrong("host in the path", raw(target=f"/127.0.0.1:8080{PATH}"), ("host",)),
        Wrong("scheme in the path", raw(target=f"/http://127.0.0.1:8080{PATH}"), ("host",)),
        Wrong("blank at the end", raw(target=f"{PATH}%20"), ("white space",)),
        Wrong("grant in the URL", raw(body="", target=f"{PATH}?{GRANT}"), ("query",)),
        Wrong(
            "credentials in the URL",
            raw(None, target=f"{PATH}?client_id=shop&client_secret=s3cret"),
            ("credentials are in the URL",),
        ),
        Wrong(
            "credentials in the body",
            raw(None, body=f"{GRANT}&client_id=shop&client_secret=s3cret"),
            ("client_secret_post",),
        ),
        Wrong(
            "credentials twice",
            raw(body=f"{GRANT}&client_id=shop&client_secret=s3cret"),
            ("sent twice",),
        ),
    ]


def _further_schemes() -> list[Wrong]:
    """Mistakes before the Base64 and after it, and of the scheme."""
    return [
        Wrong("non-breaking space after Basic", raw(f"Basic\u00a0{RIGHT}"), ("non-breaking",)),
        Wrong("plus after Basic", raw(f"Basic+{RIGHT}"), ("plus sign",)),
        Wrong("%20 after Basic", raw(f"Basic%20{RIGHT}"), ("percent-encoded blank",)),
        Wrong("a further word", raw(f"Basic Auth {RIGHT}"), ("further word",)),
        Wrong("%0A after the text", raw(f"Basic {RIGHT}%0A"), ("line feed follows",)),
        Wrong("escaped line feed", raw(f"Basic {RIGHT}\\n"), ("line feed follows",)),
        Wrong("BasicAuth", raw(f"BasicAuth {RIGHT}"), ("'BasicAuth'",)),
        Wrong("Basic nine times", raw("Basic " * 9 + RIGHT), ("occurs twice",)),
        Wrong("scheme left", raw(f"{{{{SCHEME}}}} {RIGHT}"), ("{{SCHEME}}",)),
        Wrong("scheme in angles", raw(f"<scheme> {RIGHT}"), ("<scheme>",)),
        Wrong("scheme to replace", raw(f"YOUR_SCHEME {RIGHT}"), ("YOUR_SCHEME",)),
    ]


def _further_pairs() -> list[Wrong]:
    """Mistakes in the pair."""
    return [
        Wrong("pair percent-encoded", basic("shop%3As3cret"), ("the colon with it",)),
        Wrong("host after the secret", basic("shop:s3cret@h"), ("further characters follow",)),
        Wrong("word before the id", basic("client:shop:s3cret"), ("characters stand before",)),
        Wrong("words around", basic("id shop, secret s3cret"), ("without a colon",)),
        Wrong(
            "UTF-16 under Bearer",
            raw(f"Bearer {b64('shop:s3cret'.encode('utf-16-le'))}"),
            ("Bearer is for", "UTF-16"),
        ),
        Wrong("UTF-8 twice", basic("sh\u00c3\u00a4p:s3cret"), ("UTF-8 twice",), "sh\u00e4p:s3cret"),
        Wrong("Latin-1", basic(b"sh\xe4p:s3cret"), ("Latin-1",), "sh\u00e4p:s3cret"),
        Wrong("decomposed", basic("sha\u0308p:s3cret"), ("NFD",), "sh\u00e4p:s3cret"),
        Wrong("id of no text", basic(b"\x80\x81:s3cret"), ("not text",)),
        Wrong("id beyond ASCII", basic("sh\u043ep:s3cret"), ("but the client_id is",)),
        Wrong("URL that is none", basic("http://[x:y@z"), ("a URL",)),
        Wrong("URL with a user", basic("http://shop@api.example.test"), ("a URL",)),
        Wrong("placeholder alone", basic("YOUR_API_KEY"), ("YOUR_API_KEY",)),
        Wrong("id in mixed case", basic("sHop:s3cret"), ("case matters",)),
        Wrong(
            "two variables",
            curl(f'-u "$CLIENT_ID:$CLIENT_SECRET" -d {GRANT}'),
            ("$CLIENT_ID", "$CLIENT_SECRET"),
        ),
        Wrong(
            "secrets of a workflow",
            curl(f"-u ${{{{ secrets.ID }}}}:${{{{ secrets.KEY }}}} -d {GRANT}"),
            ("{{secrets.ID}}", "{{secrets.KEY}}"),
        ),
    ]


def _further_bodies_and_urls() -> list[Wrong]:
    """Mistakes in the body and in the URL."""
    return [
        Wrong("client_id as well", raw(body=f"{GRANT}&client_id=shop"), ("client_id is in the",)),
        Wrong("escaped JSON", raw(body='{\\"grant_type\\": \\"x\\"}'), ("backslash before",)),
        Wrong("quoted JSON", raw(body="'{grant_type:client_credentials}'"), ("single quotes",)),
        Wrong("quote at the end", raw(body=f"{GRANT}&scope=a`"), ("quote at one end",)),
        Wrong("UTF-16 body", raw(body="\0".join(GRANT) + "\0"), ("UTF-16",)),
        *(
            Wrong(f"value {value}", raw(body=f"grant_type={value}"), (words,))
            for value, words in (
                ("\u201cclient_credentials\u201d", "quotes around the value"),
                ("client_cre\u200bdentials", "invisible"),
                ("client_\u0441redentials", "ASCII"),
            )
        ),
        Wrong("hidden in the name", raw(body=f"\u200b{GRANT}"), ("invisible",)),
        Wrong("other underscore", raw(target="/auth-broker/request_token"), ("misspelt",)),
        Wrong("prefix before", raw(target=f"/api{PATH}"), ("prefix stands before",)),
        Wrong("placeholder in the URL", raw(target=f"{PATH}?v=$%7BV%7D"), ("${V}",)),
        Wrong(
            "credentials in Host",
            raw(None).replace("Host: ", "Host: shop:s3cret@"),
            ("id:secret@host",),
        ),
    ]


def _placeholders() -> list[Wrong]:
    values = (
        "{{AUTH}}",
        "${AUTH}",
        "$AUTH",
        "%AUTH%",
        "<AUTH>",
        "Basic {{credentials}}",
        "Basic ${CREDENTIALS}",
        "Basic <base64(client_id:client_secret)>",
        "Basic YOUR_CLIENT_ID",
        "Basic [TOKEN]",
        "Basic #{token}",
        "Basic %TOKEN%",
        "Basic xxxxxxxx",
    )
    return [Wrong(f"placeholder {v}", raw(v), ("placeholder is left",)) for v in values]


def _two_at_once() -> list[Wrong]:
    return [
        Wrong(
            "line feed, and another type",
            raw(f"Basic {b64('shop:s3cret' + chr(10))}", "text/plain"),
            ("line feed", "text/plain"),
        ),
        Wrong(
            "Bearer, and JSON",
            raw(f"Bearer {RIGHT}", "application/json", '{"grant_type": "client_credentials"}'),
            ("Bearer is for API calls", "JSON"),
        ),
        Wrong(
            "quotes, and a line feed",
            raw(f'"Basic {b64("shop:s3cret" + chr(10))}"'),
            ("quotes around the value", "line feed"),
        ),
        Wrong(
            "UTF-16, and swapped",
            basic("s3cret:shop".encode("utf-16-le")),
            ("UTF-16", "swapped"),
        ),
        Wrong("GET, and no header", raw(None, method="GET", body=""), ("use POST", "no Author")),
        Wrong(
            "misspelt grant, and wrong secret",
            raw(f"Basic {b64('shop:nothing-like-it')}", body="grantType=client_credentials"),
            ("grantType", "another secret"),
        ),
        Wrong(
            "slash, and no type",
            raw(content_type=None, target=f"{PATH}/"),
            ("slash", "Content-Type is missing"),
        ),
        Wrong(
            "placeholders, and multipart",
            curl("-u '${ACME_ID}:${ACME_SECRET}' -F grant_type=client_credentials"),
            ("${ACME_ID}", "${ACME_SECRET}", "multipart"),
        ),
        Wrong(
            "scheme missing, and a line feed",
            raw(b64("shop:s3cret\n")),
            ("scheme", "line feed"),
        ),
    ]


def _commands() -> list[Wrong]:
    """Commands whose mistake shows in the request that they send."""
    return [
        Wrong("-F", curl(f"-u shop:s3cret --form '{GRANT}'"), ("multipart",)),
        Wrong("curly quotes", curl(f"-u shop:s3cret -d \u201c{GRANT}\u201d"), ("curly",)),
        Wrong("entities", curl(f'-u shop:s3cret -d "&quot;{GRANT}&quot;"'), ("&quot;",)),
        Wrong("cmd", f"C:\\>{curl(f'''-u shop:s3cret -d '{GRANT}' ''')}", ("single quotes", "cmd")),
        Wrong("-G", curl(f"-G -u shop:s3cret -d {GRANT}"), ("use POST", "query")),
        Wrong("--json", curl("-u shop:s3cret --json '{\"a\": 1}'"), ("JSON",)),
        Wrong("no -d", curl("-X POST -u shop:s3cret"), ("the body is empty",)),
        Wrong("blank for &", curl(f"-u shop:s3cret -d '{GRANT} scope=a'"), ("blank",)),
        Wrong(
            "two headers",
            curl(
                f"-H 'Authorization: Basic {RIGHT}' -H 'Authorization: Bearer abcdefgh' -d {GRANT}"
            ),
            ("2 Authorization",),
        ),
        Wrong(
            "echo",
            curl(f'-H "Authorization: Basic $(echo shop:s3cret | base64)" -d {GRANT}'),
            ("line feed", "echo"),
        ),
        Wrong(
            "not run",
            curl(f"-H 'Authorization: Basic $(printf %s a:b | base64)' -d {GRANT}"),
            ("command of a shell",),
        ),
        Wrong(
            "pair encoded whole",
            curl("-u shop:s3cret --data-urlencode grant_type%3Dclient_credentials"),
            ("percent-encoded",),
        ),
    ]


WRONG = (
    *_scheme(),
    *_base64(),
    *_octets_of_pair(),
    *_separator_of_pair(),
    *_parts_of_pair(),
    *_placeholders_of_pair(),
    *_damaged(),
    *_notation_of_body(),
    *_separators_of_body(),
    *_names_in_body(),
    *_grants_in_body(),
    *_bodies_with_their_type(),
    *_media_types(),
    *_lines(),
    *_placeholders(),
    *_two_at_once(),
    *_further_schemes(),
    *_further_pairs(),
    *_further_bodies_and_urls(),
    *_commands(),
)
"""The mistake shows in the request, so that explain and the broker must both name it."""

IN_COMMANDS = (
    Wrong("dash", f"curl -X POST {URL} \u2013u shop:s3cret \u2013d {GRANT}", ("dash",)),
    Wrong("-u without secret", curl(f"-u shop -d {GRANT}"), ("no secret",)),
    Wrong("-X GET", curl(f"-X GET -u shop:s3cret -d {GRANT}"), ("leave -X out", "use POST")),
    Wrong("unquoted &", f"curl -X POST -u shop:s3cret {URL}?{GRANT}&scope=a", ("& outside",)),
    Wrong("unquoted & in data", curl(f"-u shop:s3cret -d {GRANT}&scope=a"), ("& outside",)),
    Wrong("lines of a command", f"curl {URL}\n  -u shop:s3cret\n  -d {GRANT}", ("another line",)),
    Wrong("blank after \\", f"curl {URL} \\ \n -u shop:s3cret -d {GRANT}", ("a blank follows",)),
    Wrong("\\ in cmd", f"C:\\>curl {URL} \\\n -u shop:s3cret -d {GRANT}", ("cmd.exe; write ^",)),
    Wrong("no blank line", raw().replace("\r\n\r\n", "\r\n"), ("blank line",)),
    Wrong("blank before a colon", raw().replace("Authorization:", "Authorization :"), ("blank",)),
    Wrong("wrong length", raw(extra="Content-Length: 20"), ("Content-Length is 20",)),
    Wrong("words of cmd", f"C:\\>curl -H 'Accept: */*' -u shop:s3cret -d {GRANT} {URL}", ("cmd",)),
)
"""The mistake is in the command or in the message, so that no broker sees it."""

SOUND = {
    "curl": curl(f"-u shop:s3cret -d {GRANT}"),
    "curl with a charset": curl(
        f"-u shop:s3cret -H 'Content-Type: {FORM}; charset=utf-8' --data-urlencode {GRANT}"
    ),
    "curl with a header": curl(f"-H 'authorization: basic {RIGHT}' -d {GRANT} -sS | jq ."),
    "curl with a right substitution": curl(
        f'-H "Authorization: Basic $(echo -n shop:s3cret | base64 -w0)" -d {GRANT}'
    ),
    "requests": raw(
        extra="User-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\n"
        "Accept: */*\r\nConnection: keep-alive\r\nContent-Length: 29"
    ),
    "httpx": raw(extra="user-agent: python-httpx/0.28.1\r\naccept: */*\r\nconnection: keep-alive"),
    "Go": raw(extra="User-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip"),
    "Java": raw(
        content_type=f"{FORM}; charset=ISO-8859-1",
        extra="User-Agent: Java-http-client/21.0.2\r\nAccept: application/json\r\n"
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB",
    ),
    "Spring": raw(
        content_type=f"{FORM};charset=UTF-8", extra="Accept: application/json;charset=UTF-8"
    ),
    "Node": raw(
        content_type=f"{FORM};charset=UTF-8",
        extra="accept: */*\r\naccept-language: *\r\nsec-fetch-mode: cors\r\nuser-agent: node",
    ),
    "axios": raw(extra="Accept: application/json, text/plain, */*\r\nUser-Agent: axios/1.7.2"),
    ".NET": raw(content_type="Application/X-WWW-Form-Urlencoded", extra="traceparent: 00-0-0-00"),
    "lower case": raw(f"basic {RIGHT}")
    .replace("Authorization", "authorization")
    .replace("Content-Type", "content-type"),
    "two blanks": raw(f"Basic  {RIGHT}"),
    "chunked": raw(extra="Transfer-Encoding: chunked", body=f"1d\n{GRANT}\n0\n\n"),
    "absolute target": raw(target=URL),
    "cmd.exe": f'C:\\>curl -u shop:s3cret ^\r\n -d "{GRANT}" {URL}',
    "PowerShell": f"PS C:\\> curl.exe -u shop:s3cret `\n -d {GRANT} {URL}",
    "history": f"  501  curl -u shop:s3cret -d {GRANT} {URL}",
    "zsh": f"\u279c  ~ curl -u shop:s3cret -d {GRANT} {URL}",
    "output below": f"$ curl -u shop:s3cret -d {GRANT} {URL}\n{{}}",
}
"""Requests of sound clients."""
