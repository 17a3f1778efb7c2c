"""The Flask application: it finds the broker for a path and passes the request on.

Flask is the interface for other WSGI servers as well. `create_app` works under any of them, without
the faults that need the socket.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from http.client import responses
from typing import TYPE_CHECKING, Any, cast

import flask
from werkzeug.exceptions import HTTPException

from mockbroker.broker.answers import Reply
from mockbroker.broker.mounting import CONTROL_PATH
from mockbroker.model.messages import Headers, Request
from mockbroker.model.metadata import DOCUMENTS
from mockbroker.server.mountable import Mountable

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["ORIGIN_KEY", "REPLY_KEY", "REQUEST_KEY", "Mounts", "create_app"]

REQUEST_KEY, ORIGIN_KEY, REPLY_KEY = "mockbroker.request", "mockbroker.origin", "mockbroker.reply"
"""Keys of the WSGI environment. The server sets the received request and its own origin; the
application sets the reply, which says how the server sends the response."""

_WELL_KNOWN = re.compile(rf"/\.well-known/(?:{'|'.join(DOCUMENTS)})(?=/|\Z)")
_WITHOUT_LENGTH = {204, 304}
"""Statuses of responses that have no body, and no Content-Length of one (RFC 9110, 8.6)."""

BODY_LIMIT_BYTES = 1024 * 1024
"""The longest body: a token request has some hundred bytes, a call to an API seldom more than this.
The journal keeps bodies, so the limit also bounds the memory of an exchange."""


class Mounts(MutableMapping[str, Mountable]):
    """The brokers of a server by the path prefix below which each answers. Thread-safe.

    A prefix is empty or begins with a slash and does not end with one.

    Tests mount and unmount brokers while requests are answered in other threads.
    """

    def __init__(self) -> None:
        self._brokers: dict[str, Mountable] = {}
        self._lock = threading.Lock()

    def resolve(self, path: str) -> Mountable | None:
        """Return the broker with the longest prefix of the path, or None.

        The path of a metadata document leads to the broker of its issuer.

        It costs the same for any number of brokers if the path begins with a prefix of one segment.
        """
        # RFC 8414, 3: the well-known string stands before the path of the issuer, and so before the
        # prefix.
        document = _WELL_KNOWN.match(path)
        if document is not None:
            path = path[document.end() :]
        with self._lock:
            # A prefix of one segment needs no search, however many brokers are mounted.
            # A check mounts one broker for each test case, at a prefix of one segment.
            first = "/" + path.lstrip("/").partition("/")[0]
            broker = self._brokers.get(first)
            # The control API of a broker lies below the broker's own prefix.
            if broker is not None and CONTROL_PATH not in path:
                return broker
            fitting = [p for p in self._brokers if path == p or path.startswith(p + "/")]
            return self._brokers[max(fitting, key=len)] if fitting else None

    def __getitem__(self, prefix: str) -> Mountable:
        with self._lock:
            return self._brokers[prefix]

    def __setitem__(self, prefix: str, broker: Mountable) -> None:
        """Mount a broker. Raises ValueError if the prefix is malformed."""
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise ValueError(f"prefix {prefix!r} must be empty, or begin and not end with a slash")
        with self._lock:
            self._brokers[prefix] = broker

    def __delitem__(self, prefix: str) -> None:
        with self._lock:
            del self._brokers[prefix]

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            # A copy, so that brokers may be mounted while a caller iterates.
            return iter(tuple(self._brokers))

    def __len__(self) -> int:
        with self._lock:
            return len(self._brokers)


class _Application(flask.Flask):
    """Flask, with a short way for the requests that `Server` has read.

    For such a request nothing of Flask is needed but its handling of errors: the request is parsed,
    and the broker makes the response. Flask's contexts and objects would take as long as the
    broker's answer to a token request.
    """

    def __init__(self, mounts: Mounts) -> None:
        # Without a folder of static files: every path belongs to a broker, /static as well.
        super().__init__("mockbroker", static_folder=None)
        self._mounts = mounts

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request of `Server` by the broker at its path, any other one as Flask does."""
        request: Request | None = environ.get(REQUEST_KEY)
        broker = None if request is None else self._mounts.resolve(request.path)
        if request is None or broker is None:
            return super().wsgi_app(environ, start_response)
        try:
            reply = _reply_of(broker, request, environ)
        except Exception as error:  # noqa: BLE001 - as Flask does for a view
            with self.request_context(environ):
                return _internal_error_response(error)(environ, start_response)
        response = reply.response
        if reply.pieces is not None:
            return _flask_response(reply)(environ, start_response)
        fields = list(response.headers)
        if response.status not in _WITHOUT_LENGTH:
            fields.append(("Content-Length", str(len(response.body))))
        start_response(f"{response.status} {responses.get(response.status, '')}", fields)
        return [response.body]


