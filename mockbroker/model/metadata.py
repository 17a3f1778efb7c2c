"""The metadata that an authorization server publishes about itself, as a part of a profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from mockbroker.model.typed_reading import field_problem

__all__ = ["DOCUMENTS", "Metadata", "MetadataDocument"]

MetadataDocument = Literal["oauth-authorization-server", "openid-configuration"]
DOCUMENTS: tuple[MetadataDocument, ...] = ("oauth-authorization-server", "openid-configuration")
"""The names of the documents below ``/.well-known/``: RFC 8414, 7.3, and OpenID Connect Discovery
1.0, 4."""

# Some issuers end with a slash, which counts when identifiers are compared. RFC 8414, 2: an issuer
# "has no query or fragment components".
_IssuerPath = Annotated[
    str,
    Meta(
        pattern=r"\A(?:/[^?#\s]*)?\Z",
        description="an empty string, or a path that begins with a slash",
    ),
]
_JwksPath = Annotated[
    str, Meta(pattern=r"\A/[^?#\s]+\Z", description="a path that begins with a slash")
]
_Documents = Annotated[
    tuple[MetadataDocument, ...], Meta(min_length=1, description="a list that is not empty")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The documents that name the endpoints for clients and resource servers.

    ``documents`` are the names of those that the provider serves. ``issuer_path`` follows the
    origin in the issuer identifier, and ``jwks_path`` is the path of the public keys, which exist
    if the profile's tokens are signed. Both may have the placeholders of the token path.
    ``members`` are added to each document or replace what it has; in their values ``{issuer}``
    stands for the issuer identifier.

    Raises ValueError if a value does not fit.
    """

    documents: _Documents = DOCUMENTS
    issuer_path: _IssuerPath = ""
    jwks_path: _JwksPath = "/jwks"
    # Left out of the hash, because a dict has none; values that differ still compare unequal.
    members: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        problem = field_problem(self)
        if problem:
            raise ValueError(problem)
        # A program may pass a list; a profile is a value that can be hashed and never changes.
        object.__setattr__(self, "documents", tuple(self.documents))
