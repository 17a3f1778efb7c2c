"""The steps of a reproduction: what the kit did with a broker and its clients, and the outcomes.

Steps are values. `mockbroker.report.wording` renders them as text, `mockbroker.report.timeline`
computes the lifetimes of tokens; neither reads the result of the other. In JSON the member ``step``
names the kind.

A step has what a reader needs to repeat it, and no more: numbers, names and enumerations, with
strings from the client masked. The fields are part of the JSON report's schema. Two steps with the
same fields are equal.
"""

from __future__ import annotations

import enum
import re
from typing import Any, Union

import msgspec

from mockbroker.broker.faults import Manner

__all__ = [
    "Action",
    "AnswerChanged",
    "AnswersDelayed",
    "Arrangement",
    "Awaited",
    "BreachRepeated",
    "BrokerStarted",
    "CertificateShown",
    "ClientClosed",
    "ClientKilled",
    "ClientMade",
    "ClientRestarted",
    "ClientUsed",
    "ClientUsedAtOnce",
    "ClientsClosed",
    "CredentialsConfigured",
    "DriverEnded",
    "EventLoopChanged",
    "FaultScripted",
    "FaultsCleared",
    "FileDamage",
    "FileDamaged",
    "GotNoToken",
    "GotToken",
    "HomeMadeUnwritable",
    "IdleConnectionsClosed",
    "IssuedToken",
    "LifetimeChanged",
    "NeverReturned",
    "NotRepeated",
    "Note",
    "NothingUsable",
    "OtherClientAdded",
    "OtherOriginReached",
    "Place",
    "ProgramEnded",
    "Raised",
    "ReprTaken",
    "ScopeConfigured",
    "SecretRotated",
    "SeedChosen",
    "SentTooManyRequests",
    "Step",
    "TimePassed",
    "TimeZoneSet",
    "TimeoutConfigured",
    "TokenChosen",
    "TokenPolicySet",
    "TokensRevoked",
    "UseOutcome",
    "UsesArranged",
    "WallClockSet",
]


def _kebab_case(name: str) -> str:
    """Return the tag of a class: ``ClientUsedAtOnce`` becomes ``client-used-at-once``."""
    # The names of the classes are the tags in JSON, so renaming a class changes the schema.
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


# Tagged by kind and without unknown fields: `compare` reads them back as the same types.
class _Outcome(
    msgspec.Struct, frozen=True, tag_field="outcome", tag=_kebab_case, forbid_unknown_fields=True
):
    """Base of the outcomes of a use of the client."""


class GotToken(_Outcome, frozen=True, kw_only=True):
    """The client returned or presented token number ``token`` of the broker.

    ``state`` is the token's state at that moment; ``is_fetched`` if the client requested the token
    in the same use.

    Tokens are numbered from 1 in the order of issue. The token itself is a secret and is never part
    of a step. ``state`` is the value of a `TokenState`.
    """

    token: int
    state: str
    is_fetched: bool = False


class NothingUsable(str, enum.Enum):
    """What a client can have instead of a token of the broker.

    Returned values belong to ``get_token``, presented ones and calls to ``request``.
    """

    EMPTY_STRING = "empty-string"
    OTHER_VALUE_RETURNED = "other-value-returned"
    OTHER_VALUE_PRESENTED = "other-value-presented"
    NOTHING_RETURNED = "nothing-returned"
    NO_CALL = "no-call"
    CALL_WITHOUT_TOKEN = "call-without-token"  # noqa: S105 - not a password


class GotNoToken(_Outcome, frozen=True, kw_only=True):
    """The client raised nothing and had no token of the broker.

    ``instead`` says what the client did, and ``value`` in words what it returned.
    """

    instead: NothingUsable
    value: str = ""


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A line of the client's own code. ``function`` is empty if it is unknown."""

    file: str
    line: int
    function: str = ""


class Raised(_Outcome, frozen=True, kw_only=True):
    """The client raised an exception: its type and message, masked.

    ``type_name`` is the name of its class, ``place`` the line of the client that raised it. The
    driver of a program may know neither.
    """

    error: str
    type_name: str = ""
    place: Union[Place, None] = None


