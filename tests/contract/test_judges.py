"""One defect in a message or a trace, one clause broken; a sound one breaks none."""

from __future__ import annotations

import dataclasses
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockbroker.contract.authentication import recognise
from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.contract.hints import hint_for_api_call, hints_for_token_request
from mockbroker.contract.judging import judge_api_call, judge_token_request, judge_trace
from mockbroker.model.breach import Breach
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.exchange import Endpoint, Exchange, Trace, Use
from mockbroker.model.exchange_text import curl, describe
from mockbroker.model.masking import mask
from mockbroker.model.messages import Headers, Request, Response
from mockbroker.model.profile import AUTOGRAB, RFC6749, Profile
from mockbroker.model.token_request import TokenRequest
from tests.contract.test_hints import FORM, GRANT, ID, KNOWN, RIGHT, SECRET, TOKEN, b64, parsed, raw

PATH = AUTOGRAB.token_path
LINE = f"POST {PATH} HTTP/1.1"
POST = Profile(name="post", client_authentication=("post",))
EITHER = Profile(name="either", client_authentication=("basic", "post"))


def broken(request: Request, profile: Profile = AUTOGRAB, scope: str = "", *known: Credentials):
    expectation = TokenExpectation(profile, PATH, known or (KNOWN,), scope)
    breaches = judge_token_request(TokenRequest.of(request), expectation)
    return {breach.clause_id for breach in breaches}


def with_accept(accept: str) -> Request:
    request = parsed(raw())
    fields = (*request.headers, ("Accept", accept))
    return dataclasses.replace(request, headers=Headers(fields))


def test_right_request_breaks_nothing():
    assert broken(parsed(raw())) == set()


