"""The protocol by which the harness drives a client in any language.

Two implementations exist: one for Python clients in a host process, one for programs that speak
JSON lines. The harness knows only the protocol classes here. So every clause judges both kinds by
the same steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mockbroker.model.client import ClientConfig
from mockbroker.report.steps import Place
from mockbroker_contract.drivers.observed_wait import ObservedWait

if TYPE_CHECKING:
    from mockbroker_contract.drivers.sandbox import Sandbox
    from mockbroker_contract.timing.run_time import RunTime

__all__ = [
    "GET_TOKEN",
    "REQUEST",
    "Answer",
    "ArrangedUses",
    "Driver",
    "DriverSource",
    "Holdings",
    "Raised",
    "Returned",
]

GET_TOKEN, REQUEST = "get_token", "request"
"""The operations that a client may offer."""


@dataclass(frozen=True, slots=True)
class Raised:
    """Exception of a client, as its process reports it.

    ``name`` is the exception's class, ``bases`` the names of the classes that it inherits from,
    itself first. ``texts`` has every string of the exception and of its causes: str and repr,
    attributes and notes. ``is_exit`` is True if it would have ended the program. ``place`` is the
    line of the client's own code that raised it, ``traceback`` the whole traceback or an empty
    string. None of the strings is masked.
    """

    name: str
    message: str = ""
    bases: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    is_exit: bool = False
    place: Place | None = None
    traceback: str = ""

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Returned:
    """Return value of ``request``: the HTTP status, or None if it has none.

    A status of None is not a failure: a client may return parsed data instead of a response.
    """

    status: int | None
    is_none: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of an operation: a value, an exception, or nothing within the deadline.

    ``value`` is None for an operation that raised or hung. ``hung`` means that the deadline passed,
    or that the harness stopped the use; the client's process is then no longer usable. ``changed``
    names the arguments of the call into which the client has written. ``described`` has a returned
    value that is not a string, in words. ``wait`` is what a client that hung was seen to wait for,
    if that ended the operation before its deadline.
    """

    value: Any = None
    error: Raised | None = None
    hung: bool = False
    changed: tuple[str, ...] = ()
    described: str = ""
    wait: ObservedWait | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """Numbers of what a client holds in its process.

    ``threads`` and ``tasks`` are the client's own; ``sockets`` and ``files`` are the open
    descriptors of the whole process. ``is_closable`` says whether the client can be closed.
    """

    threads: int
    tasks: int
    sockets: int
    files: int
    is_closable: bool


class ArrangedUses(Protocol):
    """Uses of one client that a test case arranges: in flight, cancelled, in other processes.

    The same exceptions as those of `Driver`.
    """

    def begin(self, operation: str, count: int, **call: str) -> None:
        """Have the client begin ``count`` uses, and return at once.

        ``call`` has the ``method`` and ``url`` of a request. Uses may be begun while others run;
        all of them have the same operation.
        """

    def settle(self) -> bool:
        """Wait until each begun use has ended or waits for something; return whether all ended.

        An answer that the broker holds is waited for as well.
        """

    def cancel(self, number: int) -> None:
        """Cancel the begun use with that number, counted from 0; asynchronous clients only."""

    def finish(self) -> list[Answer]:
        """Wait for every begun use, and return the answers in the order of their beginnings."""

    def kill(self) -> None:
        """Kill the process of the client, with the begun uses; no exit handler runs.

        Other clients in it are lost as well.
        """

    @property
    def event_loop(self) -> str:
        """The framework of the client's event loop, known after a use; empty without one."""

    def change_loop(self) -> None:
        """Close the client's event loop; its next use makes another one."""

    def use_periodically(self, operation: str, count: int, seconds: float, **call: str) -> Answer:
        """Have the client do that operation ``count`` times, each after virtual ``seconds``.

        The answer's value is how many were done before one raised. The clock must be virtual.
        """

    def use_forked(self, operation: str, **call: str) -> Answer:
        """Have the client do that operation once in a forked child of its process."""

    def use_in_processes(self, count: int, operation: str, **call: str) -> list[Answer]:
        """Make a client in each of ``count`` processes, and use it there once, all at once.

        The processes have the same folders. The client of this driver is not used.
        """

    def holdings(self) -> Holdings:
        """Return what the client holds, after a collection of garbage."""

    def threads_after_close(self) -> list[str]:
        """Close and drop the client; return the names of its threads that a program waits for.

        Those are the threads that are not daemons and still run after a second of real time.
        """