class Awaited(str, enum.Enum):
    """What a client that did not return was seen to wait for in its process."""

    UNKNOWN = ""
    SOCKET = "socket"
    EVENT_LOOP = "event loop"


class NeverReturned(_Outcome, frozen=True, kw_only=True):
    """The client did not return within ``seconds`` of real time, and sent ``requests`` requests.

    ``seconds`` is the limit of the kit, not how long the client would have taken. If ``waits_for``
    is known, the client waits for ``limit_seconds``, or without a limit if that is None.
    """

    seconds: float
    requests: int
    waits_for: Awaited = Awaited.UNKNOWN
    limit_seconds: float | None = None


class SentTooManyRequests(_Outcome, frozen=True, kw_only=True):
    """The client sent more requests in one use than are ``allowed``, and the kit stopped it."""

    allowed: int


class ProgramEnded(_Outcome, frozen=True, kw_only=True):
    """The client ended its process by an exception such as SystemExit."""

    error: str


class DriverEnded(_Outcome, frozen=True, kw_only=True):
    """The process that drives the client ended or broke the protocol, for this reason."""

    reason: str


UseOutcome = Union[
    GotToken,
    GotNoToken,
    Raised,
    NeverReturned,
    SentTooManyRequests,
    ProgramEnded,
    DriverEnded,
]
"""The outcome of a use of the client."""


class IssuedToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A token that the broker issued, ``after_seconds`` into the step.

    ``token`` is the token's number, ``expires_in`` its lifetime in seconds.

    The broker's clock may move within a step, as when a client waits before a retry.
    """

    token: int
    expires_in: float
    after_seconds: float = 0.0


class _Step(
    msgspec.Struct, frozen=True, tag_field="step", tag=_kebab_case, forbid_unknown_fields=True
):
    """Base of the steps."""


class SeedChosen(_Step, frozen=True, kw_only=True):
    """The run explores with this seed; the same seed draws the same test cases.

    Only a run with random test cases has this step.
    """

    seed: int


class BrokerStarted(_Step, frozen=True, kw_only=True):
    """A broker starts; its tokens expire after ``expires_in`` seconds."""

    expires_in: float


class LifetimeChanged(_Step, frozen=True, kw_only=True):
    """The broker's new tokens expire after ``expires_in`` seconds from now on."""

    expires_in: float


class TimePassed(_Step, frozen=True, kw_only=True):
    """Time passes, in seconds."""

    seconds: float


class TimeZoneSet(_Step, frozen=True, kw_only=True):
    """The time zone of the client's process.

    ``clock_goes_back`` or ``clock_goes_forth`` if local time is set back or forth by an hour while
    the first token is valid.

    Clients that compute with local time are an hour wrong then.
    """

    zone: str
    clock_goes_back: bool = False
    clock_goes_forth: bool = False


class WallClockSet(_Step, frozen=True, kw_only=True):
    """The client's wall clock is set, so many seconds ahead of the broker's; less than 0: behind.

    Monotonic clocks do not change.
    """

    ahead_seconds: float


class TokenPolicySet(_Step, frozen=True, kw_only=True):
    """What the broker does from now on if a client has a valid token: `Broker.token_policy`."""

    policy: str


class _Action(_Step, frozen=True, kw_only=True):
    """Base of the actions of the client.

    ``client`` is the client's name if a reproduction has several. ``exchanges`` has the numbers of
    the exchanges during the action. ``issued`` has the tokens that the broker issued since the
    previous action.

    Steps stay small: the exchanges themselves stand once in the finding, and their numbers lead to
    them.
    """

    client: str = ""
    outcome: Union[UseOutcome, None] = None
    exchanges: tuple[int, ...] = ()
    issued: tuple[IssuedToken, ...] = ()


class ClientMade(_Action, frozen=True, kw_only=True):
    """The client is made; ``outcome`` is None if that succeeded.

    Making a client may already request a token, so it can have exchanges and issued tokens.
    """


