"""The routes that a test adds to the protected API, and the calls that they have answered.

A call reaches a route after its token was accepted. What the routes do not know is answered as
before, except for a call that misses one of them by a likely mistake.
"""

from __future__ import annotations

import json as json_module
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mockbroker.broker.answers import JSON, json_response
from mockbroker.broker.faults import Fault, HeaderFields
from mockbroker.broker.path_templates import PathTemplate
from mockbroker.model.credentials import AccessToken
from mockbroker.model.forms import query_parameters
from mockbroker.model.masking import Mask, method_name, shown
from mockbroker.model.messages import Headers, Request, Response

__all__ = ["AcceptedCall", "ApiRoutes", "HandlerError", "Route", "RouteCall"]

_CALL_LIMIT = 1000
"""How many calls a route remembers, as many as a journal has exchanges by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteCall:
    """A call that a route answers: its token was accepted, and has the route's scopes.

    ``parameters`` are those of the path, decoded. ``query`` has the last value of each name.
    ``json`` is the value of the body, None if the body is empty or not JSON. ``token`` is the token
    that the call presented, and ``scopes`` are the token's. ``request`` is the whole request, with
    method, target, headers and body.
    """

    parameters: Mapping[str, str]
    query: Mapping[str, str]
    json: object
    token: AccessToken
    scopes: frozenset[str]
    request: Request

    @property
    def method(self) -> str:
        """The request's method."""
        return self.request.method


Handler = Callable[[RouteCall], object]
"""It returns the answer's JSON value, or (status, value), or (status, value, headers)."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a route sends: checked when the route is made, or when a handler has returned."""

    status: int
    body: bytes | None
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, status: int, value: object, headers: HeaderFields) -> _Answer:
        """Return a checked answer. Raises TypeError or ValueError if it cannot be sent."""
        # A fault checks status and headers alike; the answer is sent by the same server.
        checked = Fault.status(status, headers=headers)
        try:
            body = None if value is None else json_module.dumps(value, ensure_ascii=False).encode()
        except (TypeError, ValueError) as error:
            raise TypeError(f"the answer is not valid JSON: {error}") from error
        return cls(status, body, checked.headers)

    @property
    def response(self) -> Response:
        """The response; without a value it has neither a body nor a Content-Type."""
        named = {name.lower() for name, _ in self.headers}
        media_type = (
            () if self.body is None or "content-type" in named else (("Content-Type", JSON),)
        )
        return Response(self.status, Headers((*media_type, *self.headers)), self.body or b"")


class Route:
    """A route of the protected API, made by `ApiRoutes.route`; thread-safe."""

    def __init__(
        self,
        method: str,
        path: str,
        scopes: frozenset[str],
        answer: Callable[[RouteCall], _Answer],
        *,
        has_handler: bool,
    ) -> None:
        self.has_handler = has_handler
        """Whether a function of the test makes the answers."""
        self.method = method
        self.path = path
        self.scopes = scopes
        self.template = PathTemplate(path)
        self._answer = answer
        self._calls: deque[RouteCall] = deque(maxlen=_CALL_LIMIT)

    @property
    def calls(self) -> tuple[RouteCall, ...]:
        """The calls that the route has answered, in order: the latest 1000."""
        # A copy takes one step; a deque that grows meanwhile cannot be iterated.
        return tuple(self._calls.copy())

    def answer(self, call: RouteCall) -> Response:
        """Record a call and answer it. Raises what the handler raises."""
        # Recorded first, so that `calls` has the call that a handler fails on.
        self._calls.append(call)
        return self._answer(call).response

    def __repr__(self) -> str:
        return f"<Route {self.method} {self.path}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedCall:
    """A call whose token the API has accepted, on its way to a route.

    ``path`` is relative to ``prefix``, that of the API. ``mask`` replaces secrets in what an
    answer repeats.
    """

    request: Request
    path: str
    prefix: str
    token: AccessToken
    mask: Mask

    @property
    def words(self) -> str:
        """The method and the path, masked."""
        return f"{method_name(self.request.method)} {self.mask(shown(self.path))}"

    def to_route(self, parameters: Mapping[str, str]) -> RouteCall:
        """Return the call as a handler gets it."""
        return RouteCall(
            parameters=parameters,
            query=dict(query_parameters(self.request)),
            json=_json_of(self.request.body),
            token=self.token,
            scopes=frozenset(self.token.scope.split()),
            request=self.request,
        )


