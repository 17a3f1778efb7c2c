"""Silence on a clause means that it is kept only if its precondition was met."""

from __future__ import annotations

import dataclasses

import pytest

from mockbroker.contract.judging import (
    PASSIVE_CLAUSES,
    met_preconditions,
    unmet_preconditions,
)
from mockbroker.model.credentials import Credentials
from mockbroker.model.exchange import Endpoint, Exchange, Trace
from mockbroker.model.messages import Headers
from mockbroker.model.profile import AUTOGRAB, Profile
from tests.contract.test_hints import GRANT, ID, SECRET, b64, parsed, raw
from tests.contract.test_judges import LINE, called, exchange, fetched, refused, token

UMLAUT = Credentials("shop", "pässwörd")
FIRST, SECOND = token(1, 0, expires_in=60), token(2, 60, expires_in=60)
GET = LINE.replace("POST", "GET")

EVERY_REQUEST = {"request.method", "request.accept", "basic.scheme"}
WITH_BODY = EVERY_REQUEST | {"request.url", "request.content-type", "request.grant-type"}
WITH_FORM = WITH_BODY | {"request.no-extra-parameters"}
GOOD = WITH_FORM | {"basic.base64", "basic.credentials", "basic.only"}
SIGNED = {"signing.bearer", "signing.header-only", "signing.no-credentials"}
AGAIN = {"refresh.same-grant", "refresh.offered-refresh-token"}
IN_TIME = "refresh.honours-expires-in"
POST = Profile(name="post", client_authentication=("post",))
PASSIVE_IDS = {clause.id for clause in PASSIVE_CLAUSES if not clause.applies_to(AUTOGRAB)}
POSTED_IDS = {clause.id for clause in PASSIVE_CLAUSES if not clause.applies_to(POST)}


def asked(request: bytes, **changed: object) -> Exchange:
    return dataclasses.replace(exchange(1, Endpoint.TOKEN, 0, parsed(request)), **changed)


def unsigned() -> Exchange:
    call = called(2, FIRST, 1)
    bare = dataclasses.replace(call.request, headers=Headers())
    return dataclasses.replace(call, request=bare, token=None, credentials=None)


BODY = GRANT + f"&client_id={ID}&client_secret={SECRET}".encode()
BEFORE_EXPIRY, WELL_BEFORE = 55, 30
SEEN = {
    "nothing": ([], set()),
    "calls without a token": ([unsigned()], set()),
    "a GET": ([asked(raw(None, line=GET, body=b""))], EVERY_REQUEST),
    "a GET with credentials": (
        [asked(raw(line=GET, body=b""))],
        EVERY_REQUEST | {"basic.base64", "basic.credentials", "basic.only"},
    ),
    "no body": ([asked(raw(None, body=b""))], WITH_BODY),
    "JSON": ([asked(raw(None, body=b'{"a": 1}'))], WITH_BODY),
    "no credentials": ([asked(raw(None))], WITH_FORM),
    "another scheme": ([asked(raw("Bearer YTpi"))], WITH_FORM),
    "no Base64": ([asked(raw("Basic ***"))], WITH_FORM | {"basic.base64"}),
    "credentials in the body": ([asked(raw(None, body=BODY))], WITH_FORM),
    "a good request": ([asked(raw())], GOOD),
    "a good request with a scope": (
        [asked(raw(body=GRANT + b"&scope=a"))],
        GOOD | {"request.scope"},
    ),
    "credentials beyond ASCII": (
        [asked(raw("Basic " + b64("shop:pässwörd")), credentials=UMLAUT)],
        GOOD | {"basic.utf8"},
    ),
    "a call": ([fetched(1, FIRST), called(2, FIRST, 1)], GOOD | SIGNED),
    "two calls with one token": (
        [fetched(1, FIRST), called(2, FIRST, 1), called(3, FIRST, 2)],
        GOOD | SIGNED | {"cache.reuse"},
    ),
    "two calls, the second too late": (
        [fetched(1, FIRST), called(2, FIRST, 1), called(3, FIRST, 61)],
        GOOD | SIGNED,
    ),
    "a token request long before expiry": (
        [fetched(1, FIRST), fetched(2, token(2, WELL_BEFORE))],
        GOOD | AGAIN,
    ),
    "a token request shortly before expiry": (
        [fetched(1, FIRST), fetched(2, token(2, BEFORE_EXPIRY))],
        GOOD | AGAIN | {IN_TIME},
    ),
    "a call with another token after expiry": (
        [
            fetched(1, FIRST),
            fetched(2, token(2, WELL_BEFORE)),
            called(3, token(2, WELL_BEFORE), 60),
        ],
        GOOD | SIGNED | AGAIN | {IN_TIME},
    ),
    "a token known from its call alone": (
        [called(1, FIRST, 1), fetched(2, SECOND)],
        GOOD | SIGNED | {IN_TIME},
    ),
    "the second token request is another client's": (
        [fetched(1, FIRST), asked(raw(), number=2, credentials=UMLAUT, received_at=60)],
        GOOD | {"basic.utf8"},
    ),
    "a refusal on its own": ([refused(1, 0)], GOOD | {"errors.no-hammering"}),
    "refusals apart": (
        [refused(1, 0), refused(2, 5)],
        GOOD | AGAIN | {"errors.no-hammering"},
    ),
    "refusals in one moment": ([refused(1, 0), refused(2, 0.5)], GOOD | AGAIN),
    "a failure that may pass": ([refused(1, 0, status=503)], GOOD),
}


@pytest.mark.parametrize("situation", SEEN)
def test_what_is_seen_decides_which_clauses_are_reached(situation):
    exchanges, expected = SEEN[situation]
    assert met(exchanges, AUTOGRAB) == expected


def test_every_precondition_is_met_by_some_traffic_and_not_by_other():
    for clause_id in PASSIVE_IDS:
        assert {clause_id in expected for _, expected in SEEN.values()} == {True, False}


def met(exchanges: list[Exchange], profile: Profile) -> set[str]:
    return {clause.id for clause in met_preconditions(Trace(tuple(exchanges)), profile)}


def test_a_profile_that_takes_credentials_in_the_body_has_its_own_clauses():
    posted = [asked(raw(None, body=BODY))]
    common = WITH_FORM - {"basic.scheme"} | {"post.credentials"}
    assert met(posted, POST) == common | {"post.only"}
    assert met([asked(raw())], POST) == common
    assert set(unmet_preconditions(common, POST)) == POSTED_IDS - common


def test_what_is_missing_is_said_of_each_clause():
    lacks = unmet_preconditions(GOOD, AUTOGRAB)
    assert lacks.keys() == PASSIVE_IDS - GOOD
    assert lacks["refresh.same-grant"] == "never reached: no client asked for a second token"


def test_where_nothing_was_seen_one_reason_is_enough():
    assert set(unmet_preconditions((), AUTOGRAB).values()) == {
        "never reached: no token request was seen"
    }