DEFECTS = {
    "GET": (raw(line=f"GET {PATH} HTTP/1.1"), {"request.method"}),
    "PUT": (raw(line=f"PUT {PATH} HTTP/1.1"), {"request.method"}),
    "another path": (raw(line="POST /token HTTP/1.1"), {"request.url"}),
    "a query": (raw(line=f"POST {PATH}?a=1 HTTP/1.1"), {"request.url"}),
    "JSON declared": (raw(content_type="application/json"), {"request.content-type"}),
    "nothing declared": (raw(content_type=None), {"request.content-type"}),
    "JSON sent": (raw(body=b'{"grant_type": "client_credentials"}'), {"request.grant-type"}),
    "another grant": (raw(body=b"grant_type=password"), {"request.grant-type"}),
    "grant twice": (raw(body=GRANT + b"&" + GRANT), {"request.grant-type"}),
    "no body": (raw(body=b""), {"request.grant-type"}),
    "grant in the query": (
        raw(body=b"", line=f"POST {PATH}?grant_type=client_credentials HTTP/1.1"),
        {"request.grant-type"},
    ),
    "extra": (raw(body=GRANT + b"&audience=x"), {"request.no-extra-parameters"}),
    "client_id in the body": (raw(body=GRANT + b"&client_id=x"), {"request.no-extra-parameters"}),
    "scope nobody configured": (raw(body=GRANT + b"&scope=x"), {"request.no-extra-parameters"}),
    "no header": (raw(None), {"basic.scheme"}),
    "in the body only": (
        raw(None, body=GRANT + b"&client_id=client-1&client_secret=x"),
        {"basic.scheme"},
    ),
    "Bearer": (raw(RIGHT.replace("Basic", "Bearer")), {"basic.scheme"}),
    "Bearer and no Base64": (raw("Bearer a.b"), {"basic.scheme"}),
    "Bearer and other Base64": (raw("Bearer abc"), {"basic.scheme"}),
    "no scheme and no Base64": (raw("a.b"), {"basic.scheme"}),
    "no scheme": (raw(b64(f"{ID}:{SECRET}")), {"basic.scheme"}),
    "unpadded": (raw(RIGHT.rstrip("=")), {"basic.base64"}),
    "URL-safe": (raw(RIGHT.replace("+", "-").replace("/", "_")), {"basic.base64"}),
    "wrapped": (raw(RIGHT[:20] + " " + RIGHT[20:]), {"basic.base64"}),
    "plain": (raw(f"Basic {ID}:{SECRET}"), {"basic.base64"}),
    "another secret": (raw("Basic " + b64(f"{ID}:other")), {"basic.credentials"}),
    "line feed": (raw("Basic " + b64(f"{ID}:{SECRET}\n")), {"basic.credentials"}),
    "as well in the body": (raw(body=GRANT + b"&client_secret=x"), {"basic.only"}),
    "as well in the URL": (raw(line=f"POST {PATH}?client_secret=x HTTP/1.1"), {"basic.only"}),
    "refresh token": (raw(body=b"grant_type=refresh_token&refresh_token=x"), set()),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_one_defect_breaks_one_clause(defect):
    request, expected = DEFECTS[defect]
    assert broken(parsed(request)) == expected


def test_repeated_headers_are_told_apart():
    request = parsed(raw())
    twice = Headers((*request.headers, ("Authorization", RIGHT)))
    assert broken(dataclasses.replace(request, headers=twice)) == {"basic.scheme"}
    declared_twice = Headers((*request.headers, ("Content-Type", FORM)))
    assert broken(dataclasses.replace(request, headers=declared_twice)) == {"request.content-type"}


@pytest.mark.parametrize(
    "declared", ["APPLICATION/x-www-form-urlencoded", f"{FORM}; charset=UTF-8", f"{FORM};charset=x"]
)
def test_media_type_in_any_case_and_with_parameters(declared):
    assert broken(parsed(raw(content_type=declared))) == set()


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic"])
def test_basic_in_any_case(scheme):
    assert broken(parsed(raw(RIGHT.replace("Basic", scheme)))) == set()


def test_configured_scope_is_not_extra():
    assert broken(parsed(raw(body=GRANT + b"&scope=a+b")), AUTOGRAB, "a b") == set()
    assert broken(parsed(raw(body=GRANT + b"&scope=b+a")), AUTOGRAB, "a b") == set()
    assert broken(parsed(raw(body=GRANT + b"&scope="))) == set()
    # A client may have no setting for it.
    assert broken(parsed(raw()), AUTOGRAB, "a b") == set()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (f"{PATH}?v=1&t=a%20b", set()),
        (f"{PATH}?t=a%20b&v=1", set()),
        (PATH, {"request.url"}),
        (f"{PATH}?v=1&t=a+b", set()),
        (f"{PATH}?v=1&t=%61%20b", set()),
        (f"{PATH}?v=1&t=a%2Bb", {"request.url"}),
        (f"{PATH}?v=1&t=a%2520b", {"request.url"}),
        (f"{PATH}?v=1", {"request.url"}),
        (f"{PATH}?v=1&t=a%20b&w=2", {"request.url"}),
        (f"{PATH}/?v=1&t=a%20b", {"request.url"}),
        (f"{PATH}?v=1&t=a%20b&client_secret=x", {"basic.only"}),
    ],
)
def test_a_configured_query_stays_in_the_url(target, expected):
    profile = dataclasses.replace(AUTOGRAB, token_query="v=1&t=a%20b")
    assert broken(parsed(raw(line=f"POST {target} HTTP/1.1")), profile) == expected


REQUIRING = Profile(name="requiring", parameters={"audience": "https://a b/", "account": "1"})


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (b"&audience=https://a+b/&account=1", set()),
        (b"&account=1&audience=https%3A%2F%2Fa%20b%2F", set()),
        (b"&account=1", {"request.parameters"}),
        (b"&account=1&audience=", {"request.parameters"}),
        (b"&account=1&audience=https://a+b", {"request.parameters"}),
        (b"&account=1&audience=https://a+b/&audience=https://a+b/", {"request.parameters"}),
        (b"&audience=https://a+b/&account=1&x=1", {"request.no-extra-parameters"}),
    ],
)
def test_what_a_profile_requires_is_sent_once(more, expected):
    request = raw(line=f"POST {REQUIRING.token_path} HTTP/1.1", body=GRANT + more)
    assert broken(parsed(request), REQUIRING) == expected
    assert "request.parameters" not in broken(parsed(request))


