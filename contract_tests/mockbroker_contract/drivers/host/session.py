"""The host's conversation with the judging process: one request at a time, in the main thread."""

from __future__ import annotations

import base64
import contextlib
import gc
import importlib.metadata
import io
import os
import sys
import threading
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import partial

# imported by name, as below: a client may replace them in their module
from json import dumps, loads
from pathlib import Path
from traceback import format_exception, walk_tb
from typing import Any

from mockbroker.model.client import ClientConfig, ClientFactory
from mockbroker_contract.drivers.host.channel import Channel
from mockbroker_contract.drivers.host.clients import HostedClient, Result, capabilities_of
from mockbroker_contract.drivers.host.clock import HostClock
from mockbroker_contract.drivers.host.described_values import described_value
from mockbroker_contract.drivers.host.descriptors import open_descriptors
from mockbroker_contract.drivers.host.errors import bounded_text, name_of_class, plain_error
from mockbroker_contract.drivers.host.exposure import Exposure
from mockbroker_contract.drivers.host.forks import in_children
from mockbroker_contract.drivers.host.tracebacks import place_of, traceback_of
from mockbroker_contract.drivers.host.waits import WaitReporter
from mockbroker_contract.drivers.target import TargetError
from mockbroker_contract.isolation import time_zone
from mockbroker_contract.isolation.debugger import report_debugger
from mockbroker_contract.isolation.process_state import ProcessState
from mockbroker_contract.isolation.replaced_network import replaced_functions
from mockbroker_contract.timing.shared_clock import SharedClock

__all__ = ["Session"]

# A client or its tests may patch these; the identity of this process must stay correct.
_getpid, _exit = os.getpid, os._exit

_OWN_FOLDER = str(Path(__file__).parent)
# A client may return any string as a token, and a gigabyte of it would be copied several times.
_LONGEST_TOKEN = 1_000_000
_HIGHEST_STATUS = 999
# requests and httpx, aiohttp, urllib: each names the status in its own way.
_STATUS_ATTRIBUTES = ("status_code", "status", "code")