def create_app(mounts: Mounts) -> flask.Flask:
    """Return the WSGI application that serves the brokers in ``mounts``, later additions too.

    The application is thread-safe. Errors in a broker become responses with status 500, and are
    logged.
    """
    app = _Application(mounts)
    app.url_map.merge_slashes = False  # a redirect would hide what the client asked for
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT_BYTES
    # A `before_request` function runs for any method and path. As views, the brokers would not see
    # what Flask answers by itself: 404, 405, OPTIONS and redirects.
    app.before_request(lambda: _answer_for_broker(mounts))
    app.register_error_handler(HTTPException, _http_error_response)
    app.register_error_handler(Exception, _internal_error_response)
    return app


def _answer_for_broker(mounts: Mounts) -> flask.Response:
    """Pass the request to the broker at its path, and the broker's reply to the server."""
    environ = flask.request.environ
    # The server's own request is preferred: a WSGI environment loses what clauses judge, such as
    # repeated fields, their order, and the encoding of the path.
    request = environ.get(REQUEST_KEY) or _rebuild(environ)
    broker = mounts.resolve(request.path)
    if broker is None:
        return _json_error(404, "no broker is mounted at that path; this server carries others")
    reply = _reply_of(broker, request, environ)
    # Another server would send the placeholder of an answer that the client must not get.
    if REQUEST_KEY not in environ and not reply.arrives:
        return _json_error(
            503,
            f"a scripted fault {reply.manner.words}, which this WSGI server cannot do; script a "
            "status, or use mockbroker serve",
        )
    return _flask_response(reply)


def _reply_of(broker: Mountable, request: Request, environ: WSGIEnvironment) -> Reply:
    """Return the broker's reply, which the environment has from then on."""
    # Another WSGI server sets neither key. It also ignores the reply, and sends each response at
    # once and whole.
    origin = environ.get(ORIGIN_KEY) or flask.request.host_url.rstrip("/")
    reply: Reply = broker.handle(request, origin)
    environ[REPLY_KEY] = reply
    return reply


def _flask_response(reply: Reply) -> flask.Response:
    """Return the response of a reply."""
    response = reply.response
    body = response.body if reply.pieces is None else reply.pieces
    answer = flask.Response(body, response.status, list(response.headers))
    if response.headers.get("Content-Type") is None:
        del answer.headers["Content-Type"]  # Flask adds a default, which the broker did not set
    return answer


def _rebuild(environ: Mapping[str, Any]) -> Request:
    """Return the request from the environment of another WSGI server.

    Repeated header fields are lost: WSGI merges them.
    """
    # Some servers pass the target as it was received; otherwise the path has lost its encoding.
    query = environ.get("QUERY_STRING", "")
    raw = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    target = raw or flask.request.path + (f"?{query}" if query else "")
    body = flask.request.get_data()
    # No standard of WSGI has the client's certificate, so there is none.
    headers = Headers.of(flask.request.headers)
    return Request(flask.request.method, target, headers, body, certificate=b"")


def _json_error(status: int, message: str) -> flask.Response:
    """Return an error that no broker made, with its message in JSON."""
    # The vendor's form of errors, which clients of the broker read anyway.
    response = flask.jsonify({"error": True, "message": message})
    response.status_code = status
    return response


def _http_error_response(error: Exception) -> flask.Response:
    """Return the response for what Flask rejects, such as a body over the limit."""
    http_error = cast("HTTPException", error)
    return _json_error(http_error.code or 500, f"{http_error.name}: {http_error.description}")


def _internal_error_response(error: Exception) -> flask.Response:
    """Log an exception of the broker with its traceback, and return status 500."""
    # The response has the exception's type only. Its message may quote a secret of the request.
    flask.current_app.logger.error("the broker itself failed", exc_info=error)
    return _json_error(500, f"the broker itself failed ({type(error).__name__}); its log says more")