def test_a_body_that_is_no_form_breaks_one_clause():
    request = raw(line=f"POST {REQUIRING.token_path} HTTP/1.1", body=b'{"audience": "x"}')
    assert broken(parsed(request), REQUIRING) == {"request.grant-type"}


@pytest.mark.parametrize("scope", [b"scope=a,b", b"scope=a", b"scope=a&scope=b", b"scope=a%2Bb"])
def test_another_scope_than_the_configured_one(scope):
    assert broken(parsed(raw(body=GRANT + b"&" + scope)), AUTOGRAB, "a b") == {"request.scope"}


def test_scopes_are_joined_as_the_profile_says():
    commas = dataclasses.replace(AUTOGRAB, scope_separator=",")
    assert broken(parsed(raw(body=GRANT + b"&scope=a,b")), commas, "a b") == set()
    assert broken(parsed(raw(body=GRANT + b"&scope=a+b")), commas, "a b") == {"request.scope"}


@pytest.mark.parametrize(
    "accept",
    ["*/*", "application/json", "application/*", "text/html, */*;q=0.1", "application/json;q=x"],
)
def test_accept_that_admits_json(accept):
    assert broken(with_accept(accept)) == set()


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "*/*, application/json;q=0", "application/*;q=0.0"]
)
def test_accept_that_rules_json_out(accept):
    assert broken(with_accept(accept)) == {"request.accept"}


def test_non_ascii_credentials_are_judged_by_their_own_clause():
    umlaut = Credentials("client-3", "pässwörd")
    right = raw("Basic " + b64("client-3:pässwörd"))
    wrong = raw("Basic " + b64("client-3:pässwörd".encode("latin-1")))
    assert broken(parsed(right), AUTOGRAB, "", umlaut) == set()
    assert broken(parsed(wrong), AUTOGRAB, "", umlaut) == {"basic.utf8"}


def test_form_encoded_credentials_where_the_profile_wants_them():
    encoded = raw("Basic " + b64(f"{ID}:{quote_plus(SECRET)}"))
    assert broken(parsed(encoded), RFC6749) == set()
    assert broken(parsed(raw()), RFC6749) == {"basic.credentials"}


BODY = GRANT + f"&client_id={ID}&client_secret={quote_plus(SECRET)}".encode()
IN_URL = f"POST {PATH}?client_id={ID}&client_secret=x HTTP/1.1"
POSTED = {
    "right": (raw(None, body=BODY), set()),
    "nothing": (raw(None), {"post.credentials"}),
    "the id alone": (raw(None, body=GRANT + b"&client_id=client-1"), {"post.credentials"}),
    "another secret": (raw(None, body=BODY + b"x"), {"post.credentials"}),
    "the secret twice": (raw(None, body=BODY + b"&client_secret=x"), {"post.credentials"}),
    "in the header instead": (raw(), {"post.credentials"}),
    "in the URL instead": (raw(None, line=IN_URL), {"post.credentials"}),
    "in the header as well": (raw(body=BODY), {"post.only"}),
    "in the URL as well": (raw(None, body=BODY, line=IN_URL), {"post.only"}),
}


@pytest.mark.parametrize("defect", POSTED)
def test_credentials_in_the_body_where_the_profile_takes_them(defect):
    request, expected = POSTED[defect]
    assert broken(parsed(request), POST) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (raw(), set()),
        (raw(None, body=BODY), set()),
        (raw(body=BODY), {"basic.only"}),
        (raw(None), {"basic.scheme"}),
        (raw(None, body=BODY + b"x"), {"post.credentials"}),
        (raw("Basic " + b64(f"{ID}:other")), {"basic.credentials"}),
    ],
)
def test_a_profile_may_take_either_method_and_one_at_a_time(request_, expected):
    assert broken(parsed(request_), EITHER) == expected
    reverse = dataclasses.replace(EITHER, client_authentication=("post", "basic"))
    moved = {"basic.scheme": "post.credentials", "basic.only": "post.only"}
    assert broken(parsed(request_), reverse) == {moved.get(name, name) for name in expected}


