"""Chapter ``response``: every form that a valid answer may have."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping

import pytest
from hypothesis import strategies as st
from msgspec import structs

from mockbroker.broker.answers import TokenAnswer
from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.contract.altered_token import altered_token
from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.judging import judge_trace
from mockbroker.model.content_codings import allows_coding
from mockbroker.report.steps import AnswerChanged, ClientClosed, ClientUsed, TokenChosen
from mockbroker_contract.clauses.response_cases import (
    CREDENTIALS,
    Members,
    answer_session,
    must_use_the_token,
    needs_control,
)
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.recorder import fault_step
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.harness.strategies import (
    B64TOKEN_ALPHABET,
    b64tokens,
    json_values,
    mixed_case,
    text_of,
)

# More than any use of the client can take, as a use is stopped after 10 requests.
_SEVERAL = 1000

_OTHER_BREACHES = {
    clause.id
    for clause in (
        clauses.signing.BEARER,
        clauses.signing.HEADER_ONLY,
        clauses.signing.NO_CREDENTIALS,
    )
}
"""Breaches that are possible although the client read the token correctly."""

# Members that Microsoft's endpoints add, and forms that a strict reader may reject.
_KNOWN_EXTRAS = {
    "ext_expires_in": 3599,
    "not_before": 1700000000,
    "resource": "https://api.example/",
    "token_id": None,
    "x_nested": {"deep": [1, {"er": True}]},
}


@pytest.mark.contract_clause(clauses.response.DOCUMENTED)
def test_documented(scenario: Scenario) -> None:
    """Check that the token response of the provider's documentation yields a usable token.

    The precondition of nearly all other clauses: if it is broken, they are not-tested. A breach of
    a clause on signing explains a token that arrived changed, and is named as the cause.
    """
    # No exploration: this clause blocks all others, so the plainest use decides.
    for operation in scenario.run.capabilities:
        with scenario.session(credentials=CREDENTIALS) as session:
            outcome = session.use(operation)
            if not session.trace.token_requests:
                if scenario.run.clients.in_python:
                    _must_not_depend_on_others(scenario, operation)
                # Such as a certificate of the client that the handshake did not accept.
                why = scenario.run.brokers.refusal
                session.not_tested(
                    f"{operation} {_ended(session, outcome)} before any token request"
                    + (f"; {why}" if why else "")
                )
            # A breach of another clause explains why the token did not arrive as issued, so it is
            # reported as the cause.
            broken = sorted({b.clause_id for b in judge_trace(session.trace)} & _OTHER_BREACHES)
            if broken and not outcome.is_good:
                raise NotTested("the token cannot be used", blocked_by=clause_named(broken[0]))
            what = "with the documented token response, the client"
            if not outcome.is_good:
                session.breach(f"{what} {_ended(session, outcome)}", "the issued token")


def _must_not_depend_on_others(scenario: Scenario, operation: str) -> None:
    """Raise the breach if the first client of a process works, and the one after it does not.

    Clients may share what the first of them closes, such as a pool of connections.
    """
    scenario.run.clients.restart()
    with scenario.session(credentials=CREDENTIALS) as alone:
        if not alone.use(operation).is_good:
            return
    with scenario.session(credentials=CREDENTIALS) as session:
        for step in alone.recorder.steps():
            if isinstance(step, ClientUsed):
                # The exchanges are those of another broker.
                session.record(structs.replace(step, exchanges=()))
        session.record(ClientClosed())
        outcome = session.use(operation)
        if not session.trace.token_requests:
            session.breach(
                "in a process where a client has been closed, another one "
                f"{_ended(session, outcome)} before any token request",
                "the issued token: clients do not depend on one another",
            )


def _ended(session: ClientSession, outcome: Outcome) -> str:
    """Return in words how a use ended."""
    if outcome.error is not None:
        return f"raised {session.masked(outcome.error)}"
    return outcome.in_words


@pytest.mark.contract_clause(clauses.response.SCOPE_MISSING)
def test_scope_missing(scenario: Scenario) -> None:
    """Check that the client accepts a token response without ``scope``.

    With and without a configured scope, which a client may compare with the one in the response.
    """

    def run_case(scope: str, operation: str) -> Situation:
        with scenario.session(credentials=CREDENTIALS, scope=scope) as session:
            session.broker.token_answer = TokenAnswer(omit=("scope",))
            session.record(AnswerChanged(omitted=("scope",)))
            outcome = session.use(operation)
            must_use_the_token(session, outcome, "no scope")
            return Situation.met_if(session.trace.token_requests)

    scenario.for_each(["", "vehicles"], run_case)


@pytest.mark.contract_clause(clauses.response.OPAQUE_TOKEN)
def test_opaque_token(scenario: Scenario) -> None:
    """Check that any b64token arrives at the API byte for byte.

    The token is compared after the last space of what the API received, so that the scheme does not
    matter here.
    """

    def run_case(drawn: tuple[str, str]) -> Situation:
        value, operation = drawn
        with scenario.session(credentials=CREDENTIALS) as session:
            # A fixed value: the case is about one token, and the client has no earlier one.
            session.broker.token_values = lambda: value
            session.record(TokenChosen(value=value))
            outcome = session.use(operation)
            if outcome.error is not None:
                needs_control(session, outcome)
                session.breach(f"the client raised {session.masked(outcome.error)}", "a token")
            if outcome.presented is None:
                raise NotTested("the client presented no token")
            carried = outcome.presented.rpartition(" ")[2]
            if carried != value:
                session.breach(
                    f"the token was changed on its way: {len(value)} characters were issued, and "
                    f"{len(carried)} arrived",
                    "the token as provided",
                    outcome.api_calls,
                    hint=altered_token(value, carried),
                )
            return Situation.MET

    first = [(value, op) for value in _EDGE_TOKENS for op in scenario.run.capabilities]
    scenario.for_all(st.tuples(b64tokens(), scenario.operations()), run_case, first=first)


# The shortest and the longest, and what a parser could take for a number, a scheme, nothing or a
# JWT: one that is not Base64, and one whose parts are empty JSON objects. The first one has each
# character of the alphabet, and begins with those that could separate the parts of a cache's key.
_EDGE_TOKENS = (
    "-._~+/" + B64TOKEN_ALPHABET + "==",
    "a",
    "0",
    "1.5e3",
    "Bearer",
    "null",
    "undefined",
    "a.b.c",
    "e30.e30.e30",
    "a" * 4096,
)


@pytest.mark.contract_clause(clauses.response.UNKNOWN_MEMBERS)
def test_unknown_members(scenario: Scenario) -> None:
    """Check that the client ignores unknown members of a token response.

    RFC 6749, 5.1: the client must ignore unrecognized value names in the response.
    """
    # Prefixed, so that no drawn name is one that a client knows.
    names = text_of("abcdefghijklmnopqrstuvwxyz_", max_size=8).map("x_".__add__)
    extras = st.dictionaries(names, json_values(), min_size=1, max_size=4)

    def run_case(drawn: tuple[Mapping[str, object], str]) -> Situation:
        members, operation = drawn
        answer = TokenAnswer(members=members)
        with answer_session(scenario, answer, AnswerChanged(members=dict(members))) as session:
            outcome = session.use(operation)
            must_use_the_token(session, outcome, "members it does not know")
            return Situation.MET

    first = [(_KNOWN_EXTRAS, operation) for operation in scenario.run.capabilities]
    scenario.for_all(st.tuples(extras, scenario.operations()), run_case, first=first)


def _escaped(members: Members) -> bytes:
    def escape(text: str) -> str:
        return "".join(f"\\u{ord(character):04x}" for character in text)

    pairs = [
        f'"{escape(name)}": ' + (f'"{escape(v)}"' if isinstance(v, str) else json.dumps(v))
        for name, v in members.items()
    ]
    return ("{" + ", ".join(pairs) + "}").encode()


def _spaced(members: Members) -> bytes:
    # Not by a replacement of colons: a provider's lifetime may be a date, which has some.
    spaced = json.dumps(members, indent=4, separators=(",", " :\t"))
    return b"\r\n\t " + spaced.encode() + b" \n\n"


def _reversed(members: Members) -> bytes:
    return json.dumps(dict(reversed(list(members.items()))), separators=(",", ":")).encode()


def _solidus_escaped(members: Members) -> bytes:
    return json.dumps(members).replace("/", "\\/").encode()


_FORMS: dict[str, Callable[[Members], bytes]] = {
    "white space around every token of JSON": _spaced,
    "members in another order, no white space": _reversed,
    "every character escaped as \\uXXXX": _escaped,
    "the solidus escaped": _solidus_escaped,
}
# With characters that JSON may escape. Several, because a client may request more than one token.
_TOKENS_TO_WRITE = ("t/o-k.e~n+1/", "t/o-k.e~n+2/", "t/o-k.e~n+3/", "t/o-k.e~n+4/")
# RFC 9110, 8.3.1: type and subtype are case-insensitive.
_MEDIA_TYPES = ("application/json", "application/json; charset=UTF-8", "Application/JSON")


@pytest.mark.contract_clause(clauses.response.JSON_FORMS)
def test_json_forms(scenario: Scenario) -> None:
    """Check that the client reads every valid serialization of one JSON object.

    White space, order, escapes and media types (RFC 8259, 2 and 7; RFC 9110, 8.3.1). The control
    has the same tokens in the documented form, because a client may not cope with their characters
    at all.
    """
    cases = [(form, media) for form in _FORMS for media in _MEDIA_TYPES]

    @functools.cache
    # The control, once for each operation: the same tokens in the documented form.
    def takes_such_tokens(operation: str) -> bool:
        with answer_session(scenario, TokenAnswer(), AnswerChanged()) as control:
            control.broker.token_values = iter(_TOKENS_TO_WRITE).__next__
            return control.use(operation).token is not None

    def run_case(case: tuple[str, str], operation: str) -> Situation:
        form, media_type = case
        what = f"{form}, as {media_type}"
        answer = TokenAnswer(render=_FORMS[form], content_type=media_type)
        if not takes_such_tokens(operation):
            raise NotTested(
                "the token has characters such as /", blocked_by=clauses.response.OPAQUE_TOKEN
            )
        with answer_session(
            scenario, answer, AnswerChanged(form=form, media_type=media_type)
        ) as session:
            session.broker.token_values = iter(_TOKENS_TO_WRITE).__next__
            must_use_the_token(session, session.use(operation), what)
            return Situation.MET

    scenario.for_each(cases, run_case)


# The ways in which a server may send a body, alone and as proxies combine them.
_TRANSFERS: dict[str, Fault] = {
    "a chunked answer": Fault.chunked(),
    "an answer that ends with the connection": Fault.close_delimited(),
    "a chunked answer, compressed with gzip": Fault.chunked() & Fault.compressed("gzip"),
    "an answer compressed with deflate": Fault.compressed("deflate"),
}


@pytest.mark.contract_clause(clauses.response.TRANSFER)
def test_transfer(scenario: Scenario) -> None:
    """Check that the client reads an answer however HTTP transfers it.

    RFC 9112, 6 and 7; RFC 9110, 8.4. A coding that the client's Accept-Encoding does not allow is
    not tried.
    """

    def run_case(what: str, operation: str) -> Situation:
        fault = _TRANSFERS[what]
        with scenario.session(credentials=CREDENTIALS) as session:
            # More than one, because a client may request a token when it is made.
            session.broker.script(fault.times(_SEVERAL))
            session.record(fault_step(fault))
            outcome = session.use(operation)
            requests = [exchange.request for exchange in session.trace.token_requests]
            if fault.coding and not any(allows_coding(r.headers, fault.coding) for r in requests):
                return Situation.UNMET
            must_use_the_token(session, outcome, what)
            return Situation.met_if(requests)

    scenario.for_each(_TRANSFERS, run_case)


@pytest.mark.contract_clause(clauses.response.TOKEN_TYPE_CASE)
def test_token_type_case(scenario: Scenario) -> None:
    """Check that ``token_type`` is case-insensitive and a signed call has scheme ``Bearer``.

    RFC 6749, 5.1, makes the value case-insensitive. A client that copies it as the scheme is judged
    only if that shows: ``bearer`` is judged by `signing.bearer`.
    """
    profile = scenario.run.settings.profile
    own, api_scheme = profile.token_type, profile.api_scheme

    def run_case(drawn: tuple[str, str]) -> Situation:
        token_type, operation = drawn
        answer = TokenAnswer(members={"token_type": token_type})
        with answer_session(
            scenario, answer, AnswerChanged(members={"token_type": token_type})
        ) as session:
            outcome = session.use(operation)
            must_use_the_token(session, outcome, f"token_type={token_type}")
            scheme = (outcome.presented or "").partition(" ")[0]
            # signing.bearer judges a scheme that is always `bearer`, whatever the response says.
            if scheme == token_type and token_type not in (api_scheme, "bearer"):
                session.breach(
                    f"the call was signed with scheme {scheme!r}, copied from token_type",
                    f"scheme {api_scheme!r} whatever the case of token_type",
                    outcome.api_calls,
                )
            return Situation.MET

    # RFC 6749, 5.1: the value is case-insensitive.
    spellings = (own.upper(), own.capitalize(), own.lower())
    first = [(spelling, op) for spelling in spellings for op in scenario.run.capabilities]
    drawn = st.tuples(mixed_case(own.lower()), scenario.operations())
    scenario.for_all(drawn, run_case, first=first)