class Session:
    """Session that answers requests until the judging process sends bye, or has ended.

    ``load`` returns the factory. It is called once, on hello. A client may change the process:
    environment, umask, working directory, default timeout of sockets, recursion limit. These
    changes are undone before the next client is made. ``limits`` are sentences for the report.

    It runs in the host's main thread, where signal handlers and green threads work as in any
    program. Not safe for several threads.
    """

    def __init__(
        self,
        channel: Channel,
        load: Callable[[], ClientFactory],
        clock: SharedClock,
        work: Path,
        limits: Sequence[str] = (),
    ) -> None:
        self._channel = channel
        self._load = load
        self._shared = clock
        self._clock = HostClock(clock)
        self._state = ProcessState(work)
        self._limits = list(limits)
        self._factory: ClientFactory | None = None
        self._clients: dict[str, HostedClient] = {}
        self._kept: list[HostedClient] = []
        """Clients that are not closed, because closing takes too long; kept, as __del__ may too."""
        self._has_run_client_code = False
        self._shows_tracebacks = False
        self._exposure: Exposure | None = None

    def serve(self) -> None:
        """Answer each request; return after the last.

        Never raises an exception of the client. Raises OSError if the connection cannot be
        restored.
        """
        report_debugger(self._suspend_deadlines)
        waits = WaitReporter(self._channel)
        process = _getpid()
        while (line := self._channel.read_line()) is not None:
            request = loads(line)
            # The answer comes before the end, so that exit handlers of the client do not count as
            # its time.
            if request["op"] == "bye":
                self._answer(request, {"ok": {}})
                return
            with waits.reported():
                try:
                    outcome = self._operation(request["op"])(request)
                except TargetError as error:
                    outcome = {"unusable": str(error)}
                except BaseException as error:  # noqa: BLE001 - the judging process reports it
                    outcome = self._failed(error)
            if _getpid() != process:
                # The client forked, and its child returned from the operation: only the parent may
                # answer.
                _exit(0)
            self._answer(request, outcome)

    def _operation(self, name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return {
            "show_tracebacks": self._show_tracebacks,
            "hello": self._hello,
            "surroundings": self._surroundings,
            "set_clock": self._use_clock,
            "zone": self._zone,
            "open": self._open,
            "get_token": self._get_token,
            "request": self._request,
            "burst": self._burst,
            "use_periodically": self._use_periodically,
            "begin": self._begin,
            "settle": self._settle,
            "cancel": self._cancel,
            "finish": self._finish,
            "loop": self._loop,
            "change_loop": self._change_loop,
            "fork": self._fork,
            "processes": self._processes,
            "busy": self._busy,
            "watch": self._watch,
            "exposed": self._exposed,
            "close": self._close,
            "drop": self._drop,
            "holdings": self._holdings,
            "join_threads": self._join_threads,
        }[name]

    def _failed(self, error: BaseException) -> dict[str, Any]:
        """Return an error of the host; blame the client if the client's code has run here."""
        if self._has_run_client_code:
            raised = plain_error(error)
            text = ": ".join(filter(None, (raised["name"], raised["message"])))
            return {"broken_by_client": f"{text} ({_host_line_of(error)})"}
        return {"broken": "".join(format_exception(error))}

    def _answer(self, request: dict[str, Any], outcome: dict[str, Any]) -> None:
        for stream in (sys.stdout, sys.stderr):
            # Not the flush of a client's own class, which might never return.
            # Flushed before the answer: the judging process reads the pipe when it has the answer.
            if type(stream) is io.TextIOWrapper:
                with contextlib.suppress(BaseException):  # a client may have closed it
                    stream.flush()
        # The user has left the debugger when an answer is sent; deadlines count again.
        self._shared.is_debugged = False
        self._channel.write_line(dumps({"id": request["id"], **outcome}).encode())

    def _suspend_deadlines(self) -> None:
        """Suspend deadlines while the user debugs the client, until the operation ends."""
        self._shared.is_debugged = True

    # -- the host ------------------------------------------------------------------------------

    def _show_tracebacks(self, _: dict[str, Any]) -> dict[str, Any]:
        self._shows_tracebacks = True
        return {"ok": {}}

    def _hello(self, _: dict[str, Any]) -> dict[str, Any]:
        # Before the import, in which the client may change this process as well.
        self._has_run_client_code = True
        if self._factory is None:
            self._factory = self._loaded()
            # The variables that a module sets at its import apply to every client that it makes.
            self._state.save_environment()
        module, name = _name_of(self._factory)
        return {
            "ok": {
                "name": f"{module}:{name}",
                "version": _version_of(module),
                "limits": self._limits,
                "replaced": replaced_functions(),
            }
        }

    def _surroundings(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"ok": {"replaced": replaced_functions()}}

    def _loaded(self) -> ClientFactory:
        """Return the factory. Raises TargetError, with the traceback if they are shown."""
        try:
            return self._load()
        except TargetError as error:
            if self._shows_tracebacks and error.__cause__ is not None:
                raise TargetError(f"{error}\n{traceback_of(error.__cause__)}") from error.__cause__
            raise

    def _use_clock(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["clock"] == "virtual":
            self._clock.freeze()
        else:
            self._clock.thaw()
        # A switch of the clock changes TZ, which must stay so for the next clients.
        self._state.save_variable(time_zone.VARIABLE)
        return {"ok": {}}

    def _zone(self, request: dict[str, Any]) -> dict[str, Any]:
        self._clock.set_zone(request["name"])
        self._state.save_variable(time_zone.VARIABLE)
        return {"ok": {}}

    # -- clients -------------------------------------------------------------------------------

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make a client. An error of the factory is an answer, and no client is stored."""
        assert self._factory is not None
        # Only while no client is alive: what one of them has changed may be what it relies on.
        if not self._clients:
            self._state.restore()
        # After the restoration, which would remove these variables.
        os.environ.update(request["environment"])
        client = HostedClient(self._factory, ClientConfig(**request["config"]), self._clock)
        result = client.open()
        if result.error is not None:
            # The loop of a client that could not be made would keep its thread.
            client.end_loop()
            return self._failure(result.error)
        self._clients[request["client"]] = client
        return {"ok": {"capabilities": capabilities_of(client.subject)}}

    def _get_token(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._token(self._clients[request["client"]].get_token())

    def _request(self, request: dict[str, Any]) -> dict[str, Any]:
        client = self._clients[request["client"]]
        arguments = {name: request[name] for name in ("headers", "params")}
        options = {name: value for name, value in arguments.items() if value is not None}
        before = {name: dict(value) for name, value in options.items()}
        if request["body"] is not None:
            body = base64.b64decode(request["body"])
            options["data"] = client.stream_of(body) if request["is_stream"] else body
        outcome = self._status(client.request(request["method"], request["url"], **options))
        # These objects are the caller's: a client that writes into them changes the next call.
        changed = [name for name, value in before.items() if dict(options[name]) != value]
        return {**outcome, "changed": changed}

    def _burst(self, request: dict[str, Any]) -> dict[str, Any]:
        """Use a client many times at once; one answer has all results."""
        client = self._clients[request["client"]]
        results = client.burst(request["operation"], request["count"], **request["call"])
        return self._answers(request["operation"], results)

    def _use_periodically(self, request: dict[str, Any]) -> dict[str, Any]:
        """Use a client each time after some seconds of the shared clock, until a use raises."""
        client = self._clients[request["client"]]
        for done in range(request["count"]):
            self._shared.advance(request["seconds"])
            if client.use(request["operation"], **request["call"]).error is not None:
                return {"ok": {"done": done}}
        return {"ok": {"done": request["count"]}}

    def _answers(self, operation: str, results: Sequence[Result]) -> dict[str, Any]:
        return {"ok": {"answers": [self._read(operation, result) for result in results]}}

    def _read(self, operation: str, result: Result) -> dict[str, Any]:
        return self._token(result) if operation == "get_token" else self._status(result)

    def _begin(self, request: dict[str, Any]) -> dict[str, Any]:
        client = self._clients[request["client"]]
        client.begin(request["operation"], request["count"], **request["call"])
        return {"ok": {}}

    def _settle(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"ok": {"ended": self._clients[request["client"]].settle()}}

    def _cancel(self, request: dict[str, Any]) -> dict[str, Any]:
        self._clients[request["client"]].cancel(request["number"])
        return {"ok": {}}

    def _finish(self, request: dict[str, Any]) -> dict[str, Any]:
        results = self._clients[request["client"]].finish()
        return self._answers(request["operation"], results)

    def _loop(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"ok": {"loop": self._clients[request["client"]].loop_kind}}

    def _change_loop(self, request: dict[str, Any]) -> dict[str, Any]:
        self._clients[request["client"]].change_loop()
        return {"ok": {}}

    # -- forked processes ----------------------------------------------------------------------

    def _fork(self, request: dict[str, Any]) -> dict[str, Any]:
        """Use a client once in a forked child of this process."""
        client = self._clients[request["client"]]
        # A lock that a thread holds at the fork stays held in the child. Whether a thread is just
        # then at work is chance.
        client.wait_for_rest()
        [answer] = in_children([partial(self._used, client, request)])
        return _answer_of_child(answer)

    def _processes(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make a client in each of several forked children, and use it there once."""

        def run() -> dict[str, Any]:
            assert self._factory is not None
            config = ClientConfig(**request["config"])
            client = HostedClient(self._factory, config, self._clock)
            opened = client.open()
            if opened.error is not None:
                return self._failure(opened.error)
            answer = self._used(client, request)
            client.close()
            return answer

        answers = in_children([run] * int(request["count"]))
        return {"ok": {"answers": [_answer_of_child(each) for each in answers]}}

    def _used(self, client: HostedClient, request: dict[str, Any]) -> dict[str, Any]:
        return self._read(request["operation"], client.use(request["operation"], **request["call"]))

    def _token(self, result: Result) -> dict[str, Any]:
        """Return the token as an exact string, or any other value in words."""
        if result.error is not None:
            return self._failure(result.error)
        if not issubclass(type(result.value), str):
            return {"ok": {"access_token": None, "described": described_value(result.value)}}
        # An exact copy: a subclass of str could change what is compared and encoded.
        token = bounded_text(lambda: result.value, limit=_LONGEST_TOKEN)
        return {"ok": {"access_token": token}}

    def _status(self, result: Result) -> dict[str, Any]:
        """Return the HTTP status of the client's response, and whether the response was None."""
        if result.error is not None:
            return self._failure(result.error)
        return {"ok": {"status": _status_of(result.value), "is_none": result.value is None}}

    def _failure(self, error: BaseException) -> dict[str, Any]:
        """Return an exception of the client as plain values.

        While texts are recorded, those of the exception are recorded as well.
        """
        if self._exposure is not None:
            self._exposure.add_exception(error)
        # Formatted only if it is shown: a check of a client with defects has hundreds of them.
        traceback = traceback_of(error) if self._shows_tracebacks else ""
        return {"err": {**plain_error(error), "place": place_of(error), "traceback": traceback}}

    def _busy(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"ok": {"busy": self._clients[request["client"]].is_busy}}

    def _close(self, request: dict[str, Any]) -> dict[str, Any]:
        """Close a client if asked to, end its loop, and stop recording."""
        client = self._clients.pop(request["client"], None)
        if client is not None:
            if request["calls_close"]:
                client.close()
            else:
                self._kept.append(client)
            # After close(), which may be asynchronous and then needs the loop.
            client.end_loop()
        self._stop_watching()
        return {"ok": {}}

    def _drop(self, request: dict[str, Any]) -> dict[str, Any]:
        """Close and drop a client; return its threads that would hold up the end of a program."""
        client = self._clients.pop(request["client"])
        client.close()
        client.end_loop()
        client.subject = None
        gc.collect()
        return {"ok": {"threads": client.threads_that_hold_up()}}

    def _holdings(self, request: dict[str, Any]) -> dict[str, Any]:
        client = self._clients[request["client"]]
        gc.collect()  # what is in a reference cycle is not held
        client.wait_for_rest()
        threads, tasks = client.background
        sockets, files = open_descriptors()
        held = {"threads": threads, "tasks": tasks, "sockets": sockets, "files": files}
        return {"ok": {**held, "is_closable": client.is_closable().value is True}}

    def _join_threads(self, _: dict[str, Any]) -> dict[str, Any]:
        """Wait for the threads of the process, as an interpreter does at its end."""
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - called by Python itself only
        return {"ok": {}}

    # -- what a client shows -------------------------------------------------------------------

    def _watch(self, _: dict[str, Any]) -> dict[str, Any]:
        self._stop_watching()
        self._exposure = Exposure()
        self._exposure.listen()
        return {"ok": {}}

    def _stop_watching(self) -> None:
        if self._exposure is not None:
            self._exposure.close()
            self._exposure = None

    def _exposed(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the texts that became visible since the last call."""
        exposure = self._exposure or Exposure()
        client = self._clients.get(request["client"])
        if client is not None:
            exposure.add_reprs(client.subject)
        return {"ok": {"texts": exposure.take()}}


def _answer_of_child(answer: dict[str, Any] | None) -> dict[str, Any]:
    """Return the answer of a forked child; an error if the child ended without one."""
    if answer is None:
        ended = ChildProcessError("the forked process ended in the use")
        return {"err": {**plain_error(ended), "place": None, "traceback": ""}}
    return answer


def _status_of(response: Any) -> int | None:
    """Return the HTTP status of a client's response: an int, or an object with a status."""
    found = (response, *(_attribute(response, name) for name in _STATUS_ATTRIBUTES))
    return next((int(each) for each in found if _is_status(each)), None)


def _attribute(response: Any, name: str) -> Any:
    try:
        return getattr(response, name, None)
    except BaseException:  # noqa: BLE001 - the client's own classes may be broken, or exit
        return None


def _is_status(found: Any) -> bool:
    # By type(), because a class may lie about its instances; subclasses may override more.
    is_number = type(found) is int or issubclass(type(found), IntEnum)
    return is_number and 0 <= found <= _HIGHEST_STATUS


def _host_line_of(error: BaseException) -> str:
    """Return the line of the host's own code that failed."""
    places = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    # The last frame of the host's own code shows which operation failed; those after it belong to a
    # library or to the client.
    own = [place for place in places if place[0].startswith(_OWN_FOLDER)]
    file, line = (own or places)[-1]
    return f"{Path(file).name}, line {line}"


def _name_of(factory: Any) -> tuple[str, str]:
    """Return module and name of a factory, or those of its class if it has none."""
    try:
        return str(factory.__module__), str(factory.__qualname__)
    except Exception:  # noqa: BLE001 - the client's own classes may be broken
        kind = type(factory)
        return bounded_text(lambda: kind.__module__), name_of_class(kind)


def _version_of(module: str) -> str:
    """Return the version of the module's package, installed or declared; empty if neither."""
    package = module.partition(".")[0]
    try:
        return importlib.metadata.version(package)
    except Exception:  # noqa: BLE001 - not installed, or broken metadata
        declared = getattr(sys.modules.get(package), "__version__", "")
        return bounded_text(lambda: declared)
