"""What the control API reads and returns, as typed values.

Bodies and queries are read into these classes, and responses made from them. The OpenAPI document
describes the same classes, so that it cannot differ from what the server does.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from msgspec import Meta, Struct

from mockbroker.broker.clock import LAST_MOMENT
from mockbroker.broker.exchange_view import ExchangeView
from mockbroker.contract.clause import Level
from mockbroker.model.credentials import TokenState
from mockbroker.model.exchange_record import ExchangeRecord
from mockbroker.model.profile import TokenPolicy
from mockbroker.server.control.fault_body import FaultBody

__all__ = [
    "AdvanceBody",
    "ApiRouteBody",
    "ApiRouteName",
    "ApiRouteView",
    "ApiRoutesView",
    "BreachedClause",
    "ClientBody",
    "ClientCreated",
    "ClientView",
    "Clients",
    "ClockBody",
    "ClockView",
    "Closest",
    "Conformance",
    "ConformanceBody",
    "ConformanceQuery",
    "Counts",
    "Done",
    "EndedTokens",
    "EventsQuery",
    "ExpectBody",
    "FaultsBody",
    "FaultsView",
    "FoundToken",
    "Health",
    "Journal",
    "JournalQuery",
    "MaskBody",
    "MaskedText",
    "Matched",
    "Overview",
    "Problem",
    "Ready",
    "ScriptedFault",
    "SecretBody",
    "SettingsBody",
    "SettingsView",
    "SetupBody",
    "SetupView",
    "TokenAnswerBody",
    "TokenBody",
    "TokenView",
    "Tokens",
    "TokensBody",
    "TokensQuery",
    "Unmet",
    "WaitBody",
]

LONGEST_WAIT_SECONDS = 300

_Id = Annotated[str, Meta(min_length=1, description="a string that is not empty")]
_Limit = Annotated[int, Meta(ge=1, le=10_000, description="an integer from 1 to 10000")]
_Number = Annotated[int, Meta(ge=0, le=2**53, description="the number of an exchange")]
_Status = Annotated[int, Meta(ge=100, le=599, description="a status from 100 to 599")]
_Count = Annotated[int, Meta(ge=1, le=1_000_000, description="an integer from 1 to 1000000")]
_Times = Annotated[int, Meta(ge=0, le=1_000_000, description="an integer from 0 to 1000000")]
_Wait = Annotated[
    float,
    Meta(
        ge=0,
        le=LONGEST_WAIT_SECONDS,
        description=f"a number of seconds from 0 to {LONGEST_WAIT_SECONDS}",
    ),
]
_Seconds = Annotated[
    float, Meta(ge=0, le=LAST_MOMENT, description="a number of seconds, 0 or more")
]
_Lifetime = Annotated[
    float, Meta(ge=0, le=1e12, description="a number of seconds from 0 to 1000000000000")
]
_Moment = Annotated[
    float, Meta(ge=0, le=LAST_MOMENT, description="a Unix time in seconds, up to the year 9999")
]
_Path = Annotated[str, Meta(pattern="^/", description="a path that begins with a slash")]


class Problem(Struct, kw_only=True):
    """Why a request failed: a code for programs, and a sentence that says what to do."""

    error: str
    message: str


# The broker as a whole


class Health(Struct):
    """The server answers."""

    status: Literal["ok"] = "ok"


class Ready(Struct, kw_only=True):
    """The broker is mounted; clients may use these URLs."""

    ready: bool
    token_url: str
    api_url: str
    ca_file: Union[str, None]


class Overview(Struct, kw_only=True):
    """The broker and where its parts are; ``ca_file`` is the certificate that clients must trust.

    ``fault_count`` and ``api_fault_count`` are how many answers the scripted faults affect.
    """

    version: str
    profile: str
    strict: bool
    token_url: str
    api_url: str
    ca_file: Union[str, None]
    control_url: str
    openapi_url: str
    page_url: str
    now: float
    exchange_count: int
    fault_count: int
    api_fault_count: int


class Done(Struct, kw_only=True):
    """What was asked for has been done."""

    done: bool = True


class RotationBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """Whether the old keys are published no more, so that tokens signed by them become invalid."""

    withdraw_old: bool = False


class SetupBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which client's settings to show, by default the first one's, and whether with its secret."""

    client_id: Union[str, None] = None
    with_secret: bool = False


class SetupView(Struct, kw_only=True):
    """The settings of an application, in three forms; `***` stands for a secret not asked for."""

    client_id: str
    curl: str
    environment: str
    toml: str


