"""The control API of one broker: from a request to a reply, behind the guard.

It is mounted on the server beside the broker. No fault applies to it, and the journal does not have
its requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mockbroker.broker.answers import Reply
from mockbroker.broker.mounting import CONTROL_PATH, Connections
from mockbroker.broker.profiles import profile_named
from mockbroker.broker.state import StateError
from mockbroker.model.messages import Headers, Request, Response
from mockbroker.model.profile import Profile
from mockbroker.model.type_words import did_you_mean, shortened
from mockbroker.server.control.access import ControlAccess, denial_of
from mockbroker.server.control.calls import Call, Result
from mockbroker.server.control.controlled import ControlledBroker
from mockbroker.server.control.events import EventStream
from mockbroker.server.control.live_page import PAGE_PATH, page_reply
from mockbroker.server.control.openapi import document
from mockbroker.server.control.reading import (
    RequestError,
    read_body,
    read_query,
    require_json,
)
from mockbroker.server.control.replies import (
    SAFE_FIELDS,
    denied,
    json_reply,
    problem_reply,
    value_reply,
)
from mockbroker.server.control.routes import ROUTES, Route, methods_at, resolve
from mockbroker.server.control.watching import Watchers

__all__ = ["ControlApi"]


OPENAPI_PATH = "/openapi.json"


class ControlApi:
    """The control API of a broker, as a server mounts it; thread-safe.

    ``find_profile`` returns the profile of a name that a request gives.
    """

    def __init__(
        self,
        broker: ControlledBroker,
        access: ControlAccess,
        find_profile: Callable[[str], Profile] = profile_named,
    ) -> None:
        self._broker = broker
        self._access = access
        self._find_profile = find_profile
        self._watchers = Watchers(broker.journal)

    asks_for_certificates = False
    # Some requests wait for what a client does.
    is_prompt = False

    def accepted_certificates(self) -> Sequence[str]:
        """Return none: the broker itself accepts them."""
        return ()

    def handle(self, request: Request, origin: str) -> Reply:
        """Answer a control request, or one for the live page, that ``origin`` received."""
        path = request.path.partition(CONTROL_PATH)[2]
        if path.startswith(PAGE_PATH):
            return page_reply(request, origin, self._access, path.removeprefix(PAGE_PATH), "..")
        denial = denial_of(request.headers, origin.partition(":")[0], self._access)
        if denial is not None:
            return denied(denial)
        try:
            return self._answer(request, origin)
        except RequestError as error:
            return problem_reply(error.status, error.code, str(error))
        except StateError as error:
            return problem_reply(503, "unavailable", str(error))

    def mounted_at(
        self,
        origin: str,
        prefix: str,
        ca_file: str | None = None,
        connections: Connections | None = None,
    ) -> None:
        """Do nothing: the broker knows where it is."""

    def unmounted(self) -> None:
        """End every stream of events, and every wait."""
        self._watchers.stop()

    def _answer(self, request: Request, origin: str) -> Reply:
        """Answer a request that the guard accepts. Raises RequestError."""
        before, _, path = request.path.partition(CONTROL_PATH)
        path = path or "/"
        method = "GET" if request.method == "HEAD" else request.method
        if path == OPENAPI_PATH and method == "GET":
            require_json(request)
            return json_reply(200, document(origin + before + CONTROL_PATH))
        found = resolve(method, path)
        if found is None:
            return _unrouted(path)
        route, parameters = found
        require_json(request)
        answer = route.call(self._read(request, route, parameters))
        if isinstance(answer, EventStream):
            return _events(answer, request)
        # After the change: streams compare the state of the broker with what they have sent.
        if method != "GET":
            self._watchers.wake()
        if isinstance(answer, Result):
            return value_reply(answer.status, answer.value)
        return value_reply(route.status, answer)

    def _read(self, request: Request, route: Route, parameters: dict[str, str]) -> Call:
        """Read what the route asks for. Raises RequestError."""
        query: Any = None
        if route.query is not None:
            query = read_query(request.query, route.query)
        elif request.query:
            raise RequestError(422, "invalid", "query: this route has no parameters; remove it")
        body: Any = None
        if route.body is not None:
            body = read_body(request, route.body, is_secret=route.is_secret)
        elif request.body not in (b"", b"{}"):
            raise RequestError(422, "invalid", "this route has no body; send none, or {}")
        return Call(
            broker=self._broker,
            watchers=self._watchers,
            request=request,
            path=parameters,
            query=query,
            body=body,
            find_profile=self._find_profile,
        )


def _unrouted(path: str) -> Reply:
    """Return 405 for a known path, 404 for an unknown one."""
    methods = (*methods_at(path), *(("GET", "HEAD") if path == OPENAPI_PATH else ()))
    if methods:
        allowed = ", ".join(methods)
        return problem_reply(405, "method", f"use {allowed} for this path", ("Allow", allowed))
    known = sorted({route.path for route in ROUTES})
    message = f"unknown path {shortened(path)!r}{did_you_mean(path, known)}"
    return problem_reply(404, "not-found", message)


def _events(stream: EventStream, request: Request) -> Reply:
    """Return the reply with a stream of events; the answer to HEAD has none."""
    fields = (("Content-Type", "text/event-stream"), *SAFE_FIELDS)
    if request.method == "HEAD":
        stream.close()
        return Reply(response=Response(200, Headers(fields)))
    return Reply(response=Response(200, Headers(fields)), pieces=stream)
