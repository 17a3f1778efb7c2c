"""The OpenAPI 3.1 document of the control API, made from its table of routes.

JSON Schema comes from the same classes that read requests and make responses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import version
from inspect import cleandoc
from typing import Any

import msgspec

from mockbroker.server.control.access import TOKEN_HEADER
from mockbroker.server.control.events import EVENTS, EventStream
from mockbroker.server.control.routes import ROUTES, Route
from mockbroker.server.control.values import Problem

__all__ = ["document"]

_REF = "#/components/schemas/{name}"
_REASONS = {
    200: "Done",
    201: "Created",
    400: "Malformed: not JSON, or not UTF-8",
    401: "The control token is missing or wrong",
    403: "Refused: another host, or a web page of another site",
    404: "Not found",
    409: "In conflict with the broker's state, or an expectation that does not hold",
    415: "The body is not JSON",
    422: "A wrong key, type or value; the message has the place",
    503: "Too many requests wait, the server ends, or the shared state is unavailable",
}


@lru_cache(maxsize=4)
def document(server_url: str) -> bytes:
    """Return the document as JSON; ``server_url`` is that of the control API."""
    schemas, components = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    paths["/openapi.json"] = {"get": _own_operation()}
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "mockbroker control API",
                "version": version("mockbroker"),
                "description": (
                    "Drives a running broker. Requests of web pages are refused, except those that "
                    "the broker serves itself. Off loopback every request needs the control token."
                ),
            },
            "servers": [{"url": server_url}],
            # Either token, or none on loopback.
            "security": [{}, {"bearer": []}, {"token": []}],
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "token": {"type": "apiKey", "in": "header", "name": TOKEN_HEADER},
                },
            },
        }
    )


def _schemas() -> tuple[Mapping[type, Any], dict[str, Any]]:
    """Return the schema of each class that a route names, and the definitions they refer to."""
    kinds = list(dict.fromkeys(kind for route in ROUTES for kind in _kinds(route)))
    found, components = msgspec.json.schema_components([*kinds, Problem], ref_template=_REF)
    return dict(zip([*kinds, Problem], found, strict=True)), _without_indents(components)


def _without_indents(schema: Any) -> Any:
    """Return a schema whose descriptions, which are docstrings, have no indented lines."""
    if isinstance(schema, dict):
        return {
            key: cleandoc(value)
            if key == "description" and isinstance(value, str)
            else _without_indents(value)
            for key, value in schema.items()
        }
    return list(map(_without_indents, schema)) if isinstance(schema, list) else schema


def _kinds(route: Route) -> Iterable[type]:
    """Yield the classes of a route that have a schema."""
    for kind in (route.body, route.returns, *route.others.values()):
        if kind is not None and kind is not EventStream:
            yield kind


def _operation(route: Route, schemas: Mapping[type, Any]) -> dict[str, Any]:
    """Return the description of a route."""
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": [*map(_path_parameter, route.parameters), *_query_parameters(route)],
        "responses": _responses(route, schemas),
    }
    if route.body is not None:
        required = any(field.required for field in msgspec.structs.fields(route.body))
        operation["requestBody"] = {
            "required": required,
            "content": {"application/json": {"schema": schemas[route.body]}},
        }
    return operation


def _operation_id(route: Route) -> str:
    """Return a name for a route, such as post_clock_advance."""
    words = re.findall(r"[a-z]+", f"{route.method} {route.path}".lower())
    return "_".join(words)


def _path_parameter(name: str) -> dict[str, Any]:
    """Return the description of a parameter of the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    }


def _query_parameters(route: Route) -> Iterable[dict[str, Any]]:
    """Yield the description of each parameter of the query."""
    if route.query is not None:
        for field in msgspec.structs.fields(route.query):
            yield {
                "name": field.encode_name,
                "in": "query",
                "required": field.required,
                "schema": _without_null(_inline_schema(field.type)),
            }


def _inline_schema(kind: Any) -> dict[str, Any]:
    """Return the schema of a type without references to definitions."""
    (schema,), definitions = msgspec.json.schema_components([kind], ref_template="{name}")
    found: dict[str, Any] = definitions[schema["$ref"]] if "$ref" in schema else schema
    tidy: dict[str, Any] = _without_indents(found)
    return tidy


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which is left out instead of being null."""
    choices: list[dict[str, Any]] = [
        each for each in schema.get("anyOf", ()) if each != {"type": "null"}
    ]
    return choices[0] if len(choices) == 1 else schema


def _responses(route: Route, schemas: Mapping[type, Any]) -> dict[str, Any]:
    """Return the answers of a route by their statuses."""
    answers: dict[int, Any] = {route.status: _content(route.returns, schemas)}
    failures = [400, 401, 403, 415, 422, 503]
    if route.parameters:
        failures.append(404)
    for status in failures:
        answers[status] = _content(Problem, schemas)
    for status, kind in route.others.items():
        answers[status] = _content(kind, schemas)
    return {
        str(status): {"description": _REASONS[status], "content": answers[status]}
        for status in sorted(answers)
    }


def _content(kind: type, schemas: Mapping[type, Any]) -> dict[str, Any]:
    """Return the body of an answer by its media type."""
    if kind is EventStream:
        kinds = "\n".join(f"- `{name}`: {what}" for name, what in EVENTS.items())
        schema = {"type": "string", "description": f"Events, with JSON as their data:\n{kinds}"}
        return {"text/event-stream": {"schema": schema}}
    return {"application/json": {"schema": schemas[kind]}}


def _own_operation() -> dict[str, Any]:
    """Return the description of the route of this document."""
    schema = {"type": "object"}
    problem = {"application/json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    failures = {
        str(status): {"description": _REASONS[status], "content": problem}
        for status in (400, 401, 403, 415, 422)
    }
    done = {"description": _REASONS[200], "content": {"application/json": {"schema": schema}}}
    return {
        "operationId": "get_openapi",
        "summary": "This document",
        "responses": {"200": done, **failures},
    }
