"""The live page of a broker: its files, and the place at the root of the broker.

The files have no data of the broker. What the page shows it reads from the control API, whose guard
applies. So a page of another site that loads it learns nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

from mockbroker.broker.answers import Reply
from mockbroker.broker.mounting import CONTROL_PATH, Connections
from mockbroker.model.messages import Headers, Request, Response
from mockbroker.server.control.access import ControlAccess, page_denial_of
from mockbroker.server.control.controlled import ControlledBroker
from mockbroker.server.control.replies import SAFE_FIELDS, denied, problem_reply
from mockbroker.server.mountable import Mountable

__all__ = ["PAGE_PATH", "PageAtRoot", "page_reply", "page_url"]

PAGE_PATH = "/page/"
"""The path below the control API of the page and its files."""
_TYPES = {
    "control.js": "text/javascript",
    "elements.js": "text/javascript",
    "exchanges.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "live.css": "text/css",
    "live.html": "text/html",
    "live.js": "text/javascript",
    "setup.js": "text/javascript",
    "tokens.js": "text/javascript",
}
"""The files of the page with their media types. Nothing else in the folder is served."""
_HTML = "live.html"
# No inline script and style, and nothing of another origin. Trusted types: no script of the page
# can make markup from a string, which may be what a client has sent.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


class PageAtRoot:
    """A broker whose root is its live page; every other request is the broker's own."""

    def __init__(
        self, broker: Mountable, controlled: ControlledBroker, prefix: str, access: ControlAccess
    ) -> None:
        self._broker = broker
        self._controlled = controlled
        # Without the slash as well: a user may leave it out.
        self._paths = {prefix, f"{prefix}/"}
        self._access = access

    @property
    def asks_for_certificates(self) -> bool:
        """Whether the broker asks clients for a certificate."""
        return self._broker.asks_for_certificates

    def accepted_certificates(self) -> Sequence[str]:
        """Return the certificates that the broker accepts."""
        return self._broker.accepted_certificates()

    @property
    def is_prompt(self) -> bool:
        """Whether the broker is."""
        return self._broker.is_prompt

    def handle(self, request: Request, origin: str) -> Reply:
        """Answer a request for the page, or pass it on to the broker."""
        if request.path not in self._paths or not self._is_for_page(request):
            return self._broker.handle(request, origin)
        # Relative, because a proxy may publish the broker below another path.
        last = request.path.rpartition("/")[2]
        control = f"{last}/{CONTROL_PATH[1:]}" if last else CONTROL_PATH[1:]
        return page_reply(request, origin, self._access, _HTML, control)

    def _is_for_page(self, request: Request) -> bool:
        """Return whether a request for the root is one for the page, and not one of a client."""
        accepted = request.headers.get("Accept") or "*/*"
        return (
            request.method in {"GET", "HEAD"}
            # A call of the API whose URL is wrong has a token, and needs the broker's 404.
            and request.headers.get("Authorization") is None
            and ("text/html" in accepted or "*/*" in accepted)
            and _has_free_root(self._controlled)
        )

    def mounted_at(
        self,
        origin: str,
        prefix: str,
        ca_file: str | None = None,
        connections: Connections | None = None,
    ) -> None:
        """Pass the place on to the broker."""
        self._broker.mounted_at(origin, prefix, ca_file, connections)

    def unmounted(self) -> None:
        """Pass the end on to the broker."""
        self._broker.unmounted()


def page_url(broker: ControlledBroker) -> str:
    """Return the URL of the live page. Raises RuntimeError while the broker is not mounted."""
    if not _has_free_root(broker):
        return broker.control_url + PAGE_PATH
    return broker.control_url.removesuffix(CONTROL_PATH) + "/"


def _has_free_root(broker: ControlledBroker) -> bool:
    """Return whether the profile has no token endpoint at the root; an API is never there."""
    return not broker.profile.has_token_path("/")


def page_reply(
    request: Request, origin: str, access: ControlAccess, name: str, control: str
) -> Reply:
    """Return a file of the page; an empty name is the page itself.

    ``control`` is the URL of the control API, relative to that of the request.
    """
    denial = page_denial_of(request.headers, origin.partition(":")[0], access)
    if denial is not None:
        return denied(denial)
    file = name or _HTML
    if file not in _TYPES:
        return problem_reply(404, "not-found", "the live page has no file of that name")
    if request.method not in {"GET", "HEAD"}:
        return problem_reply(405, "method", "use GET, HEAD for this path", ("Allow", "GET, HEAD"))
    body = _content(file)
    if file == _HTML:
        body = body.replace(b"{control}", control.encode())
    fields = {
        **dict(SAFE_FIELDS),
        "Content-Type": f"{_TYPES[file]}; charset=utf-8",
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
    }
    return Reply(response=Response(200, Headers(tuple(fields.items())), body))


@lru_cache(maxsize=len(_TYPES))
def _content(name: str) -> bytes:
    """Return the content of a file of the page."""
    return resources.files(__package__).joinpath("page", name).read_bytes()
