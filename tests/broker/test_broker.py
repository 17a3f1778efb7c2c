"""The broker as its users see it: over HTTP, and by what it remembers."""

from __future__ import annotations

import base64
import json
import time

import freezegun
import pytest
import requests

from mockbroker import Broker, Clock, Credentials, Fault, Level, Profile, TokenAnswer, TokenState
from tests.broker.stores import BOTH

STORES = BOTH

SHOP = ("shop", "s3cr:et")
GRANT = {"grant_type": "client_credentials"}


def get_token(broker: Broker, pair: tuple[str, str] = SHOP) -> str:
    answer = requests.post(broker.token_url, data=GRANT, auth=pair, timeout=5)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token


def call(broker: Broker, token: str, path: str = "/vehicle/12") -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(broker.api_url + path, headers=headers, timeout=5)


def post(broker: Broker, **kwargs: object) -> requests.Response:
    return requests.post(broker.token_url, **{"data": GRANT, "timeout": 5, **kwargs})


def test_the_documented_answer(broker):
    answer = post(broker, auth=SHOP)
    body = answer.json()
    assert len(body.pop("access_token")) >= 32
    assert body == {"expires_in": 3599, "scope": "", "token_type": "bearer"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_both_spellings_of_the_token_path_are_right(broker):
    short = broker.token_url.replace("/auth-broker", "")
    assert requests.post(short, data=GRANT, auth=SHOP, timeout=5).status_code == 200
    assert broker.token_requests[0].breaches == ()


@pytest.mark.parametrize(
    ("request_kwargs", "status", "error"),
    [
        ({}, 401, "invalid_client"),
        ({"auth": ("shop", "wrong")}, 401, "invalid_client"),
        ({"auth": ("nobody", "s3cr:et")}, 401, "invalid_client"),
        ({"auth": SHOP, "data": {}}, 400, "invalid_request"),
        ({"auth": SHOP, "data": {"grant_type": "password"}}, 400, "unsupported_grant_type"),
        ({"auth": SHOP, "data": {"grant_type": "refresh_token"}}, 400, "unsupported_grant_type"),
        ({"auth": SHOP, "data": None, "json": GRANT}, 400, "invalid_request"),
        ({"auth": SHOP, "params": {"a": "b"}}, 400, "invalid_request"),
    ],
)
def test_a_strict_broker_refuses_with_the_error_that_fits(broker, request_kwargs, status, error):
    answer = post(broker, **request_kwargs)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert broker.token_requests[0].token is None


def test_another_method_is_not_allowed(broker):
    answer = requests.get(broker.token_url, auth=SHOP, timeout=5)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_refusal_separates_breaches_by_semicolons_and_their_parts_by_commas(broker):
    refused = requests.get(broker.token_url, timeout=5).json()["error_description"]
    breaches = refused.split("; ")
    assert breaches[0] == "the client requested a token by GET, expected POST"
    assert breaches[-1] == (
        "the Authorization header is missing, expected one Authorization header with scheme Basic"
    )
    assert all(breach.count(", expected ") == 1 for breach in breaches)


def test_a_refusal_hints_at_the_likely_mistake_and_echoes_no_secret(broker):
    broken = base64.b64encode(b"shop\n:s3cr:et").decode()
    answer = post(broker, headers={"Authorization": f"Basic {broken}"})
    assert answer.status_code == 401
    assert "line feed" in answer.json()["hint"]
    assert "s3cr:et" not in answer.text
    assert broken not in answer.text
    description = answer.json()["error_description"]
    assert all(" " <= c <= "~" and c not in '"\\' for c in description)


def test_a_lenient_broker_notes_what_is_wrong_and_answers(lenient):
    answer = requests.post(lenient.token_url + "/?a=b", json={}, timeout=5)
    assert answer.status_code == 200
    ids = {breach.clause_id for breach in lenient.token_requests[0].breaches}
    assert {"request.url", "request.content-type", "basic.scheme"} <= ids
    assert all(breach.exchanges == (1,) for breach in lenient.token_requests[0].breaches)


def test_a_lenient_broker_issues_to_the_client_that_it_recognises(lenient):
    other = lenient.register("other", "secret-of-other")
    encoded = base64.urlsafe_b64encode(b"other:secret-of-other").decode().rstrip("=")
    post(lenient, headers={"Authorization": f"basic {encoded}"})
    assert lenient.token_requests[0].token.credentials == other


def test_a_valid_token_buys_a_plausible_answer(broker):
    answer = call(broker, get_token(broker), "/vehicle/1111111111111111?region=uk")
    assert answer.status_code == 200
    assert answer.json()["vehicle"]["id"] == "1111111111111111"
    assert answer.json()["success"] is True
    assert broker.api_calls[0].token_state is TokenState.VALID


def test_a_token_is_valid_while_its_lifetime_lasts(broker):
    broker.expires_in = 60
    token = get_token(broker)
    broker.clock.advance(59)
    assert call(broker, token).status_code == 200
    broker.clock.advance(1.1)
    answer = call(broker, token)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert "expired" in answer.json()["message"]
    assert [e.token_state for e in broker.api_calls] == [TokenState.VALID, TokenState.EXPIRED]


def test_the_very_second_of_expiry_is_too_late(broker):
    with freezegun.freeze_time("2026-01-01", real_asyncio=True) as frozen:
        broker.expires_in = 60
        token = get_token(broker)
        frozen.tick(60)
        assert call(broker, token).status_code == 401


def test_a_revoked_token_is_refused_and_later_ones_are_not(broker):
    old = get_token(broker)
    broker.revoke_tokens()
    assert "revoked" in call(broker, old).json()["message"]
    assert call(broker, get_token(broker)).status_code == 200


def test_an_unknown_and_a_missing_token_are_told_apart(broker):
    assert 'error="invalid_token"' in call(broker, "abc").headers["WWW-Authenticate"]
    missing = requests.get(broker.api_url + "/x", timeout=5)
    assert missing.status_code == 401
    assert "error=" not in missing.headers["WWW-Authenticate"]


@pytest.mark.parametrize("header", ["ApiKey {}", 'Bearer "{}"', "Bearer  {}", "{}"])
def test_a_token_presented_badly_is_refused_strictly_and_noted_leniently(header, broker, lenient):
    for one, status in ((broker, 401), (lenient, 200)):
        headers = {"Authorization": header.format(get_token(one))}
        assert requests.get(one.api_url + "/x", headers=headers, timeout=5).status_code == status
        assert "signing.bearer" in {b.clause_id for b in one.api_calls[0].breaches}


def test_a_lenient_broker_answers_an_expired_token_but_no_revoked_one(lenient):
    token = get_token(lenient)
    lenient.clock.advance(4000)
    assert call(lenient, token).status_code == 200
    assert lenient.api_calls[0].token_state is TokenState.EXPIRED
    lenient.revoke_tokens()
    assert call(lenient, token).status_code == 401


def test_calls_outside_the_agreed_endpoints_are_forbidden(broker):
    broker.agreed_paths = ("/vehicle",)
    token = get_token(broker)
    assert call(broker, token, "/vehicle/1").status_code == 200
    assert call(broker, token, "/vehicles").status_code == 403
    assert call(broker, token, "/other").status_code == 403


def test_faults_are_played_in_order_and_counted(broker):
    broker.script(Fault.status(503, retry_after=5).times(2), Fault.status(400, body="no"))
    answers = [post(broker, auth=SHOP) for _ in range(4)]
    assert [a.status_code for a in answers] == [503, 503, 400, 200]
    assert answers[0].headers["Retry-After"] == "5"
    assert answers[2].text == "no"
    assert [e.fault for e in broker.token_requests] == ["status 503"] * 2 + ["status 400", None]


def test_faults_of_different_kinds_compose(broker):
    broker.script(Fault.members(expires_in="60", omit=("scope",)) & Fault.content_type("text/html"))
    answer = post(broker, auth=SHOP)
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.json()["expires_in"] == "60"
    assert "scope" not in answer.json()


def test_invalid_json_is_no_json(broker):
    broker.script(Fault.invalid_json())
    with pytest.raises(requests.exceptions.JSONDecodeError):
        post(broker, auth=SHOP).json()


def test_latency_moves_the_clock_between_issue_and_answer(broker):
    broker.script(Fault.latency(10))
    get_token(broker)
    exchange = broker.token_requests[0]
    assert 10 <= exchange.answered_at - exchange.token.issued_at < 15


def test_a_redirect_names_its_location(broker):
    broker.script(Fault.redirect("http://127.0.0.1:9/elsewhere"))
    answer = post(broker, auth=SHOP, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, "http://127.0.0.1:9/elsewhere")


def test_the_api_has_a_script_of_its_own(broker):
    broker.api_script(Fault.status(429), Fault.status(401))
    token = get_token(broker)
    first, second, third = call(broker, token), call(broker, token), call(broker, token)
    assert (first.status_code, first.headers["Rate-Limit-Remaining"]) == (429, "0")
    assert 'error="invalid_token"' in second.headers["WWW-Authenticate"]
    assert third.status_code == 200


def test_the_token_answer_can_be_worded_differently(broker):
    broker.token_answer = TokenAnswer(
        members={"access_token": "ab~c", "extra": [1]},
        omit=("expires_in",),
        render=lambda members: json.dumps(dict(reversed(members.items())), indent=3).encode(),
        content_type="application/json; charset=utf-8",
    )
    answer = post(broker, auth=SHOP)
    assert list(answer.json()) == ["extra", "token_type", "scope", "access_token"]
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


def test_token_values_can_be_given(broker):
    broker.token_values = iter(["a", "b.~+/=="]).__next__
    assert [get_token(broker), get_token(broker)] == ["a", "b.~+/=="]
    assert call(broker, "b.~+/==").status_code == 200


def test_registering_again_rotates_the_secret(broker):
    broker.register("shop", "new")
    assert post(broker, auth=SHOP).status_code == 401
    assert get_token(broker, ("shop", "new"))


def test_credentials_of_a_wrong_type_are_refused_without_showing_them(new_broker):
    with pytest.raises(TypeError) as caught:
        new_broker(credentials=("shop", "s3cr:et"))
    message = "credentials must be Credentials(client_id, client_secret), not of type tuple"
    assert str(caught.value) == message


def test_a_broker_as_a_context_manager_says_what_to_write(new_broker):
    with pytest.raises(TypeError) as caught, new_broker():
        pass
    assert str(caught.value).endswith("write `with Broker(...).running() as broker:`")


def test_a_client_id_with_a_colon_is_refused(broker):
    with pytest.raises(ValueError, match="colon"):
        broker.register("a:b", "secret")


def test_reset_returns_to_the_beginning(broker):
    token = get_token(broker)
    broker.script(Fault.status(503))
    broker.api_script(Fault.status(503))
    broker.expires_in, broker.strict, broker.scope = 5, False, "read"
    broker.register("other", "x")
    broker.clock.advance(100)
    broker.current_use = 7
    broker.reset()
    assert len(broker.journal) == 0
    assert call(broker, token).status_code == 401
    assert get_token(broker)
    assert broker.token_requests[0].token.number == 1
    assert broker.token_requests[0].token.expires_in == 3599
    assert broker.registered == (broker.credentials,)
    assert broker.current_use is None
    assert post(broker, auth=("other", "x")).status_code == 401


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("credentials", Credentials("other", "x")),
        ("expires_in", 5),
        ("strict", False),
        ("scope", "read"),
        ("token_answer", TokenAnswer(omit=("scope",))),
        ("token_values", lambda: "t"),
        ("agreed_paths", ("/vehicle",)),
        ("current_use", 7),
    ],
)
def test_a_setting_holds_until_the_broker_is_reset(broker, setting, value):
    before = getattr(broker, setting)
    setattr(broker, setting, value)
    assert getattr(broker, setting) == value
    broker.reset()
    assert getattr(broker, setting) == before


