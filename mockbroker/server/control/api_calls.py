"""Control requests about the routes of the protected API."""

from __future__ import annotations

from mockbroker.server.control.calls import Call, refuse_if_shared
from mockbroker.server.control.reading import RequestError
from mockbroker.server.control.values import ApiRoutesView, ApiRouteView

__all__ = ["add_route", "clear_routes", "list_routes", "remove_route"]

_ADVICE = "serve with one process to use routes"


def list_routes(call: Call) -> ApiRoutesView:
    """Return the routes."""
    return ApiRoutesView(
        tuple(
            ApiRouteView(
                method=route.method,
                path=route.path,
                scopes=tuple(sorted(route.scopes)),
                calls=len(route.calls),
            )
            for route in call.broker.api.snapshot()
        )
    )


def add_route(call: Call) -> ApiRoutesView:
    """Add a route. Raises RequestError if it is invalid, or if other processes lack it."""
    refuse_if_shared(call, "routes", _ADVICE)
    body = call.body
    try:
        call.broker.api.route(
            body.method,
            body.path,
            json=body.json,
            status=body.status,
            headers=body.headers,
            scopes=body.scopes,
        )
    except (TypeError, ValueError) as error:
        raise RequestError(422, "invalid", str(error)) from None
    return list_routes(call)


def remove_route(call: Call) -> ApiRoutesView:
    """Remove the route of that method and path. Raises RequestError if there is none."""
    refuse_if_shared(call, "routes", _ADVICE)
    try:
        call.broker.api.remove(call.body.method, call.body.path)
    except KeyError as error:
        raise RequestError(
            404, "not-found", f"{error.args[0]}; GET api/routes lists them"
        ) from None
    return list_routes(call)


def clear_routes(call: Call) -> ApiRoutesView:
    """Remove every route."""
    refuse_if_shared(call, "routes", _ADVICE)
    call.broker.api.restore()
    return list_routes(call)