class ClientUsed(_Action, frozen=True, kw_only=True):
    """The client is used once.

    ``operation`` is ``get_token`` or ``request``. ``method``, ``target`` and ``status`` belong to
    a request. ``waited_seconds`` passed on the client's clock during the use. ``is_forked`` if the
    use was in a forked child of the client's process.
    """

    operation: str
    method: str = ""
    target: str = ""
    status: int | None = None
    waited_seconds: float = 0.0
    is_forked: bool = False


class ClientUsedAtOnce(_Action, frozen=True, kw_only=True):
    """The client is used ``count`` times at once; ``good`` uses had a valid token.

    ``outcome`` is None if every use ended. ``in_processes`` if each use has a client and a process
    of its own.

    The uses have no order among themselves, so their outcomes are counted instead of listed.
    """

    operation: str
    count: int
    good: int = 0
    in_processes: bool = False


class ReprTaken(_Action, frozen=True, kw_only=True):
    """The kit takes the repr of the client, and that fails.

    The repr of a client is searched for its secret.
    """


Action = Union[ClientMade, ClientUsed, ClientUsedAtOnce, ReprTaken]
"""An action of the client."""


class ClientClosed(_Step, frozen=True, kw_only=True):
    """The client is closed, if it can be, and dropped."""


class ClientRestarted(_Step, frozen=True, kw_only=True):
    """The client ends, and is made again at its next use.

    It has the same settings, except for the secret if ``has_new_secret``, and the same files. If
    ``in_new_process``, its process has ended as well.

    A client may keep its token in a file, and then the token outlives the client.
    """

    in_new_process: bool = False
    has_new_secret: bool = False


class Arrangement(str, enum.Enum):
    """How the uses of the next step meet.

    The broker holds an answer back until the client has nothing left to do but wait.
    """

    ONE_IN_FLIGHT = "one-in-flight"
    NEIGHBOUR_IN_FLIGHT = "neighbour-in-flight"
    REFUSED_AT_ONCE = "refused-at-once"
    REFRESHED_MEANWHILE = "refreshed-meanwhile"
    WAITER_CANCELLED = "waiter-cancelled"
    FETCHER_CANCELLED = "fetcher-cancelled"


class ClientsClosed(_Step, frozen=True, kw_only=True):
    """More clients were made in the same process, used, closed and dropped, one by one."""

    count: int


class ClientKilled(_Step, frozen=True, kw_only=True):
    """The process of the client is killed while a use waits for its token."""


class UsesArranged(_Step, frozen=True, kw_only=True):
    """The uses of the next step are arranged, and not left to chance."""

    arrangement: Arrangement


class EventLoopChanged(_Step, frozen=True, kw_only=True):
    """The event loop of the client is closed; the next use has another one."""


class FileDamage(str, enum.Enum):
    """What happens to a file of the client."""

    EMPTY = "empty"
    HALF_WRITTEN = "half-written"
    FOREIGN_BYTES = "foreign-bytes"
    FOREIGN_JSON = "foreign-json"
    REPLACED_BY_FOLDER = "replaced-by-folder"


class FileDamaged(_Step, frozen=True, kw_only=True):
    """A file that the client has written is damaged; ``name`` is its last path component."""

    name: str
    damage: FileDamage


class HomeMadeUnwritable(_Step, frozen=True, kw_only=True):
    """The client cannot write in HOME, because a file stands in its place."""


class OtherClientAdded(_Step, frozen=True, kw_only=True):
    """A second client starts in the same process; it differs in ``difference`` only.

    It shows whether clients share a cache by mistake.
    """

    difference: str


# Defaults are omitted: a fault sets few of its fields, and the others would hide them in the JSON.
class FaultScripted(_Step, frozen=True, kw_only=True, omit_defaults=True):
    """An endpoint answers with a fault, ``times`` times; None until the faults are cleared.

    ``status`` replaces the endpoint's own answer; ``body_type`` is the media type of its body, or
    ``empty``. ``error`` is the error code in the body. ``changed`` and ``omitted`` are members of
    the usual answer. ``coding`` is the content coding by which the body is compressed.
    """

    endpoint: str
    times: int | None = None
    manner: Manner = Manner.NORMAL
    status: int | None = None
    error: str = ""
    body_type: str = ""
    retry_after: str = ""
    redirects: bool = False
    delay_seconds: float = 0.0
    latency_seconds: float = 0.0
    # msgspec copies an empty default for each instance, so no two steps share it.
    changed: dict[str, Any] = {}
    omitted: tuple[str, ...] = ()
    breaks_json: bool = False
    coding: str = ""


