"""Sound clients in the dialects of other providers conform under the profiles of these."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

import pytest

from examples.model_client import TokenManager
from mockbroker.contract import clauses
from mockbroker.model.profile import (
    AUTOGRAB,
    Answer,
    ErrorForm,
    ParameterNames,
    Profile,
    Quota,
)
from tests.mutants.defects.errors import LIMITED
from tests.mutants.defects.refresh import REFUSING, HasNoLeeway
from tests.mutants.dialect import dialect_client
from tests.mutants.kit import verdicts_on
from tests.mutants.workshop import make

_NAMES = ParameterNames(
    client_id="appKey", client_secret="appSecret", grant_type="type", scope="rights"
)
_OWN_ERROR = ErrorForm(status=200, body='{"ok": false, "code": "{error}"}')
# Each profile has what others have not, and each difference is in one of them.
PROFILES = {
    "json": Profile(
        name="json",
        body="json",
        client_authentication="post",
        parameter_names=_NAMES,
        required_headers={"X-Account": "*", "X-Version": "2"},
        answer=Answer(paths={"access_token": "data.token", "expires_in": "data.ttl"}),
        api_header="X-Token",
        api_scheme="",
        quotas=(Quota(requests=3, period_seconds=60),),
    ),
    "query": Profile(
        name="query",
        method="GET",
        body="query",
        client_authentication="query",
        parameters={"audience": "https://api.example/"},
        open_parameters={"account_id": "an account"},
        token_policy="refuse",
        answer=Answer(lifetime="milliseconds"),
    ),
    "scope": Profile(
        name="scope",
        client_authentication="post",
        scope_required=True,
        example_scope="read_orders write_orders",
        scope_separator=",",
        token_policy="same",
        repeats_expires_in=True,
        token_type="BearerToken",
        answer=Answer(strings=("expires_in",), status=201),
        api_required_headers={"X-Account": "*"},
    ),
    "header": Profile(
        name="header",
        client_authentication="header",
        parameter_names=ParameterNames(client_id="X-Client-Id", client_secret="X-Client-Secret"),
        answer=Answer(paths={"access_token": "data.0.token"}),
    ),
    "public": Profile(
        name="public",
        client_authentication="none",
        grant_type=False,
        token_policy="single",
        overlap_seconds=60,
        answer=Answer(omit=("expires_in",)),
        errors={"token_error": _OWN_ERROR},
    ),
    "basic": Profile(
        name="basic",
        basic_scheme="Client",
        basic_encoding="form",
        token_format="jwt",
        token_policy="refuse",
        renewal_seconds=60,
        answer=Answer(lifetime="rfc3339"),
        api_scheme="Token",
    ),
}
# The clauses on which the dialect itself depends.
QUICK = [
    *clauses.request.CLAUSES,
    *clauses.post.CLAUSES,
    clauses.response.DOCUMENTED,
    clauses.response.OPAQUE_TOKEN,
    clauses.cache.ISOLATION,
    clauses.signing.BEARER,
]


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_sound_client_of_the_dialect_conforms(profile):
    assert verdicts_on(dialect_client(profile), profile=profile) == {}


def test_no_leeway_is_needed_where_a_second_token_is_refused():
    found = verdicts_on(
        lambda config: make(HasNoLeeway, config),
        profile=REFUSING,
        only=[clauses.refresh.REFUSED_WHILE_VALID],
    )
    assert found == {}


class WaitsForItsQuota(TokenManager):
    """It asks once more when its quota is used up, after a pause."""

    def _send_token_request(self):
        response = super()._send_token_request()
        if "errcode" in response.text:
            time.sleep(2)
            response = super()._send_token_request()
        return response


@pytest.mark.parametrize("cls", [TokenManager, WaitsForItsQuota])
def test_a_client_that_keeps_its_token_or_waits_keeps_its_quota(cls):
    only = [clauses.errors.QUOTA, clauses.refresh.QUOTA]
    found = verdicts_on(lambda config: make(cls, config), profile=LIMITED, only=only)
    assert found == {}


def test_a_quota_that_the_lifetime_of_tokens_excludes_is_not_judged():
    a_day = Quota(requests=10, period_seconds=86400)
    narrow = Profile(name="narrow", quotas=(a_day,))
    assert clauses.refresh.QUOTA.applies_to(narrow) == (
        "the quota of profile narrow is less than the lifetime of tokens needs"
    )
    assert clauses.refresh.QUOTA.applies_to(AUTOGRAB) == "profile autograb has no quota"
    assert clauses.errors.QUOTA.applies_to(AUTOGRAB) == "profile autograb has no quota"
    assert clauses.errors.QUOTA.applies_to(narrow) == ""
    assert "20 in an hour" in clauses.refresh.QUOTA.for_profile(LIMITED).title


def test_clauses_on_members_that_an_answer_lacks_do_not_apply():
    bare = Profile(name="bare", answer=Answer(omit=("expires_in", "token_type")))
    why = "the token response of profile bare has no "
    for clause in (
        clauses.refresh.HONOURS_EXPIRES_IN,
        clauses.refresh.SAME_TOKEN,
        clauses.response.EXPIRES_IN_UNIT,
        clauses.cache.HUGE_LIFETIME,
    ):
        assert clause.applies_to(bare) == why + "expires_in"
    assert clauses.response.TOKEN_TYPE_UNKNOWN.applies_to(bare) == why + "token_type"
    refusing = replace(bare, token_policy="refuse")
    assert clauses.refresh.REFUSED_WHILE_VALID.applies_to(refusing) == why + "expires_in"


def test_clauses_on_other_policies_do_not_apply():
    same, single, refuse = (
        Profile(name=policy, token_policy=policy) for policy in ("same", "single", "refuse")
    )
    overlap = Profile(name="overlap", token_policy="single", overlap_seconds=60)
    reasons = [
        clause.applies_to(profile)
        for clause, profile in (
            (clauses.refresh.SAME_TOKEN, single),
            (clauses.refresh.SAME_TOKEN, refuse),
            (clauses.refresh.SINGLE_LIVE_TOKEN, same),
            (clauses.refresh.SINGLE_LIVE_TOKEN, overlap),
            (clauses.refresh.REFUSED_WHILE_VALID, AUTOGRAB),
        )
    ]
    assert reasons == [
        "profile single issues a new token, which ends the old one",
        "profile refuse refuses another token while one is valid",
        "profile same issues the same token again while it is valid",
        "profile overlap lets an old token live on for 60 s",
        "profile autograb issues a further token while one is valid",
    ]
    assert clauses.refresh.SAME_TOKEN.applies_to(same) == ""
    assert clauses.refresh.SINGLE_LIVE_TOKEN.applies_to(single) == ""
    assert clauses.refresh.REFUSED_WHILE_VALID.applies_to(refuse) == ""


@pytest.mark.parametrize("name", ["basic", "json", "scope"])
def test_the_clauses_on_the_dialect_itself_pass(name):
    assert verdicts_on(dialect_client(PROFILES[name]), profile=PROFILES[name], only=QUICK) == {}


def test_what_every_token_of_a_provider_begins_with_may_be_logged():
    shape = "acme-live-{32}"
    shown = {
        length: verdicts_on(
            lambda config, length=length: make(logging_first(length), config),
            only=[clauses.secrecy.TOKEN],
            profile=replace(AUTOGRAB, token_shape=shape),
        )
        for length in (10, 18)
    }
    assert shown[10] == {}
    assert set(shown[18]) == {clauses.secrecy.TOKEN}


def logging_first(length: int) -> type[TokenManager]:
    """A model client that logs so many characters of each token."""

    class LogsTheBeginning(TokenManager):
        def _token_of(self, members: dict[str, Any]) -> str:
            token = super()._token_of(members)
            logging.getLogger("app").warning("fetched %s", token[:length])
            return token

    return LogsTheBeginning
