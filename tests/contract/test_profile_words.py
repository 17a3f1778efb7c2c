"""Clauses in the terms of a profile: its names, its form, and its pages as their sources."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from mockbroker.broker.profiles import shipped_names, shipped_profile
from mockbroker.contract import clauses
from mockbroker.contract.authentication import accepted_methods
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.profile_words import refused_token, separator_in_words
from mockbroker.model.profile import (
    AUTOGRAB,
    RFC6749,
    Answer,
    ErrorForm,
    ParameterNames,
    Profile,
    Source,
)
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import RunFacts
from mockbroker.report.terminal_causes import finding_lines

VENDOR = str(AUTOGRAB.sources[0])
PAGE = "https://provider.example/tokens"
JSON = Profile(
    name="json",
    body="json",
    client_authentication="post",
    parameter_names=ParameterNames(client_id="appKey", client_secret="appSecret", scope="rights"),
    required_headers={"X-Account": "*"},
    answer=Answer(paths={"access_token": "data.token"}, lifetime="milliseconds"),
    api_header="X-Token",
    api_scheme="",
    sources=(
        Source(
            fields=("body", "client_authentication", "api_header"),
            url=PAGE,
            checked=datetime.date(2026, 11, 29),
        ),
    ),
)
QUERY = Profile(
    name="query",
    method="GET",
    body="query",
    client_authentication="query",
    parameters={"audience": "https://api.example/"},
    answer=Answer(omit=("expires_in",)),
    token_type="BearerToken",
)
SCOPED = Profile(
    name="scoped",
    client_authentication="none",
    scope_required=True,
    example_scope="read",
    scope_separator=",",
    basic_encoding="form",
)
OWN = Profile(name="own", basic_scheme="Client", basic_encoding="form", api_scheme="Token")
BARE = Profile(name="bare", client_authentication="post", grant_type=False)
BARE_BASIC = Profile(name="bare", grant_type=False)

TITLES = [
    (JSON, clauses.request.CONTENT_TYPE, "media type application/json"),
    (
        JSON,
        clauses.request.GRANT_TYPE,
        "grant_type=client_credentials exactly once, in a JSON body",
    ),
    (JSON, clauses.request.SCOPE, "one parameter rights, several values joined by a space"),
    (JSON, clauses.request.PARAMETERS, "the header field X-Account"),
    (JSON, clauses.request.NO_EXTRA_PARAMETERS, "nothing else in the body"),
    (JSON, clauses.post.CREDENTIALS, "appKey and appSecret in a JSON body"),
    (JSON, clauses.response.EXPIRES_IN_UNIT, "expires_in as milliseconds"),
    (JSON, clauses.signing.BEARER, "one header X-Token: the token as provided"),
    (QUERY, clauses.request.METHOD, "by GET"),
    (QUERY, clauses.request.GRANT_TYPE, "in the query of the URL"),
    (QUERY, clauses.request.PARAMETERS, "the parameter audience"),
    (QUERY, clauses.request.NO_EXTRA_PARAMETERS, "nothing else in the query"),
    (QUERY, clauses.post.CREDENTIALS, "client_id and client_secret in the query of the URL"),
    (QUERY, clauses.post.ONLY, "into a header or the body"),
    (QUERY, clauses.response.TOKEN_TYPE_CASE, "accepts token_type BearerToken"),
    (SCOPED, clauses.request.SCOPE, "joined by a comma, and one in each token request"),
    (SCOPED, clauses.post.CREDENTIALS, "client_id in a form-encoded body"),
    (OWN, clauses.basic.SCHEME, "scheme Client"),
    (OWN, clauses.basic.CREDENTIALS, "each form-urlencoded first"),
    (OWN, clauses.signing.BEARER, "Authorization: Token, one space"),
    (BARE, clauses.post.CREDENTIALS, "client_id and client_secret in the body"),
    (BARE_BASIC, clauses.request.CONTENT_TYPE, "x-www-form-urlencoded (any case, parameters"),
    (BARE_BASIC, clauses.request.CONTENT_TYPE, "once, if the token request has a body"),
]
FIXES = [
    (JSON, clauses.request.METHOD, "by POST, with its parameters in a JSON body"),
    (JSON, clauses.response.DOCUMENTED, "Read data.token and expires_in"),
    (JSON, clauses.signing.HEADER_ONLY, "header X-Token"),
    (JSON, clauses.signing.CROSS_ORIGIN, "but not X-Token"),
    (QUERY, clauses.response.DOCUMENTED, "Read access_token from"),
    (QUERY, clauses.response.TOKEN_TYPE_UNKNOWN, "bearertoken"),
    (QUERY, clauses.request.NO_EXTRA_PARAMETERS, "Send only grant_type, audience,"),
    (BARE, clauses.request.NO_EXTRA_PARAMETERS, "Send only the credentials"),
]


@pytest.mark.parametrize(("profile", "clause", "words"), TITLES)
def test_a_title_has_the_names_of_the_profile(profile, clause, words):
    assert clause.applies_to(profile) == ""
    assert words in clause.for_profile(profile).title


@pytest.mark.parametrize(("profile", "clause", "words"), FIXES)
def test_a_fix_is_for_the_profile(profile, clause, words):
    assert words in clause.for_profile(profile).fix


@pytest.mark.parametrize("profile", [JSON, QUERY, SCOPED, OWN, BARE], ids=lambda each: each.name)
def test_no_clause_cites_the_page_of_another_provider(profile):
    for clause in CATALOGUE:
        told = clause.for_profile(profile)
        cited = [str(source) for source in told.sources]
        assert VENDOR not in cited
        assert told == clause
        assert all(text.endswith(".") for text in (told.why, told.fix))
        # What a document demands has a source under each profile, if only the profile itself.
        assert bool(cited) is bool(clause.sources) or clause.level.value == "PRACTICE"


def test_every_profile_that_ships_has_the_clauses_in_its_terms():
    for profile in map(shipped_profile, shipped_names()):
        titles = {clause: clause.for_profile(profile).title for clause in CATALOGUE}
        cited = {str(each) for clause in CATALOGUE for each in clause.for_profile(profile).sources}
        assert (VENDOR in cited) is (profile == AUTOGRAB)
        if not clauses.request.PARAMETERS.applies_to(profile):
            for name in (*profile.parameters, *profile.open_parameters, *profile.required_headers):
                assert name in titles[clauses.request.PARAMETERS]


def test_a_fact_of_the_provider_has_its_page_and_no_rfc_that_says_otherwise():
    body = clauses.request.CONTENT_TYPE
    assert [source.url for source in body.for_profile(JSON).sources] == [PAGE]
    without = dataclasses.replace(JSON, sources=())
    assert [str(source) for source in body.for_profile(without).sources] == ["profile json"]
    assert [str(source) for source in body.for_profile(AUTOGRAB).sources] == [
        VENDOR,
        "RFC 6749, 4.4.2",
    ]


def test_an_rfc_as_the_page_of_a_profile_is_cited_as_elsewhere():
    cited = [str(source) for source in clauses.request.CONTENT_TYPE.for_profile(RFC6749).sources]
    assert cited == ["RFC 6749", "RFC 6749, 4.4.2"]
    section = "https://www.rfc-editor.org/rfc/rfc6749#section-4.4.2"
    page = Source(fields=("body",), url=section, checked=datetime.date(2026, 11, 29))
    by_section = clauses.request.CONTENT_TYPE.for_profile(Profile(name="x", sources=(page,)))
    assert [str(source) for source in by_section.sources] == ["RFC 6749, 4.4.2"]


def test_a_clause_that_does_not_apply_keeps_its_words():
    assert clauses.basic.SCHEME.for_profile(JSON) is clauses.basic.SCHEME
    assert clauses.request.CONTENT_TYPE.applies_to(QUERY) == (
        "profile query has the parameters in the query of the URL"
    )
    assert clauses.request.GRANT_TYPE.applies_to(BARE) == "profile bare has no grant_type"


def test_a_report_is_in_the_terms_of_its_profile():
    finding = Finding("request.content-type", Verdict.FAILED, "a form")
    report = build_report([finding], RunFacts(profile=JSON.name, terms=JSON))
    row = next(row for row in report.rows if row.clause == clauses.request.CONTENT_TYPE)
    assert "application/json" in row.clause.title
    text = "\n".join(line.text for line in finding_lines(finding, JSON))
    assert PAGE in text
    assert "json={…}" in text


def test_separators_have_names():
    named = {text: separator_in_words(Profile(name="x", scope_separator=text)) for text in " ,;|+"}
    assert named == {
        " ": "a space",
        ",": "a comma",
        ";": "a semicolon",
        "|": "a vertical bar",
        "+": "'+'",
    }


def test_the_credentials_that_a_breach_expects_have_the_names_of_the_profile():
    for profile, names in ((JSON, "appKey and appSecret in the body"), (SCOPED, "client_id, as")):
        (method,) = accepted_methods(profile)
        assert method.expected.startswith(names)


OWN_ERRORS = Profile(
    name="own-errors",
    client_authentication="header",
    parameter_names=ParameterNames(client_id="X-Id", client_secret="X-Key"),
    errors={
        "invalid_client": ErrorForm(status=200, body='{"errcode": 40001}'),
        "token_invalid": ErrorForm(status=200, body='{"errcode": 40014, "errmsg": "invalid"}'),
    },
)
REFUSED = '200 {"errcode": 40014, "errmsg": "invalid"}'


@pytest.mark.parametrize(
    ("clause", "field", "words"),
    [
        (clauses.signing.REVOKED, "title", f"on {REFUSED} gets a new token"),
        (clauses.signing.REVOKED, "fix", f"this provider, {REFUSED}. Then drop"),
        (clauses.post.ONLY, "title", "into the Authorization header, the URL or the body"),
        (clauses.post.ONLY, "fix", "in the header fields X-Id and X-Key only"),
    ],
    ids=lambda each: getattr(each, "id", None),
)
def test_advice_has_the_answers_and_fields_of_the_provider(clause, field, words):
    assert words in getattr(clause.for_profile(OWN_ERRORS), field)


@pytest.mark.parametrize(
    ("body", "applies"),
    [
        ('{"error": "{error}"}', True),
        ('{"error": {"code": 7}}', False),
        ('{"errcode": 7}', False),
        ("[7]", False),
        ("<error/>", False),
    ],
)
def test_a_client_need_not_name_an_error_code_that_a_provider_lacks(body, applies):
    form = ErrorForm(status=400, body=body)
    profile = Profile(name="errors", errors={"invalid_client": form})
    assert (clauses.errors.CAUSE.applies_to(profile) == "") is applies


def test_a_long_answer_of_the_api_is_cut():
    form = ErrorForm(status=400, body='{"message": "' + "x" * 99 + '"}')
    found = refused_token(Profile(name="errors", errors={"api_error": form}))
    assert (found[:17], found[-1], len(found)) == ('400 {"message": "', "…", 64)


def test_an_api_without_errors_of_its_own_refuses_a_token_as_rfc_6750_has_it():
    assert refused_token(RFC6749) == "401 invalid_token"