@pytest.mark.parametrize(
    "request_", [raw(), raw("Basic " + b64(f"{ID}:wrong")), raw(None, body=b"client_id=client-1")]
)
def test_client_is_recognised_however_badly_it_says_so(request_):
    expectation = TokenExpectation(AUTOGRAB, PATH, (Credentials("other", "x"), KNOWN))
    assert recognise(TokenRequest.of(parsed(request_)), expectation) == KNOWN


def test_nobody_is_recognised_in_nothing():
    expected = TokenExpectation(AUTOGRAB, PATH, (KNOWN,))
    assert recognise(TokenRequest.of(parsed(raw(None))), expected) is None


def call(*values: str, target: str = "/v2/vehicle/1", body: bytes = b"") -> Request:
    return Request("GET", target, Headers.of(("Authorization", v) for v in values), body)


SIGNED = f"Bearer {TOKEN}"
CALLS = {
    "right": (call(SIGNED), set()),
    "a token of nobody": (call("Bearer unknown-token"), set()),
    "no header": (call(), {"signing.bearer"}),
    "two headers": (call(SIGNED, SIGNED), {"signing.bearer"}),
    "lower case": (call(f"bearer {TOKEN}"), {"signing.bearer"}),
    "two spaces": (call(f"Bearer  {TOKEN}"), {"signing.bearer"}),
    "quoted": (call(f'Bearer "{TOKEN}"'), {"signing.bearer"}),
    "None": (call("Bearer None"), {"signing.bearer"}),
    "no scheme": (call(TOKEN), {"signing.bearer"}),
    "in the URL too": (call(SIGNED, target=f"/v2?t={TOKEN}"), {"signing.header-only"}),
    "named in the URL": (call(SIGNED, target="/v2?access_token=x"), {"signing.header-only"}),
    "in the body too": (call(SIGNED, body=TOKEN.encode()), {"signing.header-only"}),
    "credentials in a header": (
        dataclasses.replace(
            call(SIGNED), headers=Headers.of([("Authorization", SIGNED), ("X-Auth", RIGHT)])
        ),
        {"signing.no-credentials"},
    ),
    "secret in the body": (call(SIGNED, body=SECRET.encode()), {"signing.no-credentials"}),
}


@pytest.mark.parametrize("defect", CALLS)
def test_one_defect_of_a_call_breaks_one_clause(defect):
    request, expected = CALLS[defect]
    breaches = judge_api_call(request, ApiExpectation({TOKEN}, (KNOWN,)))
    assert {breach.clause_id for breach in breaches} == expected


# Traces


def token(number: int, issued_at: float = 0.0, expires_in: float = 3599) -> AccessToken:
    return AccessToken(f"token-{number}", number, "http://b", KNOWN, "", issued_at, expires_in)


def fetched(number: int, issued: AccessToken, use: int | None = None) -> Exchange:
    return exchange(number, Endpoint.TOKEN, issued.issued_at, parsed(raw()), issued, use=use)


def called(number: int, presented: AccessToken, at: float, use: int | None = None) -> Exchange:
    expired = at >= presented.expires_at
    state = TokenState.EXPIRED if expired else TokenState.VALID
    return exchange(number, Endpoint.API, at, call("Bearer x"), presented, state=state, use=use)


def exchange(number, endpoint, at, request, of=None, *, state=None, use=None, status=200):
    return Exchange(
        number=number,
        endpoint=endpoint,
        origin="http://127.0.0.1",
        received_at=at,
        answered_at=at,
        request=request,
        response=Response(status),
        token=of,
        token_state=state,
        use=use,
        credentials=KNOWN,
    )


def clauses(*exchanges: Exchange, uses: tuple[Use, ...] = ()) -> list[str]:
    return [breach.clause_id for breach in judge_trace(Trace(exchanges, uses))]


def test_breaches_of_messages_are_breaches_of_the_trace():
    seen = dataclasses.replace(fetched(1, token(1)), breaches=(Breach("request.url", "a", "b"),))
    assert clauses(seen) == ["request.url"]