class Driver(Protocol):
    """One client, made and used. Its exceptions are never raised here: answers contain them.

    Operations block until the client's answer or the deadline of the driver, which is in real
    seconds. They may be called from any thread; a driver serializes what its process cannot do
    concurrently.

    All operations may raise ClientCrashed, if the client's process died, and DriverFailed, if the
    driver broke its protocol.
    """

    def open(self) -> Answer:
        """Make the client. The answer's value is the tuple of operations that it offers.

        An error in the answer is what the client's factory raised. Raises TargetError if the result
        is not a client.
        """

    def get_token(self) -> Answer:
        """Have the client get a token; the answer's value is a string.

        A value of None without an error means that the client returned something other than a
        string, which the answer describes.
        """

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        """Have the client make a signed call; the answer's value is a `Returned`.

        ``kwargs`` are those of `requests.request` that a test case uses: ``headers`` and
        ``params``, dicts of strings, and ``data``, bytes or a string. With ``is_stream`` the client
        gets an iterator over the body, which it can read once. ``params`` and ``is_stream`` are for
        clients that are `in_python` only.
        """

    def get_tokens_at_once(self, count: int) -> list[Answer]:
        """Have the client get a token ``count`` times concurrently.

        The list has ``count`` answers in no particular order. If the driver itself did not answer,
        all are the same hung answer.
        """

    def requests_at_once(self, method: str, url: str, count: int) -> list[Answer]:
        """Have the client make ``count`` signed calls concurrently; see `request`."""

    @property
    def arranged(self) -> ArrangedUses | None:
        """The client's uses that a test case arranges one by one; None without such operations."""

    @property
    def leaves_something_running(self) -> bool:
        """Whether the client may still have a thread or task running between uses."""

    def watch(self) -> None:
        """Record what the client makes visible; called before `open`.

        Visible are output, log records of every level, warnings, exceptions, and the client's repr.
        """

    def look_at_waits(self) -> None:
        """End an operation early once the client is known to wait beyond the deadline.

        Called before `open`, for a broker that never answers. Has no effect for a program: nothing
        is known of what it waits for.
        """

    def exposed(self) -> list[tuple[str, str]] | None:
        """Return new visible texts, each with its place; None if reading them timed out.

        The texts are not masked: they are searched for secrets, and never stored.
        """

    def cut_off(self) -> None:
        """Count the current operation as one that never ends; safe from any thread.

        The waiting operation then returns a hung answer.
        """

    def close(self) -> None:
        """Close the client, if it can be closed.

        Errors are ignored, because no clause is about them. Has no effect if the process has ended.
        """


class DriverSource(Protocol):
    """Source of the clients of a run.

    It owns the process in which the clients live, and restarts it after a client has ended it. One
    source serves the whole run, because starting a process for each test case would take most of
    the time.
    """

    @property
    def description(self) -> Mapping[str, Any]:
        """Facts about the client: ``name``, ``version``, ``capabilities``."""

    @property
    def maker(self) -> str:
        """What makes the clients, in words."""

    @property
    def remedy(self) -> str:
        """What to do if making a client ends the process, in words."""

    @property
    def failures(self) -> Sequence[str]:
        """Failures of the driver so far, which are not failures of the clients."""

    @property
    def limits(self) -> Sequence[str]:
        """Guarantees of the clients' isolation that do not hold here, each in a sentence."""

    def network_obstacle(self) -> str:
        """Return what keeps requests in the client's process, and the next step; empty if nothing.

        That is a library that mocks HTTP or forbids sockets.
        """

    def use_sandbox(
        self, sandbox: Sandbox, *, shows_output: bool = False, shows_tracebacks: bool = False
    ) -> None:
        """Run the clients in this sandbox; called once, before any other method.

        If ``shows_output`` is True, the clients' output is printed on standard error. With
        ``shows_tracebacks``, exceptions of the clients have their traceback where the driver knows
        it.
        """

    def driver(self, config: ClientConfig, deadline: float) -> Driver:
        """Return the driver of a new client; ``deadline`` is in real seconds per operation.

        Its environment names the CA file of the configuration as well, if there is one: many
        clients cannot be given one otherwise.

        Nothing is sent to the client's process before `Driver.open`.
        """

    def times(self) -> Sequence[RunTime]:
        """Return the kinds of time for these clients, the best first, real time last.

        Which of them the client follows is for the preflight to find out.
        """

    @property
    def in_python(self) -> bool:
        """Whether the arguments of a call are Python objects: dicts and iterators."""

    def can_be_used_at_once(self, operation: str) -> bool:
        """Return whether many operations of that kind can run concurrently.

        False means that a clause on concurrency does not apply to the operation.
        """

    def restart(self) -> None:
        """Let the process of the clients exit; the next client is made in a new one.

        The files of the clients stay. Clients in the process are lost.
        """

    def ends_within(self, seconds: float) -> bool:
        """Have the process of the clients end as a program does; return whether it did in time.

        ``seconds`` is real time. The process waits for its threads, as an interpreter does at its
        end.
        """

    @property
    def arranges_uses(self) -> bool:
        """Whether the drivers have `Driver.arranged`."""

    def close(self) -> None:
        """End the process of the clients.

        The sandbox stays: it belongs to the run.
        """
