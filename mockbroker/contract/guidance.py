"""Why each clause is there, and how a client that breaks it is mended: words for its author."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["GUIDANCE", "Guidance"]


@dataclass(frozen=True, slots=True)
class Guidance:
    """What somebody needs to know who is told that their client breaks a clause.

    ``why`` says what goes wrong in production, ``mend`` what to do in the client.
    """

    why: str
    mend: str


GUIDANCE: Mapping[str, Guidance] = {
    "request.method": Guidance(
        why="A token endpoint takes POST only. By GET the parameters, and often the secret with "
        "them, land in the logs of every proxy on the way.",
        mend="Send the token request by POST, with grant_type in the body.",
    ),
    "request.url": Guidance(
        why="The path and the query of a token URL are part of its configuration. A slash more, "
        "or a parameter more, is another resource: a 404, or a redirect that drops the body.",
        mend="Use the configured URL as it is. Neither join it with a path nor give the HTTP "
        "library query parameters.",
    ),
    "request.content-type": Guidance(
        why="A broker reads the body by its media type. With none, or with that of JSON, "
        "grant_type is not found and the request is refused.",
        mend="Let the HTTP library encode a form (`data={…}` in requests and httpx), and set no "
        "Content-Type beside it.",
    ),
    "request.grant-type": Guidance(
        why="Without exactly one grant_type in the body there is nothing that a broker could "
        "grant; RFC 6749 forbids that a parameter is sent twice.",
        mend="Send the body grant_type=client_credentials, form-encoded, once.",
    ),
    "request.no-extra-parameters": Guidance(
        why="Brokers may refuse parameters that they do not know, and what one provider wants "
        "(audience, resource) means nothing to another.",
        mend="Send grant_type alone, and scope if one is configured. Make all else an option that "
        "is off by default.",
    ),
    "request.accept": Guidance(
        why="An Accept header that rules JSON out asks for an answer that the broker cannot give: "
        "406, or an error page in HTML.",
        mend="Send Accept: application/json, or leave the header to the HTTP library.",
    ),
    "basic.scheme": Guidance(
        why="A broker that authenticates by HTTP Basic sees no client without the header, and "
        "answers 401 invalid_client however right the secret is.",
        mend="Send one header, Authorization: Basic and the Base64 text (`auth=(id, secret)` in "
        "requests and httpx), with every request, also with one that is repeated.",
    ),
    "basic.base64": Guidance(
        why="The URL-safe alphabet, lost padding and broken lines differ from standard Base64 for "
        "some credentials only: the client works until the secret is rotated.",
        mend="Encode by the plain Base64 function of the language (`base64.b64encode`), not by "
        "the URL-safe or the MIME one, and strip nothing.",
    ),
    "basic.credentials": Guidance(
        why="Generated secrets hold characters such as + / = : % and blanks. A client that "
        "quotes, trims or splits them works with some secrets and fails with the next one.",
        mend="Join id, a colon and secret as they are, then encode. Trim and quote nothing; "
        "form-urlencode each part first only where the provider follows RFC 6749, 2.3.1.",
    ),
    "basic.utf8": Guidance(
        why="Credentials beyond ASCII have different bytes in Latin-1 and in UTF-8, and a broker "
        "knows those of UTF-8.",
        mend="Encode to UTF-8 before Base64. In Python's requests give bytes, for it takes "
        "Latin-1 for text.",
    ),
    "basic.only": Guidance(
        why="RFC 6749 forbids two ways of authentication in one request, and strict brokers "
        "answer 400. In a URL the secret is also written into access logs.",
        mend="Send the credentials in the Authorization header alone; switch off the option that "
        "puts them into the body or the URL as well.",
    ),
    "response.documented": Guidance(
        why="This is what the provider answers when all is well.",
        mend="Read access_token and expires_in from the JSON object and let the rest be.",
    ),
    "response.opaque-token": Guidance(
        why="A token is opaque: any of the b64token characters, of any length. A client that "
        "trims, quotes or cuts it presents a token that was never issued.",
        mend="Keep the text of access_token as it came and write it after Bearer unchanged; leave "
        "room for 4096 characters.",
    ),
    "response.unknown-members": Guidance(
        why="Providers add members without notice. RFC 6749 has clients ignore those that they do "
        "not know.",
        mend="Read the members that you need; do not unpack the whole object into a strict model.",
    ),
    "response.json-forms": Guidance(
        why="White space, order, escapes and a charset parameter are free in JSON over HTTP, and "
        "change with any update of the provider's framework.",
        mend="Parse with a JSON library, and compare media types without their parameters.",
    ),
    "response.token-type-case": Guidance(
        why="token_type has no fixed case: bearer and Bearer are the same type. APIs, however, may "
        "know the scheme as Bearer only.",
        mend="Compare token_type in lower case, and write Bearer yourself when you sign.",
    ),
    "response.token-type-unknown": Guidance(
        why="A token of another type (mac, DPoP) is not used by bearing it; RFC 6749 forbids to "
        "use a token whose type one does not know.",
        mend="Raise if token_type, in lower case, is not bearer.",
    ),
    "response.expires-in-missing": Guidance(
        why="expires_in is only recommended, and some brokers leave it out, always or for tokens "
        "without an end.",
        mend="Take a default lifetime for an answer without it, or keep the token until the API "
        "refuses it; do not keep the expiry of the token before.",
    ),
    "response.expires-in-forms": Guidance(
        why='Real brokers send expires_in as text ("3599") or with a fraction. A client that '
        "takes such a lifetime for none caches for ever, or not at all.",
        mend="Convert by float() or the like, and raise an error that names expires_in if that "
        "fails.",
    ),
    "response.invalid": Guidance(
        why="A proxy's page with status 200, or an answer without a token, otherwise leads to "
        "calls signed with “Bearer None”, and to an error far from its cause.",
        mend="Raise unless the answer is a JSON object whose access_token is a text that is not "
        "empty.",
    ),
    "cache.reuse": Guidance(
        why="A token request for each call doubles the latency, and meets the broker's rate limit "
        "on a busy day.",
        mend="Keep the token with its expiry and use it until shortly before; let no long "
        "lifetime overflow.",
    ),
    "cache.isolation": Guidance(
        why="A cache that two clients share by mistake shows one customer's data to another, and "
        "goes on with a secret that was rotated away.",
        mend="Key the cache by token URL, client id, secret and scope, or keep it in the instance; "
        "never in a class or module attribute or in a file of a fixed name.",
    ),
    "cache.thread-safe": Guidance(
        why="Web servers and job runners share one client among threads. Without a lock, some of "
        "them see the token half replaced, or get none.",
        mend="Hold one lock while the token is looked up and replaced, and replace token and "
        "expiry together; let the others wait, not fail.",
    ),
    "cache.single-flight": Guidance(
        why="When the token expires under load, every thread fetches one at once, and a broker "
        "that limits rates refuses most of them.",
        mend="Look again whether the token is still missing once the lock is held, before "
        "fetching.",
    ),
    "refresh.honours-expires-in": Guidance(
        why="An expired token is a 401 for every call, an hour after the deployment that "
        "everybody watched.",
        mend="Count from the answer's own expires_in, each time, in an unambiguous time (UTC or a "
        "monotonic clock), and fetch when now plus the leeway is past the expiry.",
    ),
    "refresh.ahead": Guidance(
        why="A token that expires while the call is under way is refused by the API, once an hour "
        "and never when anybody looks.",
        mend="Refresh some seconds before the expiry (10 to 60 is usual), and not only once it "
        "has passed.",
    ),
    "refresh.not-too-eager": Guidance(
        why="Who refreshes in the first half of a token's life asks at least twice as often as "
        "is needed; a common cause is that seconds were read as milliseconds.",
        mend="Read expires_in as seconds, and keep the leeway well below the lifetime.",
    ),
    "refresh.short-lived": Guidance(
        why="When lifetimes shrink to the leeway or below, as they do in incidents and in tests, "
        "a client may loop for ever or refuse every token.",
        mend="Use what was just fetched, whatever its lifetime is; cap the leeway at a part of the "
        "lifetime.",
    ),
    "refresh.latency": Guidance(
        why="The lifetime begins when the token is issued. Counted from the arrival of a slow "
        "answer, the client takes the token for valid when it is not any more.",
        mend="Take the time before the request is sent, and count the lifetime from there.",
    ),
    "refresh.same-grant": Guidance(
        why="The client credentials grant issues no refresh token. A client that waits for one, "
        "or sends one, is stuck after the first hour.",
        mend="Ask again with grant_type=client_credentials and ignore a refresh_token member.",
    ),
    "refresh.outage-while-valid": Guidance(
        why="A refresh ahead of time is there to be allowed to fail: the old token is good for "
        "the leeway yet, and a short outage of the broker need not be one of yours.",
        mend="If a refresh fails and the token has not expired, go on with it and try again at a "
        "later call.",
    ),
    "refresh.outage-after-expiry": Guidance(
        why="Signing with a token that is known to be expired hides the outage behind a 401 of the "
        "API, where nobody looks for it.",
        mend="Once the token has expired, let the error of the refresh through to the caller.",
    ),
    "refresh.recovers": Guidance(
        why="A client that keeps a failure, a broken connection or a held lock needs a restart "
        "after every outage of the broker.",
        mend="Change state only on success, release locks in `finally`, and try again at the next "
        "call.",
    ),
    "signing.bearer": Guidance(
        why="The header is compared literally by many gateways: a scheme in another case, two "
        "spaces or a second header make it unreadable.",
        mend='Set one header, f"Bearer {token}", and replace one that is there already.',
    ),
    "signing.header-only": Guidance(
        why="A token in a URL is kept by access logs, browser histories and Referer headers.",
        mend="Put the token into the Authorization header and nowhere else.",
    ),
    "signing.no-credentials": Guidance(
        why="The API is not the party that the secret is shared with: each API, and each proxy "
        "before it, could ask for tokens in the client's name.",
        mend="Use one session for the broker and another one for the API, so that neither Basic "
        "credentials nor default headers leak over.",
    ),
    "signing.preserves-request": Guidance(
        why="Signing that loses a query, a body or a caller's header changes what is asked for: "
        "the first page instead of the third, an order without its lines.",
        mend="Add the Authorization header to the caller's request and let the rest be, also when "
        "the call is made once more after a 401.",
    ),
    "signing.revoked": Guidance(
        why="Tokens are revoked when secrets are rotated, and lost when a broker restarts. "
        "Without a second try every call fails until the token would have expired.",
        mend="On 401 drop the token that was refused, fetch another and make the call once more.",
    ),
    "signing.no-retry-storm": Guidance(
        why="A client that answers each 401 with a new token and a new call turns a wrong "
        "permission into load on two services, and may hang its caller.",
        mend="Try once more at most, then give the 401 to the caller.",
    ),
    "signing.forbidden": Guidance(
        why="403, 429 and 5xx do not say that the token is bad. A new one cannot help, and adds "
        "load where there is too much.",
        mend="Fetch a new token for 401 only.",
    ),
    "signing.cross-origin": Guidance(
        why="Whoever can have the API redirect then gets a working token.",
        mend="Let the HTTP library drop Authorization where the origin changes, or follow no "
        "redirects; add the header to the first request only.",
    ),
    "errors.invalid-client": Guidance(
        why="A wrong or rotated secret has to be told at once, where it happened, and not as a "
        "missing token later.",
        mend="Check the status before the body, and raise on 401.",
    ),
    "errors.bad-request": Guidance(
        why="400 says that the request is wrong; going on without a token hides that.",
        mend="Raise on 400 whatever the body is: RFC 6749's JSON, a page, or nothing.",
    ),
    "errors.no-hammering": Guidance(
        why="A final refusal stays one. Repeating it locks accounts, and triggers alarms at the "
        "broker.",
        mend="Retry on failures of transport and 5xx only, never on 400, 401 or 403.",
    ),
    "errors.server-error": Guidance(
        why="Retries without an end multiply the load on a broker that is down, and hold the "
        "caller's thread.",
        mend="Give up after a few attempts (5 at most) and raise.",
    ),
    "errors.retry-after": Guidance(
        why="The broker has said when it will answer again. Coming before that prolongs the "
        "limit for everybody with the same credentials.",
        mend="Wait for as long as Retry-After says, or raise at once and leave it to the caller.",
    ),
    "errors.transport": Guidance(
        why="Half an answer is none: a token that was cut off is refused by the API much later.",
        mend="Let errors of transport through, or wrap them; check that the body is complete.",
    ),
    "errors.timeout": Guidance(
        why="Without a timeout, a broker that accepts the connection and then says nothing stops "
        "the whole application.",
        mend="Set a timeout for the token request, in seconds; requests has none by default.",
    ),
    "errors.not-cached": Guidance(
        why="A failure that is remembered makes a short outage a long one.",
        mend="Store successful answers only; reset what was begun when it fails.",
    ),
    "errors.cause": Guidance(
        why="Between invalid_client and temporarily_unavailable lies whom to call at night.",
        mend="Put the status and the members error and error_description into the exception.",
    ),
    "secrecy.secret": Guidance(
        why="Logs and error reports are read by many and kept for years.",
        mend="Leave the secret out of repr, messages and log records; do not put the request's "
        "headers or body into exceptions.",
    ),
    "secrecy.token": Guidance(
        why="A token works for whoever reads it, as long as it lives.",
        mend="Leave the token out of repr, messages and log records, also where an answer is "
        "quoted.",
    ),
    "secrecy.redirect": Guidance(
        why="Whoever can have the token endpoint redirect, or comes by an old domain of it, gets "
        "the client's secret.",
        mend="Follow no redirects of the token endpoint (`allow_redirects=False`), and raise.",
    ),
    "secrecy.files": Guidance(
        why="Other users of the machine can read what is written with the usual permissions.",
        mend="Create the file with mode 0600 (`os.open(…, 0o600)`), in a folder of the user's own, "
        "or keep the token in memory.",
    ),
    "tls.verify": Guidance(
        why="Who does not verify the certificate gives the secret to anybody on the way.",
        mend="Leave verification on (`verify=True`); give a private CA as a file instead of "
        "switching it off.",
    ),
    "lifecycle": Guidance(
        why="Each rule alone may hold and still break after another event: a revocation in an "
        "outage, a shorter lifetime after a longer one.",
        mend="Follow the story: it is the shortest sequence that was found to lead there.",
    ),
}
"""The guidance on every clause of the catalogue, by its id."""
