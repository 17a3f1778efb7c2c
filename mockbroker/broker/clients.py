"""The clients that may request tokens from a broker.

Judges compare a request with all of them, because a client may send credentials of another one.
"""

from __future__ import annotations

import threading
from dataclasses import fields
from secrets import token_hex

from mockbroker.broker.client_keys import NO_KEYS, KeyNeeds, equipped
from mockbroker.contract.authentication.client_certificate import certificates_in
from mockbroker.contract.authentication.public_keys import public_keys_in
from mockbroker.model.credentials import Credentials

__all__ = ["LAST_CLIENT", "ClientRegistry", "checked_credentials", "random_credentials"]

LAST_CLIENT = "a broker needs a client; register another one first"


class ClientRegistry:
    """The registered clients of one broker; thread-safe.

    ``credentials`` are those of the client that a test uses by default, random if None. Raises
    ValueError if the client_id has a colon, which Basic cannot carry (RFC 7617, 2), or the public
    keys or the certificate are malformed. Raises TypeError if they are not Credentials, or a member
    is not a string. Each client gets the key and the certificate that it ``needs``, unless it has
    them.
    """

    def __init__(
        self, credentials: Credentials | None = None, *, needs: KeyNeeds = NO_KEYS
    ) -> None:
        given = checked_credentials(random_credentials() if credentials is None else credentials)
        self._needs = needs
        self._initial = equipped(given, needs)
        self._lock = threading.Lock()
        self.credentials = self._initial
        # An immutable tuple, replaced as a whole: requests read it without a lock and see one
        # state.
        self._registered: tuple[Credentials, ...] = (self._initial,)

    def reset(self) -> None:
        """Remove every client but the initial one."""
        self.credentials = self._initial
        self._registered = (self._initial,)

    def renew(self) -> None:
        """Replace every client by one with random credentials, the initial one from now on."""
        self._initial = equipped(random_credentials(), self._needs)
        self.reset()

    @property
    def registered(self) -> tuple[Credentials, ...]:
        """The credentials of every client that may request tokens, the initial client's first."""
        return self._registered

    def put(self, credentials: Credentials) -> Credentials:
        """Add a client, or replace all that is registered of a known client_id.

        Raises ValueError and TypeError as the class does.
        """
        keyed = equipped(checked_credentials(credentials), self._needs)
        self._put(keyed)
        return keyed

    def need_keys(self, needs: KeyNeeds) -> None:
        """Give each client the key and the certificate that it needs and does not have."""
        self._needs = needs
        self._initial = equipped(self._initial, needs)
        self.credentials = equipped(self.credentials, needs)
        for client in self._registered:
            # Credentials that differ in keys only are equal.
            if equipped(client, needs) is not client:
                self.put(client)

    def _put(self, credentials: Credentials) -> None:
        """Add valid credentials, or replace those of the same client_id."""
        # Two registrations at once would otherwise each build on the same tuple, and one be lost.
        with self._lock:
            client_id = credentials.client_id
            others = tuple(c for c in self._registered if c.client_id != client_id)
            # A lenient broker issues to the first client if it recognizes none.
            is_first = self._registered[0].client_id == client_id
            self._registered = (credentials, *others) if is_first else (*others, credentials)

    def remove(self, client_id: str) -> None:
        """Remove a client. Its tokens stay valid.

        Raises KeyError if the client_id is not registered, and ValueError for the last client.
        """
        with self._lock:
            ids = {each.client_id for each in self._registered}
            if client_id not in ids:
                raise KeyError(client_id)
            # A lenient broker issues to the first client if it recognizes none.
            if len(ids) == 1:
                raise ValueError(LAST_CLIENT)
            self._discard(client_id)

    def _discard(self, client_id: str) -> None:
        """Remove a client that is not the last one."""
        self._registered = tuple(c for c in self._registered if c.client_id != client_id)
        if self.credentials.client_id == client_id:
            self.credentials = self._registered[0]


def random_credentials() -> Credentials:
    """Return new credentials, made of hexadecimal digits only."""
    # Random for each broker, so that a client with credentials left over from another test fails.
    # The client_id is short, because messages show it. The secret has 128 bits.
    return Credentials(f"client-{token_hex(4)}", token_hex(16))


def checked_credentials(credentials: Credentials) -> Credentials:
    """Return the credentials. Raises TypeError and ValueError as `ClientRegistry` does."""
    if not isinstance(credentials, Credentials):
        # Without its value, which has the secret.
        kind = type(credentials).__name__
        raise TypeError(
            f"credentials must be Credentials(client_id, client_secret), not of type {kind}"
        )
    named = {each.name: getattr(credentials, each.name) for each in fields(Credentials)}
    for name, value in named.items():
        # Checked although it is typed: a test often passes `os.environ.get(...)`, which may be
        # None, and None would fail much later, when a request is judged.
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a str, not of type {type(value).__name__}")
    if ":" in credentials.client_id:
        raise ValueError(
            f"client_id {credentials.client_id!r} has a colon, which Basic cannot carry "
            "(RFC 7617, 2)"
        )
    try:
        public_keys_in(credentials.public_keys, credentials.key_id)
    except ValueError as error:
        raise ValueError(f"public_keys of client {credentials.client_id!r}: {error}") from None
    try:
        certificates_in(credentials.certificate)
    except ValueError as error:
        raise ValueError(f"certificate of client {credentials.client_id!r}: {error}") from None
    return credentials