def test_what_is_under_way_can_wait_again_once_the_broker_is_mounted_again(new_broker):
    broker = new_broker()
    with broker.running():
        pass
    broker.script(Fault.delay(0.2))
    with broker.running():
        began = time.monotonic()
        assert post(broker).status_code == 401
        assert time.monotonic() - began >= 0.2


def test_a_valid_token_in_two_places_is_an_invalid_request(broker):
    token = get_token(broker)
    answer = call(broker, token, f"/vehicle/12?access_token={token}")
    assert answer.status_code == 400
    assert 'error="invalid_request"' in answer.headers["WWW-Authenticate"]
    assert token not in answer.text


def test_a_clock_that_was_given_is_left_alone(new_broker):
    clock = Clock()
    clock.advance(1000)
    before = clock.now()
    new_broker(clock=clock).reset()
    assert clock.now() >= before


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_the_clock_only_moves_forward(seconds):
    with pytest.raises(ValueError, match="forward"):
        Clock().advance(seconds)


def test_a_broker_answers_after_the_year_9999(broker):
    broker.clock.advance(1e300)
    body = {"grant_type": "client_credentials"}
    answer = requests.post(broker.token_url, body, auth=broker.auth, timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Date"] == "Fri, 31 Dec 9999 23:59:59 GMT"


def test_conforming_traffic_conforms(broker):
    session = requests.Session()
    session.headers["Accept"] = "application/json"
    session.post(broker.token_url, data=GRANT, auth=SHOP, timeout=5)
    broker.assert_conforms(fail_on=Level.PRACTICE)
    session.close()


def test_nothing_seen_does_not_conform(broker):
    call(broker, "unknown")
    with pytest.raises(AssertionError, match=r"no token request.*1 API call"):
        broker.assert_conforms()


def test_a_breach_is_shown_with_its_exchange_and_without_secrets(broker):
    token = get_token(broker)
    broker.clock.advance(4000)
    call(broker, token)
    with pytest.raises(AssertionError, match=r"refresh\.honours-expires-in") as caught:
        broker.assert_conforms()
    assert "GET /v2/vehicle/12" in str(caught.value)
    assert token not in str(caught.value)
    assert "s3cr:et" not in str(caught.value)


def test_a_failed_assertion_says_what_was_seen_and_what_was_never_reached(broker):
    requests.get(broker.token_url, timeout=5)
    for _ in range(2):
        call(broker, get_token(broker))
    with pytest.raises(AssertionError, match=r"request\.method") as caught:
        broker.assert_conforms()
    said = str(caught.value)
    assert "seen: 3 token requests, 2 API calls, 2 tokens\n" in said
    assert said.splitlines()[-4:] == [
        "basic.utf8: never reached: no credentials beyond ASCII were seen",
        "cache.reuse: never reached: no valid token was seen in two calls",
        "refresh.honours-expires-in: never reached: no client was seen to outlast a token",
        "errors.no-hammering: never reached: no final refusal was seen on its own",
    ]


def test_a_failed_assertion_says_what_the_journal_forgot(new_broker):
    with new_broker(credentials=Credentials(*SHOP), journal_size=2).running() as broker:
        for _ in range(3):
            requests.get(broker.token_url, timeout=5)
        with pytest.raises(AssertionError, match="1 exchange before was forgotten"):
            broker.assert_conforms()


def test_an_assertion_that_holds_warns_of_what_the_journal_forgot(new_broker):
    with new_broker(credentials=Credentials(*SHOP), journal_size=2).running() as broker:
        for _ in range(3):
            post(broker, auth=SHOP, data=GRANT)
        with pytest.warns(UserWarning, match="1 exchange before was forgotten") as warned:
            broker.assert_conforms()
    assert warned[0].filename == __file__


def test_a_should_breach_fails_only_if_asked_to(lenient):
    post(lenient, auth=SHOP, data={**GRANT, "audience": "x"})
    lenient.assert_conforms()
    with pytest.raises(AssertionError, match="no-extra-parameters"):
        lenient.assert_conforms(fail_on=Level.SHOULD)


def test_the_rfc6749_profile_form_encodes_the_credentials(new_broker):
    pair = Credentials("a b", "c:d%")
    with new_broker(profile="rfc6749", credentials=pair).running() as broker:
        assert get_token(broker, ("a+b", "c%3Ad%25"))
        assert post(broker, auth=("a b", "c:d%")).status_code == 401


def test_a_profile_with_post_authentication_expects_the_body(new_broker):
    profile = Profile(name="acme", client_authentication=("post",), token_path="/t", scope="read")
    pair = Credentials("shop", "s3cr:et")
    with new_broker(profile=profile, credentials=pair).running() as broker:
        data = {**GRANT, "client_id": "shop", "client_secret": "s3cr:et"}
        assert requests.post(broker.token_url, data=data, timeout=5).json()["scope"] == "read"
        assert post(broker, auth=SHOP).status_code == 401


def test_a_token_url_may_have_a_slash_at_its_end_and_a_query(new_broker):
    profile = Profile(name="acme", token_path="/o/to%20ken;v=1/", token_query="api-version=1")
    pair = Credentials("shop", "s3cr:et")
    with new_broker(profile=profile, credentials=pair).running() as broker:
        assert broker.token_url.endswith("/o/to%20ken;v=1/?api-version=1")
        assert post(broker, auth=SHOP).status_code == 200
        for changed in ("/o/to%20ken;v=1/", "/o/to%20ken/?api-version=1", "/o/to%20ken;v=1/?a=1"):
            url = broker.token_url.replace("/o/to%20ken;v=1/?api-version=1", changed)
            refused = requests.post(url, data=GRANT, auth=SHOP, timeout=5)
            assert refused.json()["error"] == "invalid_request"
            assert "as configured" in refused.json()["error_description"]


def test_another_scope_than_the_configured_one_is_refused(broker):
    broker.scope = "read write"
    refused = post(broker, auth=SHOP, data={**GRANT, "scope": "read,write"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    assert post(broker, auth=SHOP, data={**GRANT, "scope": "write read"}).status_code == 200


def test_a_missing_parameter_is_refused_with_a_hint(new_broker):
    profile = Profile(name="acme", parameters={"audience": "https://api/", "account_id": "7"})
    pair = Credentials("shop", "s3cr:et")
    with new_broker(profile=profile, credentials=pair).running() as broker:
        refused = post(broker, auth=SHOP, data={**GRANT, "account_id": "7"})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
        assert refused.json()["hint"] == (
            "profile acme requires audience=https://api/ in the body of the token request"
        )
        assert post(broker, auth=SHOP, data={**GRANT, **profile.parameters}).status_code == 200


def test_a_path_that_is_nowhere_says_where_things_are(broker):
    answer = requests.get(broker.api_url.replace("/v2", "/nowhere"), timeout=5)
    assert answer.status_code == 404
    assert "/auth-broker/request-token" in answer.json()["message"]
    assert broker.journal[0].endpoint == "elsewhere"


def test_a_profile_with_jwts_issues_them_with_their_expiry(new_broker):
    profile = Profile(name="acme", token_format="jwt", expires_in=60)
    pair = Credentials("shop", "s3cr:et")
    with new_broker(profile=profile, credentials=pair).running() as broker:
        token = get_token(broker)
        _, claims, _ = token.split(".")
        told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        assert (told["sub"], told["exp"] - told["iat"]) == ("shop", 60)
        assert told["iss"] == broker.token_url.removesuffix(profile.token_path)
        assert call(broker, token).status_code == 200


def test_no_answer_repeats_a_secret_or_a_token(broker):
    token = get_token(broker)
    for value in (token, "s3cr:et"):
        odd = post(broker, auth=SHOP, data={"grant_type": value})
        nowhere = requests.get(broker.token_url.split("/auth")[0] + f"/x/{value}", timeout=5)
        broker.strict, broker.agreed_paths = False, ("/vehicles",)
        forbidden = call(broker, token, f"/{value}")
        broker.reset()
        token = get_token(broker)
        for answer, status in ((odd, 400), (nowhere, 404), (forbidden, 403)):
            assert answer.status_code == status
            assert value not in answer.text


@pytest.mark.parametrize("lifetime", [-1, float("nan"), float("inf"), True, "60", None, 10**400])
def test_a_lifetime_is_a_finite_number_of_seconds(lifetime, new_broker):
    broker = new_broker(expires_in=60)
    with pytest.raises(ValueError, match="expires_in must be a finite number of seconds"):
        broker.expires_in = lifetime
    assert broker.expires_in == 60
    if lifetime is not None:
        with pytest.raises(ValueError, match="expires_in must be a finite number of seconds"):
            new_broker(expires_in=lifetime)


@pytest.mark.parametrize("pair", [(1, "secret"), ("shop", None), (b"shop", "secret")])
def test_credentials_are_texts(pair, new_broker):
    with pytest.raises(TypeError, match=r"client_(id|secret) must be a str, not of type"):
        new_broker().register(*pair)


def test_a_reset_restores_the_credentials_and_ends_subscriptions(broker):
    heard = []
    broker.journal.subscribe(heard.append)
    broker.credentials = Credentials("other", "another")
    broker.register("shop", "changed")
    broker.reset()
    assert broker.credentials == Credentials(*SHOP)
    assert broker.registered == (Credentials(*SHOP),)
    get_token(broker)
    assert heard == []


def test_a_token_policy_is_one_of_three(broker):
    assert broker.token_policy == "new"
    with pytest.raises(ValueError, match="must be new, same, single or refuse, not 'old'"):
        broker.token_policy = "old"


def test_a_broker_that_is_not_mounted_has_no_idle_connections(new_broker):
    broker = new_broker()
    broker.close_idle_connections()
    assert broker.journal.total == 0


def test_auth_is_the_pair_of_the_clients_credentials(broker):
    assert broker.auth == ("shop", "s3cr:et")
    answer = requests.post(
        broker.token_url, {"grant_type": "client_credentials"}, auth=broker.auth, timeout=5
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("expire_in", 5, "a broker has no attribute expire_in to set; did you mean expires_in?"),
        ("Strict", False, "did you mean strict?"),
        ("credential", None, "did you mean credentials?"),
        ("zzzz", 1, "a broker has no attribute zzzz to set; there are agreed_paths, credentials"),
        ("script", Fault.status(503), r"script is a method of the broker; call it: script\(…\)"),
    ],
)
def test_an_unknown_attribute_cannot_be_set(broker, name, value, words):
    with pytest.raises(AttributeError, match=words):
        setattr(broker, name, value)


def test_a_method_may_be_replaced_by_a_function(broker, monkeypatch):
    monkeypatch.setattr(broker, "masked", lambda text: "masked " + text)
    assert broker.masked("it") == "masked it"


def test_a_class_of_a_tests_own_may_have_further_attributes():
    class Recorded(Broker):
        note: str

    broker = Recorded()
    broker.note = "mine"
    assert (broker.note, broker.strict) == ("mine", True)