class ApiRoutes:
    """The routes of a broker's protected API; thread-safe.

    Of several routes that fit a call, the one with the fewest parameters answers it.
    """

    def __init__(self) -> None:
        # Replaced as a whole, so that requests read it without a lock.
        self._routes: tuple[Route, ...] = ()
        self._errors: deque[HandlerError] = deque(maxlen=_CALL_LIMIT)
        self._lock = threading.Lock()

    def route(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        status: int = 200,
        headers: HeaderFields = (),
        scopes: Iterable[str] = (),
        handler: Handler | None = None,
    ) -> Route:
        """Answer calls with that method to that path, and return the route.

        ``path`` is relative to `Broker.api_url`, and may have parameters: ``/vehicle/{id}``. The
        answer is ``json`` with ``status`` and ``headers``; None sends no body. Instead, a
        ``handler`` makes the answer to each call. It gets a `RouteCall`, in the thread of the
        request, and returns the JSON value, ``(status, value)`` or ``(status, value, headers)``. If
        it raises, the client gets 500, and `errors` has the exception.

        A token that lacks one of the ``scopes`` gets 403. A route with the same method and path is
        replaced. Raises TypeError or ValueError if an argument is invalid.
        """
        if isinstance(scopes, str):
            raise TypeError(f"scopes takes the names of scopes, such as [{scopes!r}], not a str")
        if not (isinstance(method, str) and method.isalpha()):
            raise ValueError(f"a route's method must be one such as GET, not {method!r}")
        fixed = _Answer.of(status, json, headers)
        if handler is not None and fixed != _Answer.of(200, None, ()):
            raise TypeError("pass either a handler, which returns all of the answer, or its parts")
        answer = (lambda _: fixed) if handler is None else _answering(handler)
        has_handler = handler is not None
        route = Route(method.upper(), path, frozenset(scopes), answer, has_handler=has_handler)
        self._put((route,))
        return route

    def _put(self, routes: Iterable[Route]) -> None:
        """Add routes, each in place of the one with the same method and path."""
        with self._lock:
            named = {(each.method, each.path): each for each in (*self._routes, *routes)}
            # Stable: of two routes with as many parameters the earlier one goes first.
            self._routes = tuple(sorted(named.values(), key=lambda r: len(r.template.parameters)))

    def remove(self, method: str, path: str) -> None:
        """Remove the route with that method and path. Raises KeyError if there is none."""
        with self._lock:
            kept = tuple(r for r in self._routes if (r.method, r.path) != (method.upper(), path))
            if len(kept) == len(self._routes):
                raise KeyError(f"the API has no route {method.upper()} {path}")
            self._routes = kept

    @property
    def errors(self) -> tuple[HandlerError, ...]:
        """The exceptions of handlers, in order. The fixture fails a test that has any."""
        return tuple(self._errors.copy())

    @property
    def is_prompt(self) -> bool:
        """Whether no route calls a function of the test, which might wait for something."""
        return not any(route.has_handler for route in self._routes)

    def snapshot(self) -> tuple[Route, ...]:
        """Return the routes as they are at this moment."""
        return self._routes

    def restore(self, routes: Iterable[Route] = ()) -> None:
        """Have these routes only, and forget the exceptions of handlers."""
        with self._lock:
            self._routes = ()
        self._put(routes)
        self._errors.clear()

    def respond(self, call: AcceptedCall) -> Response | None:
        """Answer a call, or return None if no route fits it and none is near."""
        fitting = [(r, p) for r in self._routes if (p := r.template.match(call.path)) is not None]
        for route, parameters in fitting:
            # RFC 9110, 9.3.2: HEAD is GET without a body, which the server leaves out.
            if call.request.method in (route.method, "HEAD" if route.method == "GET" else ""):
                return self._respond(route, call, parameters)
        if fitting:
            return _other_method(call, [route for route, _ in fitting])
        return _near_miss(call, self._routes)

    def _respond(self, route: Route, call: AcceptedCall, parameters: Mapping[str, str]) -> Response:
        """Answer a call that fits a route."""
        passed_on = call.to_route(parameters)
        if not route.scopes <= passed_on.scopes:
            return _insufficient_scope(route, passed_on)
        try:
            return route.answer(passed_on)
        # A handler may raise anything: an assertion of the test, or the exception of `pytest.fail`,
        # which is a BaseException. In this thread it would be lost.
        except BaseException as error:  # noqa: BLE001 - see above
            self._errors.append(HandlerError(route=route, call=call.words, error=error))
            words = f"the handler of {route.method} {route.path} raised {type(error).__name__}"
            return json_response(500, {"error": True, "message": words})


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerError:
    """An exception that the handler of a route raised, and the call that it was to answer.

    ``call`` is the method and the path of that call, secrets masked.
    """

    route: Route
    call: str
    error: BaseException


