"""HTTP messages as values, exactly as they were received or sent.

Parsed forms lose what clauses judge, such as order, case, repetition and encoding. Therefore the
raw strings and bytes are kept, and each reader parses them as it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

__all__ = ["Headers", "Request", "Response"]


@dataclass(frozen=True, slots=True, repr=False)
class Headers:
    """Header fields in their order, with repeated fields kept separate (RFC 9110, 5.2).

    Values are the field's bytes decoded as Latin-1, which loses no byte. The repr has the names
    only, because a failing assertion prints it and values may be secret.
    """

    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, fields: Iterable[tuple[str, str]]) -> Headers:
        """Return the headers from an iterable of name-value pairs."""
        return cls(tuple((name, value) for name, value in fields))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(name for name, _ in self.fields)}>"

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return every value of the named field; names compare without case."""
        # RFC 9110, 5.1: field names compare without case.
        wanted = name.lower()
        return tuple(value for field_name, value in self.fields if field_name.lower() == wanted)

    def get(self, name: str) -> str | None:
        """Return the first value of the named field, or None."""
        wanted = name.lower()
        for field_name, value in self.fields:
            if field_name.lower() == wanted:
                return value
        return None


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """A received request; ``target`` is the raw request target, path and query undecoded.

    The body has no transfer coding any more. The repr leaves out what may be secret: the query,
    the header values and the body.

    The server has removed scheme and host from an absolute target (RFC 9112, 3.2.2).

    ``certificate`` is the client's certificate of the TLS connection, in DER: empty if the client
    presented none, None if that is unknown, as of a pasted request.
    """

    method: str
    target: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    certificate: bytes | None = None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"

    @property
    def path(self) -> str:
        """The raw path of the target, without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The raw query of the target, empty if there is none."""
        return self.target.partition("?")[2]


@dataclass(frozen=True, slots=True, repr=False)
class Response:
    """A response as it was sent. The repr has the status only: the body may hold a token."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<Response {self.status}>"