def one_each(count: int, use: bool = False) -> list[Exchange]:
    """A story in which each token is fetched, and carried by one call."""
    story = []
    for n in range(1, count + 1):
        story.append(fetched(2 * n, token(n, n), n if use else None))
        story.append(called(2 * n + 1, token(n, n), n, n if use else None))
    return story


def test_token_for_each_call_is_wasteful():
    assert clauses(*one_each(3, use=True)) == ["cache.reuse"]
    assert clauses(*one_each(2, use=True)) == []


def test_observed_waste_is_more_than_each_worker_fetching_a_token_of_its_own():
    assert clauses(*one_each(10)) == ["cache.reuse"]
    assert clauses(*one_each(9)) == []


def test_observed_client_that_uses_any_token_twice_is_not_wasteful():
    assert clauses(*one_each(12), called(50, token(12, 12), 13)) == []


def test_tokens_fetched_side_by_side_and_used_afterwards_are_not_wasteful():
    fetches = [fetched(n, token(n, 0)) for n in range(1, 21)]
    assert clauses(*fetches, *(called(20 + n, token(n, 0), 1) for n in range(1, 21))) == []


def test_processes_that_each_keep_a_token_are_not_wasteful():
    tokens = [token(n, n) for n in (1, 2, 3, 4)]
    fetches = [fetched(n, each) for n, each in enumerate(tokens)]
    calls = [called(10 + n, each, 10) for n, each in enumerate(tokens * 5)]
    assert clauses(*fetches, *calls) == []


def test_short_lifetimes_may_be_fetched_for_each_call():
    story = []
    for n in range(6):
        short = token(n, n, expires_in=5)
        story += [fetched(2 * n, short), called(2 * n + 1, short, n)]
    assert clauses(*story) == []


def test_expired_token_is_a_breach():
    old = token(1, 0, expires_in=60)
    assert clauses(fetched(1, old), called(2, old, 59.9)) == []
    assert clauses(fetched(1, old), called(2, old, 60)) == ["refresh.honours-expires-in"]


def test_observed_call_may_come_as_late_as_messages_take_their_time():
    old = token(1, 0, expires_in=60)
    assert clauses(fetched(1, old), called(2, old, 60.9)) == []
    assert clauses(fetched(1, old), called(2, old, 61)) == ["refresh.honours-expires-in"]
    assert clauses(fetched(1, old, 1), called(2, old, 60.9, 2)) == ["refresh.honours-expires-in"]


def test_token_fetched_in_the_same_use_is_not_held_against_the_client():
    dead = token(1, -60, expires_in=60)
    assert clauses(fetched(1, dead, use=1), called(2, dead, 0, use=1)) == []
    later = called(3, dead, 0, use=2)
    assert clauses(fetched(1, dead, use=1), later) == ["refresh.honours-expires-in"]


def test_observed_first_presentation_of_a_dead_token_is_not_held_against_the_client():
    dead = token(1, 0, expires_in=0.1)
    first = (fetched(1, dead), called(2, dead, 0.5))
    assert clauses(*first) == []
    again = called(3, dead, 5)
    assert clauses(*first, again) == ["refresh.honours-expires-in"]


def test_token_without_a_lifetime_belongs_to_another_clause():
    dead = token(1, 0, expires_in=0)
    assert clauses(fetched(1, dead), called(2, dead, 0), called(3, dead, 5)) == []


def test_expired_token_that_get_token_returns_is_a_breach():
    old = token(1, 0, expires_in=60)
    use = Use(
        number=2,
        operation="get_token",
        started_at=61,
        ended_at=61,
        token=old,
        token_state=TokenState.EXPIRED,
    )
    assert clauses(fetched(1, old, use=1), uses=(use,)) == ["refresh.honours-expires-in"]


def test_refresh_token_is_another_grant():
    request = parsed(raw(body=b"grant_type=refresh_token&refresh_token=x"))
    assert clauses(exchange(1, Endpoint.TOKEN, 0, request)) == ["refresh.offered-refresh-token"]


