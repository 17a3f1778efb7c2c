"""What a client authentication method is: one strategy for everything that depends on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = ["AuthenticationMethod", "Hint"]

Hint = Callable[[TokenRequest, TokenExpectation], str]
"""Returns the likely mistake in plain words, or an empty string."""


class AuthenticationMethod(ABC):
    """How a client authenticates at the token endpoint (RFC 6749, 2.3).

    A method reads a request, recognises credentials, gives hints, and makes requests of its own;
    the clauses of its ``chapter`` judge those who use it. Instances have no state.
    """

    name: ClassVar[str]
    """How a profile names the method in ``client_authentication``."""
    chapter: ClassVar[str]
    """The chapter of the contract whose clauses judge the method."""
    place: ClassVar[str]
    """Where the credentials are: completes the sentence "the client authenticates …"."""
    expected: ClassVar[str]
    """What a request must have, in words."""
    hints: ClassVar[Sequence[Hint]]
    """What to look for in a request that is wrong, the more specific first."""

    def is_accepted_by(self, profile: Profile) -> bool:
        """Whether a broker of that profile takes the method, in this variant of it."""
        return self.name in profile.authentication_methods

    @abstractmethod
    def is_used_in(self, request: TokenRequest) -> bool:
        """Whether the request tries to use the method, rightly or wrongly."""

    @abstractmethod
    def shows_credentials(self, request: TokenRequest) -> bool:
        """Whether the request has credentials by this method that can be read."""

    @abstractmethod
    def presents(self, request: TokenRequest, credentials: Credentials) -> bool:
        """Whether the request presents exactly these credentials, compared in constant time."""

    @abstractmethod
    def claimed(self, request: TokenRequest) -> Credentials | None:
        """The credentials that the request seems to mean, read leniently; None if it has none."""

    @abstractmethod
    def client_ids_in(self, request: TokenRequest) -> frozenset[str]:
        """The client ids that the request may mean, however badly it names them."""

    @abstractmethod
    def headers(self, credentials: Credentials) -> Mapping[str, str]:
        """The header fields by which a client presents the credentials."""

    @abstractmethod
    def parameters(self, credentials: Credentials) -> Mapping[str, str]:
        """The parameters of the body by which a client presents the credentials."""

    @abstractmethod
    def curl_options(self, credentials: Credentials) -> tuple[str, ...]:
        """The options of a curl command that presents the credentials, unquoted."""
