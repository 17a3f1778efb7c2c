"""The table of the control API: each route with what it reads, what it does, and what it returns.

Requests are routed and read by it, and the OpenAPI document is made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from msgspec import Struct

from mockbroker.broker.exchange_view import ExchangeView
from mockbroker.server.control import api_calls, state_calls, traffic_calls, values
from mockbroker.server.control.calls import Call
from mockbroker.server.control.events import EventStream

__all__ = ["ROUTES", "Route", "methods_at", "resolve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route below ``/__mockbroker__``; ``path`` has parameters in braces.

    ``query`` and ``body`` are the types that it reads, None if it reads none. ``returns`` is the
    type of its usual answer, with status ``status``. ``others`` has the types of answers with other
    statuses. The messages about a body that ``is_secret`` do not quote its values.
    """

    method: str
    path: str
    summary: str
    call: Callable[[Call], Any]
    returns: type
    status: int = 200
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    is_secret: bool = False
    others: Mapping[int, type] = field(default_factory=dict)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters of the path."""
        return tuple(p[1:-1] for p in self.path.split("/") if p.startswith("{"))

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters of a raw path, or None if the path is not that of the route."""
        wanted, given = self.path.split("/"), path.split("/")
        if len(wanted) != len(given):
            return None
        found = {}
        for pattern, part in zip(wanted, given, strict=True):
            if not pattern.startswith("{"):
                if pattern != part:
                    return None
                continue
            try:
                # After the split: a client_id may have an encoded slash.
                found[pattern[1:-1]] = unquote(part, errors="strict")
            except UnicodeDecodeError:
                return None
        return found