class FaultsCleared(_Step, frozen=True, kw_only=True):
    """The endpoint works as usual again."""

    endpoint: str = "token"


class AnswersDelayed(_Step, frozen=True, kw_only=True):
    """The next answers of the token endpoint take these numbers of seconds, in this order.

    Uses at once can race only while an answer is under way.
    """

    delays_seconds: tuple[float, ...]


class AnswerChanged(_Step, frozen=True, kw_only=True, omit_defaults=True):
    """The token endpoint answers differently from now on.

    ``members`` are added or replaced, ``omitted`` left out. ``form`` says how the JSON is written
    and ``body`` what is sent instead of it, in a few words each.
    """

    members: dict[str, Any] = {}
    omitted: tuple[str, ...] = ()
    form: str = ""
    body: str = ""
    media_type: str = ""


class TokenChosen(_Step, frozen=True, kw_only=True):
    """The next token is this one, in clear: the kit made it for the test case."""

    value: str


class TokensRevoked(_Step, frozen=True, kw_only=True):
    """The broker revokes every token."""


class SecretRotated(_Step, frozen=True, kw_only=True):
    """The broker replaces the secret of a client."""

    client: str


class CertificateShown(_Step, frozen=True, kw_only=True):
    """The broker shows a certificate for ``host``; ``is_trusted`` if the client knows its CA.

    A sound client refuses a certificate for another host or by an unknown CA.
    """

    host: str
    is_trusted: bool


class IdleConnectionsClosed(_Step, frozen=True, kw_only=True):
    """The server closed the connections on which it waited for a request."""


class TimeoutConfigured(_Step, frozen=True, kw_only=True):
    """The client is configured with this timeout, in seconds."""

    seconds: float


class CredentialsConfigured(_Step, frozen=True, kw_only=True):
    """The client is configured with these credentials, in clear.

    They are the kit's own, made for the test case, and matter for it. Everywhere else they are
    masked.
    """

    client_id: str
    client_secret: str


class ScopeConfigured(_Step, frozen=True, kw_only=True):
    """The client is configured with this scope, a space-separated list."""

    scope: str


class OtherOriginReached(_Step, frozen=True, kw_only=True):
    """Another origin receives a request that carries ``carried``: ``credentials`` or ``token``."""

    method: str
    path: str
    carried: str


class BreachRepeated(_Step, frozen=True, kw_only=True):
    """The breach was seen ``count`` times; the exchanges show the first."""

    count: int


class NotRepeated(_Step, frozen=True, kw_only=True):
    """The kit repeated the same steps, and their outcome was different.

    The breach then depends on chance or on real time, and the reader should know that before
    debugging.
    """


class Note(_Step, frozen=True, kw_only=True):
    """An event without a step of its own, as a string.

    A new kind of step is better where code depends on the event: no code reads a note.
    """

    text: str


Step = Union[
    SeedChosen,
    BrokerStarted,
    LifetimeChanged,
    TimePassed,
    TimeZoneSet,
    WallClockSet,
    TokenPolicySet,
    ClientMade,
    ClientUsed,
    ClientUsedAtOnce,
    ReprTaken,
    ClientClosed,
    ClientRestarted,
    ClientKilled,
    ClientsClosed,
    UsesArranged,
    EventLoopChanged,
    FileDamaged,
    HomeMadeUnwritable,
    OtherClientAdded,
    FaultScripted,
    FaultsCleared,
    AnswersDelayed,
    AnswerChanged,
    TokenChosen,
    TokensRevoked,
    SecretRotated,
    CertificateShown,
    IdleConnectionsClosed,
    TimeoutConfigured,
    CredentialsConfigured,
    ScopeConfigured,
    OtherOriginReached,
    BreachRepeated,
    NotRepeated,
    Note,
]
"""One step of a reproduction."""
