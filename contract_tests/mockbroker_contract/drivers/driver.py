"""What drives a client under test, whatever the client is written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mockbroker.model.client import ClientConfig

if TYPE_CHECKING:
    from mockbroker_contract.drivers.sandbox import Sandbox
    from mockbroker_contract.timing.run_time import RunTime

__all__ = ["GET_TOKEN", "REQUEST", "Answer", "Driver", "DriverSource", "Raised", "Returned"]

GET_TOKEN, REQUEST = "get_token", "request"
"""The operations that a client may offer."""


@dataclass(frozen=True, slots=True)
class Raised:
    """What a client raised, as its process reports it.

    ``name`` is the exception's class, ``bases`` the names of the classes that it inherits from,
    itself first. ``texts`` has everything that the exception and those that led to it say: as
    str and repr, in attributes and notes. ``is_exit`` if it would have ended the program.
    """

    name: str
    message: str = ""
    bases: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    is_exit: bool = False

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Returned:
    """What ``request`` returned: its HTTP status, None if it does not say; or nothing at all."""

    status: int | None
    is_none: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an operation: a value, what was raised, or nothing within the deadline."""

    value: Any = None
    error: Raised | None = None
    hung: bool = False


class Driver(Protocol):
    """One client, made and used. Nothing that a client does is raised: it is in the answers."""

    def open(self) -> Answer:
        """Make the client. The answer's value is the tuple of operations that it offers."""

    def get_token(self) -> Answer:
        """Ask the client for a token; a text."""

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        """Have the client make a signed call; a `Returned`."""

    def get_tokens_at_once(self, count: int) -> list[Answer]:
        """Ask the client for a token, that many times at one moment."""

    def requests_at_once(self, method: str, url: str, count: int) -> list[Answer]:
        """Have the client make a signed call, that many times at one moment; see `request`."""

    @property
    def leaves_something_running(self) -> bool:
        """Whether the client goes on with something although nobody uses it, as far as is known."""

    def watch(self) -> None:
        """Keep what the client lets others see; called before `open`."""

    def exposed(self) -> list[tuple[str, str]] | None:
        """What was seen since it was asked for last: where, and the text; None if it hung."""

    def cut_off(self) -> None:
        """Take the operation that is running now for one that never ends; from any thread."""

    def close(self) -> None:
        """Close the client, if it can be closed."""


class DriverSource(Protocol):
    """Where the clients of a run come from."""

    @property
    def description(self) -> Mapping[str, Any]:
        """What is known of the client by itself: ``name``, ``version``, ``capabilities``."""

    @property
    def maker(self) -> str:
        """What makes the clients, in words."""

    @property
    def remedy(self) -> str:
        """What to do if making a client ends the process, in words."""

    @property
    def failures(self) -> Sequence[str]:
        """How what drives the clients failed so far, which says nothing of the clients."""

    @property
    def limits(self) -> Sequence[str]:
        """Which guarantees of the clients' isolation do not hold here, each in a sentence."""

    def live_in(self, sandbox: Sandbox, *, shows_output: bool = False) -> None:
        """Have the clients live in these folders; called once, before anything else.

        If ``shows_output``, what they write is printed on standard error.
        """

    def driver(self, config: ClientConfig, deadline: float, trusted: str | None = None) -> Driver:
        """What drives a new client; an operation may take ``deadline`` seconds of real time.

        Its environment says that the CA file ``trusted`` is to be trusted.
        """

    def times(self) -> Sequence[RunTime]:
        """The kinds of time that these clients may live by, the best first; the last is real."""

    def can_be_used_at_once(self, operation: str) -> bool:
        """Whether many operations of that kind can begin at one moment."""

    def close(self) -> None:
        """End whatever the clients live in."""
