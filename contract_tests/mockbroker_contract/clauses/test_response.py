"""Chapter ``response``: how the client reads token responses."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import strategies as st

from mockbroker.broker.answers import TokenAnswer
from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.contract.altered_token import altered_token
from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.judging import judge_trace
from mockbroker.model.content_codings import allows_coding
from mockbroker.model.credentials import Credentials
from mockbroker.report.steps import AnswerChanged, TokenChosen
from mockbroker_contract.drivers.driver import GET_TOKEN
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.explaining import diagnosing
from mockbroker_contract.harness.lifetimes import diagnosed_by_lifetimes
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

_CREDENTIALS = Credentials("response-client", "response-s3cret")
Members = Mapping[str, object]
# More than any use of the client can take, as a use is stopped after 50 requests.
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


def _session(scenario: Scenario, answer: TokenAnswer, changed: AnswerChanged) -> ClientSession:
    """Return a session whose broker answers like this, with the step that says so."""
    session = scenario.session(credentials=_CREDENTIALS)
    session.broker.token_answer = answer
    session.record(changed)
    return session


def _must_use_the_token(session: ClientSession, outcome: Outcome, what: str) -> None:
    """Raise the breach of the clause unless the use had the issued token."""
    if outcome.error is not None:
        _needs_control(session, outcome)
        session.breach(f"with {what}, the client raised {session.masked(outcome.error)}", "a token")
    if outcome.token is None:
        session.breach(f"with {what}, the client {outcome.in_words}", "the issued token")


def _needs_control(session: ClientSession, outcome: Outcome) -> None:
    """Raise NotTested if as many uses fail with the documented token response as well.

    A client may raise for another reason: at every second use, or because it is worn out.
    """
    with session.control() as control:
        for _ in session.trace.uses:
            control.use_well(outcome.operation)


@pytest.mark.contract_clause(clauses.response.DOCUMENTED)
def test_documented(scenario: Scenario) -> None:
    """Check that the token response of the provider's documentation yields a usable token.

    The precondition of nearly all other clauses: if it is broken, they are not-tested. A breach of
    a clause on signing explains a token that arrived changed, and is named as the cause.
    """
    # No exploration: this clause blocks all others, so the plainest use decides.
    for operation in scenario.run.capabilities:
        with scenario.session(credentials=_CREDENTIALS) as session:
            outcome = session.use(operation)
            if not session.trace.token_requests:
                session.not_tested(
                    f"{operation} {_ended(session, outcome)} before any token request"
                )
            # A breach of another clause explains why the token did not arrive as issued, so it is
            # reported as the cause.
            broken = sorted({b.clause_id for b in judge_trace(session.trace)} & _OTHER_BREACHES)
            if broken and not outcome.is_good:
                raise NotTested("the token cannot be used", blocked_by=clause_named(broken[0]))
            what = "with the documented token response, the client"
            if not outcome.is_good:
                session.breach(f"{what} {_ended(session, outcome)}", "the issued token")


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
        with scenario.session(credentials=_CREDENTIALS, scope=scope) as session:
            session.broker.token_answer = TokenAnswer(omit=("scope",))
            session.record(AnswerChanged(omitted=("scope",)))
            outcome = session.use(operation)
            _must_use_the_token(session, outcome, "no scope")
            return Situation.met_if(session.trace.token_requests)

    scenario.for_each(["", "vehicles"], run_case)


@dataclass(frozen=True)
class _Lifetimes:
    """Lifetimes and a moment that show in which unit a client reads them, all in seconds.

    As milliseconds ``long`` is below ``early``, which is less than a hundredth of it. ``longer`` is
    above it in either unit.
    """

    long: int
    longer: int
    early: float


# Above any usual leeway even as milliseconds, so that the token is kept at first. The long lifetime
# in milliseconds fits in 31 bits, because `cache.reuse` judges overflows.
_VIRTUAL_LIFETIMES = _Lifetimes(long=2_000_000, longer=20_000_000, early=3000)
# In real time only a client with less leeway can be judged.
_REAL_LIFETIMES = _Lifetimes(long=2000, longer=20_000, early=2.5)
# As minutes or more the middle lifetime is above the late wait, and the brief one is below it up to
# thousands of seconds.
_MIDDLE_LIFETIME, _BRIEF_LIFETIME, _LATE_WAIT = 120, 1, 4800


@pytest.mark.contract_clause(clauses.response.EXPIRES_IN_UNIT)
def test_expires_in_unit(scenario: Scenario) -> None:
    """Check that the client does not read ``expires_in`` in another unit than seconds.

    A token that is dropped too early or used too long counts only if another lifetime makes a
    difference at the same moment. A client that ignores lifetimes breaks other clauses. In real
    time only a token that is dropped too early shows.
    """

    def run_case(case: Callable[[Scenario, str], None], operation: str) -> Situation:
        case(scenario, operation)
        return Situation.MET

    cases = [_must_not_drop_early, _must_not_use_for_lives]
    with diagnosing(partial(diagnosed_by_lifetimes, scenario.run)):
        scenario.for_each_in_time(cases if scenario.run.time.is_virtual else cases[:1], run_case)


def _lifetime_session(scenario: Scenario, lifetime: float) -> ClientSession:
    """Return a session with tokens of that lifetime, in seconds."""
    return scenario.session(
        credentials=_CREDENTIALS,
        expires_in=lifetime,
        elsewhere=[clauses.refresh.HONOURS_EXPIRES_IN],
    )


def _must_not_drop_early(scenario: Scenario, operation: str) -> None:
    """Judge a token of the long lifetime after less than a hundredth of it."""
    lifetimes = _VIRTUAL_LIFETIMES if scenario.run.time.is_virtual else _REAL_LIFETIMES
    with _lifetime_session(scenario, lifetimes.long) as session:
        if _is_kept_after(session, operation, lifetimes.early):
            return
        # The control: a client may limit the life of every token.
        with _lifetime_session(scenario, lifetimes.longer) as control:
            if not _is_kept_after(control, operation, lifetimes.early):
                raise NotTested(
                    f"the client keeps no token for {lifetimes.early:g} s",
                    blocked_by=clauses.refresh.NOT_TOO_EAGER,
                )
        session.breach(
            f"with expires_in={lifetimes.long}, the client replaced the token after "
            f"{lifetimes.early:g} s; with expires_in={lifetimes.longer} it did not",
            "expires_in to be read as seconds",
        )


def _is_kept_after(session: ClientSession, operation: str, seconds: float) -> bool:
    """Return whether a token is still used that many seconds after it was issued.

    Raises NotTested if the client keeps no token at all.
    """
    first = session.use_well(operation)
    if session.use_well(operation).token != first.token:
        raise NotTested("the client keeps no token", blocked_by=clauses.cache.REUSE)
    session.advance(seconds)
    return not session.use_replaces(first.token, operation)


def _must_not_use_for_lives(scenario: Scenario, operation: str) -> None:
    """Judge a token of the middle lifetime long after its expiry."""
    with _lifetime_session(scenario, _MIDDLE_LIFETIME) as session:
        if not _is_used_after(session, operation, _LATE_WAIT):
            return
        # The control: a client that keeps every token that long ignores lifetimes.
        with _lifetime_session(scenario, _BRIEF_LIFETIME) as control:
            if _is_used_after(control, operation, _LATE_WAIT):
                raise NotTested(
                    "the client does not observe lifetimes",
                    blocked_by=clauses.refresh.HONOURS_EXPIRES_IN,
                )
        session.breach(
            f"with expires_in={_MIDDLE_LIFETIME}, the client still used the token after "
            f"{_LATE_WAIT} s; with expires_in={_BRIEF_LIFETIME} it did not",
            "expires_in to be read as seconds",
        )


def _is_used_after(session: ClientSession, operation: str, seconds: float) -> bool:
    """Return whether a token is still presented that many seconds after it was issued."""
    first = session.use_well(operation)
    session.advance(seconds)
    outcome = session.use(operation)
    # A client may present the old token and then, after a 401, a new one.
    presented = {call.token for call in outcome.api_calls} | {outcome.token}
    return first.token in presented


@pytest.mark.contract_clause(clauses.response.OPAQUE_TOKEN)
def test_opaque_token(scenario: Scenario) -> None:
    """Check that any b64token arrives at the API byte for byte.

    The token is compared after the last space of what the API received, so that the scheme does not
    matter here.
    """

    def run_case(drawn: tuple[str, str]) -> Situation:
        value, operation = drawn
        with scenario.session(credentials=_CREDENTIALS) as session:
            # A fixed value: the case is about one token, and the client has no earlier one.
            session.broker.token_values = lambda: value
            session.record(TokenChosen(value=value))
            outcome = session.use(operation)
            if outcome.error is not None:
                _needs_control(session, outcome)
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
        with _session(scenario, answer, AnswerChanged(members=dict(members))) as session:
            outcome = session.use(operation)
            _must_use_the_token(session, outcome, "members it does not know")
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
    return b"\r\n\t " + json.dumps(members, indent=4).replace(":", " :\t").encode() + b" \n\n"


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
        with _session(scenario, TokenAnswer(), AnswerChanged()) as control:
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
        with _session(scenario, answer, AnswerChanged(form=form, media_type=media_type)) as session:
            session.broker.token_values = iter(_TOKENS_TO_WRITE).__next__
            _must_use_the_token(session, session.use(operation), what)
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
        with scenario.session(credentials=_CREDENTIALS) as session:
            # More than one, because a client may request a token when it is made.
            session.broker.script(fault.times(_SEVERAL))
            session.record(fault_step(fault))
            outcome = session.use(operation)
            requests = [exchange.request for exchange in session.trace.token_requests]
            if fault.coding and not any(allows_coding(r.headers, fault.coding) for r in requests):
                return Situation.UNMET
            _must_use_the_token(session, outcome, what)
            return Situation.met_if(requests)

    scenario.for_each(_TRANSFERS, run_case)


@pytest.mark.contract_clause(clauses.response.TOKEN_TYPE_CASE)
def test_token_type_case(scenario: Scenario) -> None:
    """Check that ``token_type`` is case-insensitive and a signed call has scheme ``Bearer``.

    RFC 6749, 5.1, makes the value case-insensitive. A client that copies it as the scheme is judged
    only if that shows: ``bearer`` is judged by `signing.bearer`.
    """

    def run_case(drawn: tuple[str, str]) -> Situation:
        token_type, operation = drawn
        answer = TokenAnswer(members={"token_type": token_type})
        with _session(
            scenario, answer, AnswerChanged(members={"token_type": token_type})
        ) as session:
            outcome = session.use(operation)
            _must_use_the_token(session, outcome, f"token_type={token_type}")
            scheme = (outcome.presented or "").partition(" ")[0]
            # signing.bearer judges a scheme that is always `bearer`, whatever the response says.
            if scheme == token_type and token_type not in ("Bearer", "bearer"):
                session.breach(
                    f"the call was signed with scheme {scheme!r}, copied from token_type",
                    "scheme 'Bearer' whatever the case of token_type",
                    outcome.api_calls,
                )
            return Situation.MET

    # RFC 6749, 5.1: the value is case-insensitive.
    first = [(t, op) for t in ("BEARER", "Bearer", "bearer") for op in scenario.run.capabilities]
    drawn = st.tuples(mixed_case("bearer"), scenario.operations())
    scenario.for_all(drawn, run_case, first=first)


def _must_raise(scenario: Scenario, answer: TokenAnswer, operation: str, what: str) -> Situation:
    """Judge a use whose token response is unusable.

    It must raise, and must not call the API. Returns MET, or raises the breach.
    """
    changed = AnswerChanged(members=dict(answer.members), omitted=answer.omit)
    if not answer.members and not answer.omit:
        changed = AnswerChanged(body=what)
    with _session(scenario, answer, changed) as session:
        outcome = session.use(operation)
        if not session.trace.token_requests:
            raise NotTested("the client sent no token request")
        # Before the error: a client may sign a call and raise afterwards.
        if outcome.calls_after_challenge:
            call = "a signed call" if outcome.presented is not None else "an unsigned call"
            happened = f"the token response {what}, and the client sent {call}"
            session.breach(happened, "an error", outcome.calls_after_challenge)
        if outcome.error is None:
            is_returned = operation == GET_TOKEN and outcome.token is not None
            did = "returned its token" if is_returned else outcome.in_words
            happened = f"the token response {what}, and the client {did}"
            session.breach(happened, "an error")
        return Situation.MET


@pytest.mark.contract_clause(clauses.response.TOKEN_TYPE_UNKNOWN)
def test_token_type_unknown(scenario: Scenario) -> None:
    """Check that the client does not use a token of an unknown type.

    RFC 6749, 7.1: the client must not use an access token if it does not understand the token type.
    """

    def run_case(token_type: object, operation: str) -> Situation:
        answer = TokenAnswer(members={"token_type": token_type})
        return _must_raise(scenario, answer, operation, f"says token_type={json.dumps(token_type)}")

    # The example of RFC 6749, 7.1; DPoP (RFC 9449); the type of token exchange (RFC 8693, 2.2.1);
    # and one that a comparison of prefixes accepts.
    scenario.for_each(["mac", "DPoP", "N_A", "bearertoken"], run_case)
    scenario.needs_control()


@pytest.mark.contract_clause(clauses.response.EXPIRES_IN_MISSING)
def test_expires_in_missing(scenario: Scenario) -> None:
    """Check that the client accepts a token response without ``expires_in``.

    Also after a token with a lifetime, which a client may carry over to the next one.
    """

    def run_case(comes_later: bool, operation: str) -> Situation:  # noqa: FBT001 - one of the cases
        with scenario.session(
            credentials=_CREDENTIALS, elsewhere=[clauses.refresh.HONOURS_EXPIRES_IN]
        ) as session:
            # A client may keep the lifetime of the token before, which has expired.
            if comes_later:
                session.use_well(operation)
                session.advance(3600)
            session.broker.token_answer = TokenAnswer(omit=("expires_in",))
            session.record(AnswerChanged(omitted=("expires_in",)))
            # A client may need the lifetime only at its second use, when it looks at the cached
            # token.
            for number in range(2):
                outcome = session.use(operation)
                if number == 0 and not outcome.token_requests:
                    raise NotTested("the client did not request the token without expires_in")
                _must_use_the_token(session, outcome, "no expires_in")
            return Situation.MET

    scenario.for_each([False, True] if scenario.run.time.is_virtual else [False], run_case)


@pytest.mark.contract_clause(clauses.response.EXPIRES_IN_FORMS)
def test_expires_in_forms(scenario: Scenario) -> None:
    """Check that the client reads ``"3599"`` and ``3599.0``, or raises an error that names them.

    A client passes if it raises an error that names the member, without calling it missing. If it
    accepts the form, it must also observe the lifetime.
    """

    def run_case(case: tuple[object, int], operation: str) -> Situation:
        expires_in, lifetime = case
        answer = TokenAnswer(members={"expires_in": expires_in})
        with scenario.session(
            credentials=_CREDENTIALS,
            expires_in=lifetime,
            elsewhere=[clauses.refresh.HONOURS_EXPIRES_IN],
        ) as session:
            session.broker.token_answer = answer
            form = f"expires_in={json.dumps(expires_in)}"
            session.record(AnswerChanged(members={"expires_in": expires_in}))
            _reads_or_reports(session, operation, lifetime, form)
            return Situation.met_if(session.trace.token_requests)

    scenario.for_each([("3599", 3599), (3599.0, 3599), ("60", 60)], run_case)


def _reads_or_reports(session: ClientSession, operation: str, lifetime: int, form: str) -> None:
    outcome = session.use(operation)
    if outcome.error is not None:
        said = str(outcome.error).lower()
        # Refusing is allowed if the message helps: "missing" would be wrong, as the member is
        # there.
        if "expires" not in said or "missing" in said:
            session.breach(
                f"with {form}, the client raised {session.masked(outcome.error)}",
                "a token, or an error that says that expires_in has the wrong type",
            )
        return
    _must_use_the_token(session, outcome, form)
    # Only where the clock moves, and only if the client observes the same lifetime as a number.
    if session.can_pass(lifetime + 1) and _is_replaced_in_time(
        session.control(), operation, lifetime
    ):
        session.advance(lifetime + 1)
        if session.use(operation).token == outcome.token:
            session.breach(
                f"with {form}, the token was still used {lifetime + 1} s after it was issued",
                "the lifetime to be read, or an error that names expires_in",
            )


def _is_replaced_in_time(control: ClientSession, operation: str, lifetime: int) -> bool:
    """Return whether the client observes that lifetime as a number: the control."""
    with control as session:
        first = session.use_well(operation)
        session.advance(lifetime + 1)
        return session.use(operation).token != first.token


def _body(content: bytes) -> Callable[[Members], bytes]:
    return lambda _members: content


_WITHOUT_TOKEN: dict[str, TokenAnswer] = {
    "is not JSON": TokenAnswer(render=_body(b"<html>Welcome</html>"), content_type="text/html"),
    "is half of its JSON": TokenAnswer(render=lambda members: json.dumps(members).encode()[:25]),
    "is empty": TokenAnswer(render=_body(b"")),
    "is a JSON array": TokenAnswer(render=lambda members: json.dumps([dict(members)]).encode()),
    "is a JSON string": TokenAnswer(render=_body(b'"access_token"')),
    "is null": TokenAnswer(render=_body(b"null")),
    "is an empty object": TokenAnswer(render=_body(b"{}")),
    "has no access_token": TokenAnswer(omit=("access_token",)),
    "has an empty access_token": TokenAnswer(members={"access_token": ""}),
    "has access_token null": TokenAnswer(members={"access_token": None}),
}
_NOT_STRINGS: dict[str, TokenAnswer] = {
    "has a number for access_token": TokenAnswer(members={"access_token": 12345}),
    "has a list for access_token": TokenAnswer(members={"access_token": ["abc"]}),
    "has an object for access_token": TokenAnswer(members={"access_token": {"value": "abc"}}),
    "has true for access_token": TokenAnswer(members={"access_token": True}),
}


@pytest.mark.contract_clause(clauses.response.NO_TOKEN)
def test_no_token(scenario: Scenario) -> None:
    """Check that a 200 without a token is an error, and that no call is signed with it.

    From a body that is not JSON to an empty ``access_token``. The control has a valid response.
    """
    _must_raise_on_each(scenario, _WITHOUT_TOKEN)


@pytest.mark.contract_clause(clauses.response.TOKEN_NOT_STRING)
def test_token_not_string(scenario: Scenario) -> None:
    """Check that an ``access_token`` of another type than string is an error.

    The control has a valid response.
    """
    _must_raise_on_each(scenario, _NOT_STRINGS)


def _must_raise_on_each(scenario: Scenario, answers: Mapping[str, TokenAnswer]) -> None:
    """Judge uses whose token responses have no usable token."""

    def run_case(what: str, operation: str) -> Situation:
        return _must_raise(scenario, answers[what], operation, what)

    scenario.for_each(answers, run_case)
    # The control: a client that always raises would pass.
    scenario.needs_control()
