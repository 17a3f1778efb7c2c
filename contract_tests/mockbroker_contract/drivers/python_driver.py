"""Driver of a Python client in a separate process, the host, with deadlines."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from mockbroker.broker.clock import real_seconds
from mockbroker.model.client import ClientConfig
from mockbroker_contract.drivers.conversation import ProgramSilent
from mockbroker_contract.drivers.driver import (
    GET_TOKEN,
    REQUEST,
    Answer,
    Holdings,
)
from mockbroker_contract.drivers.failures import ClientCrashed, NotTested
from mockbroker_contract.drivers.host_answers import answer_in, read_use, status_in, token_in
from mockbroker_contract.drivers.protocol import config_members
from mockbroker_contract.drivers.python_host import (
    BROKE_ITS_PROCESS,
    HostBroken,
    PythonHost,
    costly,
)

__all__ = ["PythonDriver"]

# Long enough for a client that ends a connection in order, and short because no clause judges it.
_CLOSING_SECONDS = 2.0
_PROMPT_CLOSING_SECONDS = 0.2
"""Seconds for closing a client that do not count as slow."""
_ENDED_FOR_ANOTHER = "the client's process was ended, because another client in it hung"


class PythonDriver:
    """One client in the host, identified by a name.

    Operations are sent to the host that had the client made. If that host has ended they raise
    NotTested, because the client ended with it.
    """

    def __init__(
        self,
        host: PythonHost,
        name: str,
        config: ClientConfig,
        deadline: float,
        environment: Mapping[str, str],
    ) -> None:
        self._host = host
        self._name = name
        self._config = config
        self._deadline = deadline
        self._environment = dict(environment)
        self._generation: object = None
        self._seen_output = 0
        self._is_watched = False
        self._looks_at_waits = False
        self._begun: list[str] = []

    def open(self) -> Answer:
        """Make the client. The answer's value is the tuple of operations that it offers.

        Raises TargetError if it has none.
        """
        # One turn for all of it: the host, its generation and the client must belong together.
        with self._host.turn:
            try:
                answer = self._opened()
            # an earlier client may have broken it, so the operation gets a second, fresh host
            except HostBroken:
                answer = self._opened()
        if answer.error is not None or answer.hung:
            return answer
        with self._reading_answer("open"):
            return Answer(value=tuple(answer.value["capabilities"]))

    def _opened(self) -> Answer:
        """Make the client in the running host, and remember which host that is."""
        # Output from before belongs to earlier clients.
        self._seen_output = self._host.running().output.position
        self._generation = self._host.description
        # Before the client is made, because its constructor may show a secret as well.
        if self._is_watched:
            self._answer("watch", is_use=False)
        return self._answer(
            "open", config=config_members(self._config), environment=self._environment
        )

    def get_token(self) -> Answer:
        """Have the client get a token."""
        answer = self._answer("get_token")
        with self._reading_answer("get_token"):
            return token_in(answer)

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        """Have the client make a signed call; see `Driver.request` for the arguments."""
        data = kwargs.get("data")
        # Base64, because a body may be any bytes and the channel carries JSON.
        raw = data.encode() if isinstance(data, str) else data
        body = None if raw is None else base64.b64encode(raw).decode()
        others = {
            "headers": kwargs.get("headers"),
            "params": kwargs.get("params"),
            "is_stream": kwargs.get("is_stream", False),
        }
        answer = self._answer("request", method=method, url=url, body=body, **others)
        with self._reading_answer("request"):
            return status_in(answer)

    def get_tokens_at_once(self, count: int) -> list[Answer]:
        """Have the client get a token ``count`` times concurrently."""
        return self._burst(GET_TOKEN, count)

    def requests_at_once(self, method: str, url: str, count: int) -> list[Answer]:
        """Have the client make ``count`` signed calls concurrently."""
        return self._burst(REQUEST, count, method=method, url=url)

    def _burst(self, operation: str, count: int, **call: str) -> list[Answer]:
        """Use the client many times at once in the host; one request for all of them."""
        answer = self._answer("burst", count=count, operation=operation, call=call)
        return self._answers_in(answer, "burst", operation, count)

    def _answers_in(self, answer: Answer, op: str, operation: str, count: int) -> list[Answer]:
        """Return the answers of many uses; ``count`` times the same one if that was none."""
        if answer.hung or answer.error is not None:
            return [answer] * count
        with self._reading_answer(op):
            return [read_use(operation, answer_in(each)) for each in answer.value["answers"]]

    @property
    def arranged(self) -> PythonDriver:
        """The driver itself, which has the operations."""
        return self

    def begin(self, operation: str, count: int, **call: str) -> None:
        """Have the client begin ``count`` uses, and return at once; see `ArrangedUses.begin`."""
        self._begun = [*self._begun, *[operation] * count]
        self._answer("begin", is_use=False, operation=operation, count=count, call=call)

    def settle(self) -> bool:
        """Wait until each begun use has ended or waits for something; return whether all ended."""
        answer = self._answer("settle", is_use=False)
        with self._reading_answer("settle"):
            return answer.hung or bool(answer.value["ended"])

    def cancel(self, number: int) -> None:
        """Cancel the begun use with that number, counted from 0."""
        self._answer("cancel", is_use=False, number=number)

    def finish(self) -> list[Answer]:
        """Wait for every begun use, and return the answers in the order of their beginnings."""
        begun, self._begun = self._begun, []
        answer = self._answer("finish", operation=begun[0])
        return self._answers_in(answer, "finish", begun[0], len(begun))

    def kill(self) -> None:
        """Kill the process of the client; see `ArrangedUses.kill`."""
        self._begun = []
        self._host.end()

    @property
    def event_loop(self) -> str:
        """The framework of the client's event loop; empty for a synchronous client."""
        answer = self._answer("loop", is_use=False)
        with self._reading_answer("loop"):
            return "" if answer.hung else str(answer.value["loop"])

    def change_loop(self) -> None:
        """Close the client's event loop; its next use makes another one."""
        self._answer("change_loop", is_use=False)

    def use_periodically(self, operation: str, count: int, seconds: float, **call: str) -> Answer:
        """Have the client do that operation ``count`` times, each after virtual ``seconds``."""
        answer = self._answer(
            "use_periodically", operation=operation, count=count, seconds=seconds, call=call
        )
        with self._reading_answer("use_periodically"):
            return answer if answer.value is None else Answer(value=int(answer.value["done"]))

    def use_forked(self, operation: str, **call: str) -> Answer:
        """Have the client do that operation once in a forked child of its process."""
        answer = self._answer("fork", operation=operation, call=call)
        with self._reading_answer("fork"):
            return read_use(operation, answer)

    def use_in_processes(self, count: int, operation: str, **call: str) -> list[Answer]:
        """Make a client in each of ``count`` processes, and use it there once, all at once."""
        answer = self._answer(
            "processes",
            count=count,
            operation=operation,
            call=call,
            config=config_members(self._config),
        )
        return self._answers_in(answer, "processes", operation, count)

    def holdings(self) -> Holdings:
        """Return what the client holds in the host."""
        answer = self._answer("holdings", is_use=False)
        with self._reading_answer("holdings"):
            return Holdings(**answer.value)

    def threads_after_close(self) -> list[str]:
        """Close and drop the client; return the names of its threads that a program waits for."""
        answer = self._answer("drop", is_use=False)
        with self._reading_answer("drop"):
            return [str(name) for name in answer.value["threads"]]

    @property
    def leaves_something_running(self) -> bool:
        """Whether the client has a thread or task running between uses."""
        # A host that does not answer is busy in any case.
        answer = self._answer("busy", is_use=False)
        with self._reading_answer("busy"):
            return answer.hung or bool(answer.value["busy"])

    def watch(self) -> None:
        """Record what the client makes visible from its creation on."""
        self._is_watched = True

    def look_at_waits(self) -> None:
        """End an operation early once the client is known to wait beyond the deadline."""
        self._looks_at_waits = True

    def exposed(self) -> list[tuple[str, str]] | None:
        """Return new visible texts; None if the client's repr does not return in time."""
        # Counted as a use, with its deadline: the client's repr may hang.
        answer = self._answer("exposed")
        if answer.hung:
            return None
        output = self._host.process.output
        # Read after the answer: the host has flushed its streams before it answered.
        written, self._seen_output = output.since(self._seen_output), output.position
        with self._reading_answer("exposed"):
            return [("output", written), *((str(w), str(t)) for w, t in answer.value["texts"])]

    def cut_off(self) -> None:
        """Count the current operation as one that never ends; safe from any thread."""
        self._host.process.cut_off()

    def close(self) -> None:
        """Close the client, unless its host has ended.

        A slow close uses up time that all clients share; without any left, the host keeps the
        client unclosed.
        """
        if not self._host.is_running(self._generation):
            return
        # No clause judges closing, and a client that closes slowly must not add minutes to a run.
        # So only slow closes count; a prompt one is called to the end.
        calls_close = self._host.closing_seconds > 0
        began = real_seconds()
        try:
            self._host.ask("close", _CLOSING_SECONDS, client=self._name, calls_close=calls_close)
        except ProgramSilent:
            # The close that hung has cost the host, so no further one is risked.
            self._host.closing_seconds = 0
        except ClientCrashed:
            pass  # the host was ending; the next client gets a new host
        took = real_seconds() - began
        self._host.closing_seconds -= max(0.0, took - _PROMPT_CLOSING_SECONDS)

    def _answer(self, op: str, *, is_use: bool = True, **members: Any) -> Answer:
        """Return the host's answer about this client; hung if it did not come in time."""
        deadline = self._deadline if is_use else None
        with self._host.turn:
            if not self._host.is_running(self._generation):
                raise NotTested(_ENDED_FOR_ANOTHER)
            try:
                looks = is_use and self._looks_at_waits
                reply = self._host.ask(op, deadline, looks=looks, client=self._name, **members)
            except ProgramSilent as silent:
                return Answer(hung=True, wait=silent.wait)
        with self._reading_answer(op):
            return answer_in(reply)

    @contextlib.contextmanager
    def _reading_answer(self, op: str) -> Iterator[None]:
        """Raise HostBroken if an answer that the client may have changed has an invalid shape."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError):
            self._host.end()
            broken = HostBroken(f"{BROKE_ITS_PROCESS}its answer to {op} has an invalid shape")
            raise costly(broken) from None