def _json_of(body: bytes) -> object:
    """Return the JSON value of a body, None for any other."""
    try:
        return json_module.loads(body)
    except ValueError:
        return None


_STATUS_AND_VALUE = 2


def _answering(handler: Handler) -> Callable[[RouteCall], _Answer]:
    """Return what makes an answer from the value that a handler returns."""
    if not callable(handler):
        raise TypeError(f"a handler must be a function of the call, not {handler!r}")

    def answer(call: RouteCall) -> _Answer:
        returned = handler(call)
        if not isinstance(returned, tuple):
            return _Answer.of(200, returned, ())
        if not _STATUS_AND_VALUE <= len(returned) <= _STATUS_AND_VALUE + 1:
            raise TypeError(
                "a handler must return a value, (status, value) or (status, value, headers), not a "
                f"tuple of {len(returned)}"
            )
        status, value, *headers = returned
        return _Answer.of(status, value, headers[0] if headers else ())

    return answer


def _insufficient_scope(route: Route, call: RouteCall) -> Response:
    """Return the answer to a token without the scopes that the route needs."""
    needed = " ".join(sorted(route.scopes))
    text = f"the token has the scope '{call.token.scope}', but {route.method} {route.path} needs "
    # RFC 6750, 3.1: insufficient_scope with 403, and "the "scope" attribute with the scope
    # necessary to access the protected resource".
    challenge = f'Bearer realm="auth-broker", error="insufficient_scope", scope="{needed}"'
    return json_response(
        403,
        {"error": True, "message": f"{text}'{needed}'"},
        ("WWW-Authenticate", challenge),
    )


def _other_method(call: AcceptedCall, routes: Iterable[Route]) -> Response:
    """Return the answer to a call whose path has routes, none of them for its method."""
    allowed = ", ".join(sorted({route.method for route in routes}))
    message = f"no route answers {call.words}; that path has routes for {allowed}"
    # RFC 9110, 15.5.6: a 405 response must have the field Allow.
    return json_response(405, {"error": True, "message": message}, ("Allow", allowed))


def _near_miss(call: AcceptedCall, routes: Iterable[Route]) -> Response | None:
    """Return the answer to a call whose path misses that of a route by a likely mistake; or None.

    A plausible sample in its place would hide the mistake.
    """
    for route in routes:
        difference = route.template.difference(call.path, call.prefix)
        if difference:
            message = (
                f"no route answers {call.words}; the closest is {route.method} {route.path}: "
                f"{call.mask(difference)}"
            )
            return json_response(404, {"error": True, "message": message})
    return None