def resolve(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route for a request, with the parameters of its path; None if there is none."""
    for route in ROUTES:
        found = route.match(path) if route.method == method else None
        if found is not None:
            return route, found
    return None


def methods_at(path: str) -> tuple[str, ...]:
    """Return the methods of a path, empty for an unknown path."""
    methods = [route.method for route in ROUTES if route.match(path) is not None]
    # RFC 9110, 9.1: "All general-purpose servers MUST support the methods GET and HEAD."
    return tuple(methods) + (("HEAD",) if "GET" in methods else ())


_UNMET = {409: values.Unmet}
_CONFLICT = {409: values.Problem}
_MISSING = {404: values.Problem}

ROUTES = (
    Route(
        method="GET",
        path="/",
        summary="What the broker is, and where its parts are",
        call=state_calls.overview,
        returns=values.Overview,
    ),
    Route(
        method="GET",
        path="/health",
        summary="Whether the server answers",
        call=state_calls.health,
        returns=values.Health,
    ),
    Route(
        method="GET",
        path="/ready",
        summary="Whether clients may use the broker, and its URLs",
        call=state_calls.ready,
        returns=values.Ready,
    ),
    Route(
        method="POST",
        path="/reset",
        summary="Return to the initial state: no tokens, exchanges and faults, the first settings",
        call=state_calls.reset,
        returns=values.Overview,
    ),
    Route(
        method="POST",
        path="/release",
        summary="End every answer that is delayed, stalled or dripping",
        call=state_calls.release,
        returns=values.Done,
    ),
    Route(
        method="POST",
        path="/connections/close-idle",
        summary="Close the connections on which the server waits for a request",
        call=state_calls.close_idle,
        returns=values.Done,
    ),
    Route(
        method="POST",
        path="/setup",
        summary="The settings of an application that uses the broker, to copy",
        call=state_calls.setup,
        body=values.SetupBody,
        returns=values.SetupView,
        others=_MISSING,
    ),
    Route(
        method="POST",
        path="/mask",
        summary="Replace the secrets and tokens in a string",
        call=state_calls.masked,
        body=values.MaskBody,
        returns=values.MaskedText,
        is_secret=True,
    ),
    Route(
        method="GET",
        path="/clock",
        summary="The broker's time",
        call=state_calls.read_clock,
        returns=values.ClockView,
    ),
    Route(
        method="PUT",
        path="/clock",
        summary="Move the time forward to a moment",
        call=state_calls.set_clock,
        body=values.ClockBody,
        returns=values.ClockView,
        others=_CONFLICT,
    ),
    Route(
        method="POST",
        path="/clock/advance",
        summary="Move the time forward by some seconds",
        call=state_calls.advance_clock,
        body=values.AdvanceBody,
        returns=values.ClockView,
    ),
    Route(
        method="POST",
        path="/keys/rotate",
        summary="Sign tokens by a new key from now on, and publish it",
        call=state_calls.rotate_signing_key,
        body=values.RotationBody,
        returns=values.Done,
    ),
    Route(
        method="GET",
        path="/tokens",
        summary="The tokens with their states and the seconds left",
        call=state_calls.list_tokens,
        query=values.TokensQuery,
        returns=values.Tokens,
    ),
    Route(
        method="POST",
        path="/tokens/find",
        summary="The state of a token value",
        call=state_calls.find_token,
        body=values.TokenBody,
        returns=values.FoundToken,
        is_secret=True,
    ),
    Route(
        method="POST",
        path="/tokens/revoke",
        summary="Revoke the token with a value, or all tokens",
        call=state_calls.revoke_tokens,
        body=values.TokensBody,
        returns=values.EndedTokens,
        others=_MISSING,
        is_secret=True,
    ),
    Route(
        method="POST",
        path="/tokens/expire",
        summary="End the lifetime of the token with a value, or of all tokens",
        call=state_calls.expire_tokens,
        body=values.TokensBody,
        returns=values.EndedTokens,
        others=_MISSING,
        is_secret=True,
    ),
    Route(
        method="GET",
        path="/tokens/{number}",
        summary="One token",
        call=state_calls.show_token,
        returns=values.TokenView,
        others=_MISSING,
    ),
    Route(
        method="POST",
        path="/tokens/{number}/revoke",
        summary="Revoke one token",
        call=state_calls.revoke_numbered,
        returns=values.TokenView,
        others=_MISSING,
    ),
    Route(
        method="POST",
        path="/tokens/{number}/expire",
        summary="End the lifetime of one token",
        call=state_calls.expire_numbered,
        returns=values.TokenView,
        others=_MISSING,
    ),
    Route(
        method="GET",
        path="/clients",
        summary="The clients that may request tokens",
        call=state_calls.list_clients,
        returns=values.Clients,
    ),
    Route(
        method="POST",
        path="/clients",
        summary="Register a client; the broker chooses what is left out",
        call=state_calls.add_client,
        body=values.ClientBody,
        returns=values.ClientCreated,
        status=201,
        others=_CONFLICT,
        is_secret=True,
    ),
    Route(
        method="PUT",
        path="/clients/{client_id}/secret",
        summary="Rotate the secret of a client",
        call=state_calls.rotate_secret,
        body=values.SecretBody,
        returns=values.ClientCreated,
        others=_MISSING,
        is_secret=True,
    ),
    Route(
        method="DELETE",
        path="/clients/{client_id}",
        summary="Remove a client; its tokens stay valid",
        call=state_calls.remove_client,
        returns=values.Clients,
        others={**_MISSING, **_CONFLICT},
    ),
    Route(
        method="GET",
        path="/faults",
        summary="The faults that wait",
        call=state_calls.list_faults,
        returns=values.FaultsView,
    ),
    Route(
        method="DELETE",
        path="/faults",
        summary="Remove the faults that wait",
        call=state_calls.clear_faults,
        returns=values.FaultsView,
    ),
    Route(
        method="POST",
        path="/faults/token",
        summary="Script faults for the next answers of the token endpoint",
        call=state_calls.token_faults,
        body=values.FaultsBody,
        returns=values.FaultsView,
        status=201,
    ),
    Route(
        method="POST",
        path="/faults/api",
        summary="Script faults for the next answers of the API",
        call=state_calls.api_faults,
        body=values.FaultsBody,
        returns=values.FaultsView,
        status=201,
    ),
    Route(
        method="GET",
        path="/api/routes",
        summary="The routes of the protected API that tests have added",
        call=api_calls.list_routes,
        returns=values.ApiRoutesView,
    ),
    Route(
        method="POST",
        path="/api/routes",
        summary="Add a route to the protected API, or replace one",
        call=api_calls.add_route,
        body=values.ApiRouteBody,
        returns=values.ApiRoutesView,
        status=201,
        others=_CONFLICT,
    ),
    Route(
        method="POST",
        path="/api/routes/remove",
        summary="Remove a route of the protected API",
        call=api_calls.remove_route,
        body=values.ApiRouteName,
        returns=values.ApiRoutesView,
        others={**_MISSING, **_CONFLICT},
    ),
    Route(
        method="DELETE",
        path="/api/routes",
        summary="Remove every route of the protected API",
        call=api_calls.clear_routes,
        returns=values.ApiRoutesView,
        others=_CONFLICT,
    ),
    Route(
        method="GET",
        path="/settings",
        summary="The settings",
        call=state_calls.show_settings,
        returns=values.SettingsView,
    ),
    Route(
        method="PATCH",
        path="/settings",
        summary="Change settings",
        call=state_calls.change_settings,
        body=values.SettingsBody,
        returns=values.SettingsView,
        others=_CONFLICT,
    ),
    Route(
        method="GET",
        path="/journal",
        summary="The exchanges that fit, the latest ones",
        call=traffic_calls.show_journal,
        query=values.JournalQuery,
        returns=values.Journal,
    ),
    Route(
        method="DELETE",
        path="/journal",
        summary="Remove every exchange, and number from 1 again",
        call=traffic_calls.clear_journal,
        returns=values.Journal,
    ),
    Route(
        method="POST",
        path="/journal/verify",
        summary="Verify that exchanges like this came; 409 with the closest ones if not",
        call=traffic_calls.verify_journal,
        body=values.ExpectBody,
        returns=values.Matched,
        others=_UNMET,
        is_secret=True,
    ),
    Route(
        method="POST",
        path="/journal/wait",
        summary="Wait until exchanges like this have come; 409 with the closest ones if not",
        call=traffic_calls.wait_for_journal,
        body=values.WaitBody,
        returns=values.Matched,
        others={**_UNMET, 503: values.Problem},
        is_secret=True,
    ),
    Route(
        method="GET",
        path="/journal/{number}",
        summary="One exchange",
        call=traffic_calls.show_exchange,
        returns=ExchangeView,
        others=_MISSING,
    ),
    Route(
        method="GET",
        path="/conformance",
        summary="What the traffic shows of the contract, so far",
        call=traffic_calls.show_conformance,
        query=values.ConformanceQuery,
        returns=values.Conformance,
    ),
    Route(
        method="POST",
        path="/conformance/verify",
        summary="Verify that the traffic breaks no clause; 409 with the breaches if it does",
        call=traffic_calls.verify_conformance,
        body=values.ConformanceBody,
        returns=values.Conformance,
        others=_CONFLICT,
    ),
    Route(
        method="GET",
        path="/events",
        summary="What happens at the broker, as server-sent events",
        call=traffic_calls.events,
        query=values.EventsQuery,
        returns=EventStream,
        others={503: values.Problem},
    ),
)
"""Every route but that of the OpenAPI document, which is made from them."""
