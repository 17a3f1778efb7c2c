"""The base of client authentication methods: one strategy for everything that depends on them.

A new method needs one subclass, and one chapter of clauses that judge it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = ["AuthenticationMethod"]


class AuthenticationMethod(ABC):
    """A client authentication method of the token endpoint (RFC 6749, 2.3).

    It reads requests, recognizes credentials, gives hints, and makes the credentials of examples
    and curl commands. The clauses of its ``chapter`` judge the clients that use it. Instances never
    change, so threads share them.
    """

    name: ClassVar[str]
    """The method's name in ``client_authentication`` of a profile."""
    chapter: ClassVar[str]
    """The chapter of the contract whose clauses judge the method."""
    place: ClassVar[str]
    """The place of the credentials; it completes the sentence "the client authenticates …"."""
    expected: str
    """The credentials that a request must have, in words."""

    def is_accepted_by(self, profile: Profile) -> bool:
        """Return whether a broker of that profile accepts this variant of the method."""
        return self.name in profile.authentication_methods

    def for_profile(self, profile: Profile) -> AuthenticationMethod:
        """Return the method in the profile's terms, such as its names of parameters."""
        del profile
        return self

    @abstractmethod
    def is_used_in(self, request: TokenRequest) -> bool:
        """Return whether the request tries to use the method, rightly or wrongly."""

    @abstractmethod
    def presents(self, request: TokenRequest, credentials: Credentials) -> bool:
        """Return whether the request presents exactly these credentials.

        Implementations compare secrets in constant time (`same_text`).
        """

    @abstractmethod
    def claimed(self, request: TokenRequest) -> Credentials | None:
        """Return the credentials that the request seems to mean; None if it has none.

        They are read leniently, and need not belong to a registered client.
        """

    @abstractmethod
    def client_ids_in(self, request: TokenRequest) -> frozenset[str]:
        """Return the client ids that the request may mean, even from malformed credentials."""

    @abstractmethod
    def mistakes(self, request: TokenRequest, expected: TokenExpectation) -> Iterator[str]:
        """Yield a hint on each likely mistake in a wrong request.

        Right credentials have none. No hint holds a secret.
        """

    @abstractmethod
    def headers(self, credentials: Credentials) -> Mapping[str, str]:
        """Return the header fields by which a client presents the credentials.

        Empty if the method uses none.
        """

    @abstractmethod
    def parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """Return the parameters of the body by which a client presents the credentials.

        They are not form-encoded yet. Empty if the method uses none.
        """

    def url_parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """Return the parameters of the URL's query that present the credentials, not encoded."""
        del credentials
        return {}

    @abstractmethod
    def curl_options(self, credentials: Credentials) -> tuple[str, ...]:
        """Return the options of a curl command that presents the credentials, unquoted."""