def test_refresh_by_what_was_never_offered_is_another_breach():
    old = token(1, 0)
    for sent in ("", old.value):
        request = parsed(raw(body=f"grant_type=refresh_token&refresh_token={sent}".encode()))
        again = exchange(2, Endpoint.TOKEN, 0, request)
        assert clauses(fetched(1, old), again) == ["refresh.same-grant"]


def unsigned(number: int, use: int | None = None, status: int = 401) -> Exchange:
    """A call without a token, as the broker records it."""
    seen = exchange(number, Endpoint.API, 0, call(), use=use, status=status)
    expected = ApiExpectation({TOKEN}, (KNOWN,))
    return dataclasses.replace(seen, breaches=judge_api_call(seen.request, expected))


def test_unsigned_call_that_is_repeated_with_a_token_breaks_no_clause():
    known = token(1)
    assert clauses(unsigned(1), fetched(2, known), called(3, known, 0)) == []
    assert clauses(fetched(1, known), unsigned(2, 5), called(3, known, 0, 5)) == []
    assert clauses(unsigned(1), refused(2, 0)) == []


def test_unsigned_call_that_is_given_up_is_a_breach():
    known = token(1)
    assert clauses(unsigned(1)) == ["signing.bearer"]
    assert clauses(unsigned(1), fetched(2, known), unsigned(3)) == ["signing.bearer"]
    assert clauses(unsigned(1, 1), unsigned(2, 1), called(3, known, 0, 1)) == ["signing.bearer"]
    assert clauses(unsigned(1, 1), called(2, known, 0, 2)) == ["signing.bearer"]


def test_unsigned_call_is_not_judged_before_the_api_asks_for_a_token():
    assert clauses(unsigned(1, status=503)) == []


def refused(number: int, at: float, use: int | None = None, status: int = 401) -> Exchange:
    return exchange(number, Endpoint.TOKEN, at, parsed(raw()), use=use, status=status)


def test_asking_again_after_a_final_refusal_is_hammering():
    assert clauses(refused(1, 0, 1), refused(2, 0, 1)) == ["errors.no-hammering"]
    assert clauses(refused(1, 0, 1), refused(2, 0, 2)) == []
    assert clauses(refused(1, 0, 1, 503), refused(2, 0, 1, 503)) == []


def test_observed_hammering_is_a_series_within_a_second():
    assert clauses(*(refused(n, n / 10) for n in range(10))) == ["errors.no-hammering"]
    assert clauses(*(refused(n, n / 10) for n in range(9))) == []
    assert clauses(*(refused(n, n * 10) for n in range(20))) == []


# Whatever comes over the wire

latin_1 = st.characters(max_codepoint=255)
anything = st.builds(
    Request,
    st.text(latin_1, max_size=8),
    st.text(latin_1, max_size=40),
    st.lists(
        st.tuples(
            st.sampled_from(["Authorization", "Content-Type", "Accept", "X"]),
            st.text(latin_1, max_size=60) | st.sampled_from(["Basic ", "Bearer ", RIGHT, SIGNED]),
        ),
        max_size=4,
    ).map(Headers.of),
    st.binary(max_size=80) | st.sampled_from([b"{" * 3000, b"[" * 3000, GRANT]),
)


@given(anything, st.sampled_from([AUTOGRAB, RFC6749, POST, EITHER]))
def test_nothing_that_comes_over_the_wire_upsets_a_judge(request, profile):
    expectation = TokenExpectation(profile, PATH, (KNOWN,))
    api = ApiExpectation({TOKEN}, (KNOWN,))
    parts = TokenRequest.of(request)
    breaches = judge_token_request(parts, expectation) + judge_api_call(request, api)
    assert all(breach.clause_id and breach.expected for breach in breaches)
    said = "".join(hints_for_token_request(parts, expectation)) + hint_for_api_call(request, api)
    seen = exchange(1, Endpoint.TOKEN, 0, request)
    shown = said + describe(seen) + curl(request, str)
    assert SECRET not in mask(shown, (KNOWN,), {TOKEN})