class MaskBody(Struct, forbid_unknown_fields=True):
    """A string that may have secrets or tokens of the broker."""

    text: str


class MaskedText(Struct):
    """The string with every secret and token replaced."""

    text: str


# Time


class ClockView(Struct, kw_only=True):
    """The broker's time, by which tokens expire; `now` is in Unix seconds."""

    now: float
    iso: Union[str, float, None]


class AdvanceBody(Struct, forbid_unknown_fields=True):
    """By how much the time moves forward."""

    seconds: _Seconds


class ClockBody(Struct, forbid_unknown_fields=True):
    """A time to move to, in Unix seconds or as ISO 8601; it must not be earlier than now."""

    now: Union[_Moment, str]


# Tokens


class TokenView(Struct, kw_only=True):
    """An access token. `number` counts the tokens since the last reset, and names the token.

    `masked` shows its first characters. `seconds_left` is 0 for a token that is not valid.
    """

    number: int
    masked: str
    client_id: str
    scope: str
    state: TokenState
    issued_at: float
    expires_in: float
    seconds_left: float


class Tokens(Struct, kw_only=True):
    """The latest tokens, the oldest first; `total` counts those that the query asked for."""

    total: int
    tokens: tuple[TokenView, ...]


class TokensQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which tokens to list, and how many at most."""

    state: Union[Literal["valid", "expired", "revoked"], None] = None
    client_id: Union[str, None] = None
    limit: _Limit = 100


class TokenBody(Struct, forbid_unknown_fields=True):
    """The value of a token."""

    value: str


class TokensBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which tokens are meant: the one with that value, or all of them."""

    value: Union[str, None] = None
    all: bool = False


class FoundToken(Struct, kw_only=True):
    """The state of a token value; `token` is null if the broker has no such token."""

    state: TokenState
    token: Union[TokenView, None]


class EndedTokens(Struct, kw_only=True):
    """How many tokens were revoked or expired."""

    count: int


# Clients


class ClientView(Struct, kw_only=True):
    """A client that may request tokens. Secrets are not shown."""

    client_id: str


class Clients(Struct):
    """The registered clients; a lenient broker issues to the first if it recognizes none."""

    clients: tuple[ClientView, ...]


class ClientBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """A client to register; the broker chooses what is left out."""

    client_id: Union[_Id, None] = None
    client_secret: Union[str, None] = None


class SecretBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """The new secret of a client; the broker chooses one if it is left out."""

    client_secret: Union[str, None] = None


class ClientCreated(Struct, kw_only=True):
    """A client. `client_secret` is shown this once, and only if the broker has chosen it."""

    client_id: str
    client_secret: Union[str, None]


# Faults


class FaultsBody(Struct, forbid_unknown_fields=True):
    """Faults for the next answers of one endpoint, in this order, after those that wait."""

    faults: Annotated[
        list[FaultBody], Meta(min_length=1, max_length=1000, description="a list of 1 to 1000")
    ]


class ScriptedFault(Struct, kw_only=True):
    """A fault that waits; `times` is how many answers it affects yet."""

    description: str
    times: int
    fault: FaultBody


class FaultsView(Struct, kw_only=True):
    """The faults that wait, in order, for each endpoint."""

    token: tuple[ScriptedFault, ...]
    api: tuple[ScriptedFault, ...]


# Settings


class TokenAnswerBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """The form of a token response: members to add or replace, and members to leave out."""

    members: dict[str, Any] = {}
    omit: tuple[str, ...] = ()
    content_type: Annotated[str, Meta(min_length=1)] = "application/json"


class SettingsBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """Settings to change; what is left out, or null, stays as it is.

    A `profile` is the name of one. It sets the lifetime and the token policy too, unless they are
    given as well. `token_values` are the values of the next tokens; later ones are random.
    """

    profile: Union[str, None] = None
    expires_in: Union[_Lifetime, None] = None
    strict: Union[bool, None] = None
    token_policy: Union[TokenPolicy, None] = None
    scope: Union[str, None] = None
    agreed_paths: Union[list[_Path], None] = None
    token_answer: Union[TokenAnswerBody, None] = None
    token_values: Union[list[_Id], None] = None


class SettingsView(Struct, kw_only=True):
    """The settings of the broker. `has_token_values` says that a test chooses token values."""

    profile: str
    expires_in: float
    strict: bool
    token_policy: TokenPolicy
    scope: str
    agreed_paths: tuple[str, ...]
    token_answer: TokenAnswerBody
    has_token_values: bool


# Routes of the protected API


class ApiRouteBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """A route of the protected API, with the answer of each call; without `json` it has no body.

    `path` is relative to the URL of the API, and may have parameters, such as `/vehicle/{id}`. A
    token that lacks one of the `scopes` gets 403.
    """

    method: str
    path: _Path
    json: Any = None
    status: int = 200
    headers: dict[str, str] = {}
    scopes: tuple[str, ...] = ()


class ApiRouteName(Struct, forbid_unknown_fields=True, kw_only=True):
    """A route of the protected API, by its method and its path as they were given."""

    method: str
    path: str


class ApiRouteView(Struct, kw_only=True):
    """A route of the protected API. `calls` counts those that it has answered, up to 1000."""

    method: str
    path: str
    scopes: tuple[str, ...]
    calls: int


class ApiRoutesView(Struct):
    """The routes in the order in which they are tried. Calls that fit none get a sample."""

    routes: tuple[ApiRouteView, ...]


# The journal


class JournalQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which exchanges to list: those after number `since` that fit, the latest `limit` of them."""

    method: Union[str, None] = None
    url: Union[str, None] = None
    status: Union[_Status, None] = None
    endpoint: Union[Literal["token", "api", "elsewhere"], None] = None
    since: _Number = 0
    limit: _Limit = 100


class Journal(Struct, kw_only=True):
    """Exchanges, the oldest first. `fits` counts those that the query asked for.

    `total` counts every exchange since the last reset, `dropped` those that the journal no longer
    holds.
    """

    total: int
    dropped: int
    fits: int
    exchanges: tuple[ExchangeView, ...]


class ExpectBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """What exchanges must be like, and how many of them; without `times` at least one.

    `url` is a whole URL or begins with the path; without a query it fits any query. Only exchanges
    after number `since` count.
    """

    method: Union[str, None] = None
    url: Union[str, None] = None
    headers: dict[str, str] = {}
    status: Union[_Status, None] = None
    times: Union[_Times, None] = None
    since: _Number = 0


class WaitBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """What exchanges must be like, and how many must have come before the wait ends."""

    method: Union[str, None] = None
    url: Union[str, None] = None
    headers: dict[str, str] = {}
    status: Union[_Status, None] = None
    count: _Count = 1
    since: _Number = 0
    timeout_seconds: _Wait = 10


class Matched(Struct, kw_only=True):
    """The numbers of the exchanges that fit, and the number of the latest exchange."""

    fits: int
    numbers: tuple[int, ...]
    total: int


class Closest(Struct, kw_only=True):
    """An exchange that comes close, and how it differs."""

    number: int
    request: str
    differences: tuple[str, ...]


class Unmet(Struct, kw_only=True):
    """An expectation that does not hold; the message is that of `assert_seen`."""

    error: str
    message: str
    fits: int
    closest: tuple[Closest, ...]


# Conformance


class ConformanceQuery(Struct, forbid_unknown_fields=True):
    """The level from which a breach counts as a violation: MUST, SHOULD, MAY or PRACTICE."""

    fail_on: Level = Level.MUST


class ConformanceBody(Struct, forbid_unknown_fields=True):
    """The level from which a breach counts as a violation: MUST, SHOULD, MAY or PRACTICE."""

    fail_on: Level = Level.MUST


class Counts(Struct, kw_only=True):
    """What the journal holds."""

    token_requests: int
    api_calls: int
    tokens: int


class BreachedClause(Struct, kw_only=True):
    """A clause that the traffic breaks, with the first breach and the exchanges that show it."""

    clause: str
    level: Level
    title: str
    what: str
    count: int
    fix: str
    exchanges: tuple[ExchangeRecord, ...]


class Conformance(Struct, kw_only=True):
    """What the traffic in the journal shows so far; traffic alone never shows conformance.

    `verdict` is `violated` if a clause at `fail_on` or above is broken, `no-violation-seen` if none
    is, and `nothing-tested` without a token request. `kept` are clauses whose situation was seen
    and that were kept in it. `not_tested` has a reason for each other clause that traffic could
    show. `scenarios_needed` counts the clauses that only `mockbroker check` can test.
    """

    verdict: Literal["violated", "no-violation-seen", "nothing-tested"]
    conclusion: str
    fail_on: Level
    profile: str
    seen: Counts
    violated: tuple[BreachedClause, ...]
    advice: tuple[BreachedClause, ...]
    kept: tuple[str, ...]
    not_tested: dict[str, str]
    not_applicable: dict[str, str]
    scenarios_needed: int


# Events


class EventsQuery(Struct, forbid_unknown_fields=True):
    """After which exchange the events begin; by default with the next one."""

    since: Union[_Number, None] = None
