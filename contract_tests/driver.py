"""What drives a client under test, whatever the client is written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from contract_tests.client import ClientConfig

if TYPE_CHECKING:
    from contract_tests.virtual_time import StoryTime

__all__ = ["LOOK_AT_THE_DRIVER", "Answer", "Driver", "DriverSource"]

LOOK_AT_THE_DRIVER = "`mockbroker driver-test` tells what a driver does wrong"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an operation: a value, an exception, or nothing within the deadline."""

    value: Any = None
    error: BaseException | None = None
    hung: bool = False


class Driver(Protocol):
    """One client, made and used. Nothing that a client does is raised: it is in the answers."""

    @property
    def subject(self) -> Any:
        """The client itself, if it is an object of this process."""

    def open(self) -> Answer:
        """Make the client. The answer's value is the tuple of operations that it offers."""

    def get_token(self) -> Answer:
        """Ask the client for a token; a text."""

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        """Have the client make a signed call; a status, or something that has one."""

    def get_tokens_at_once(self, count: int) -> list[Answer]:
        """Ask the client for a token, that many times at one moment."""

    def requests_at_once(self, method: str, url: str, count: int) -> list[Answer]:
        """Have the client make a signed call, that many times at one moment."""

    @property
    def leaves_something_running(self) -> bool:
        """Whether the client goes on with something although nobody uses it, as far as is known."""

    @property
    def output(self) -> str:
        """What the client has written so far where people may read it, if that is known here."""

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
    def failures(self) -> Sequence[str]:
        """How what drives the clients failed so far, which says nothing of the clients."""

    def driver(self, config: ClientConfig, deadline: float) -> Driver:
        """What drives a new client; an operation may take ``deadline`` seconds of real time."""

    def times(self) -> Sequence[StoryTime]:
        """The kinds of time that these clients may live by, the best first; the last is real."""

    def can_be_used_at_once(self, operation: str) -> bool:
        """Whether many operations of that kind can begin at one moment."""

    def close(self) -> None:
        """End whatever the clients live in."""
