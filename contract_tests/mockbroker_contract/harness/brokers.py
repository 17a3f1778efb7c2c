"""The brokers of a run: their URLs, their tokens, and the expiry of these tokens."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from mockbroker.fake_broker import Broker
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import Profile, TokenPolicy
from mockbroker.server.certificates import ThrowAwayAuthority
from mockbroker.server.listener import Server
from mockbroker_contract.drivers.failures import ResourcesExhausted
from mockbroker_contract.timing.run_time import RealTime, RunTime

__all__ = ["CENTURY_SECONDS", "Brokers"]

CENTURY_SECONDS = 3.2e9
"""A token with a longer lifetime cannot be made to expire: calendars end too soon."""


class Brokers:
    """Lenient brokers that use the run's clock, each with its own URL.

    Most are on one server; some have another origin, or speak TLS, as all do after `use_tls`. While
    no client session is open, time passes until every issued token has expired. A token that a
    client wrongly keeps after its session then changes no other test case. Safe to use from several
    threads.

    It owns its servers, and `close` stops them.
    """

    def __init__(self, profile: Profile, folder: Path) -> None:
        self.time: RunTime = RealTime()
        """The run's time, which is the clock of new brokers."""
        self._profile = profile
        self._with_tls = _TlsServers(folder)
        # Another port is another origin (RFC 6454, 4), so two servers on this machine suffice for
        # redirects.
        self._here, self._elsewhere = Server(), Server()
        self._plain = (self._here, self._elsewhere)
        self._prefixes = itertools.count(1)
        self._mounted: dict[Broker, tuple[Server, str]] = {}
        self._issued = _IssuedTokens()
        self._open_sessions = self._shortages = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the servers that every run needs. Raises OSError if no port is available.

        Each has a thread that accepts connections, so a client's host must be forked before.
        """
        self._here.start()
        self._elsewhere.start()

    def close(self) -> None:
        """Stop the servers."""
        for server in self._servers:
            server.stop()

    def use_tls(self) -> None:
        """Have all new brokers speak TLS, with a certificate that their ``ca_file`` trusts."""
        self._here = self._with_tls.server("127.0.0.1")
        # A server has one set of names, so another set makes another server. No host has this name.
        self._elsewhere = self._with_tls.server("127.0.0.1", "elsewhere.example")

    def use_http(self) -> None:
        """Have all new brokers speak plain HTTP, as they do at first."""
        self._here, self._elsewhere = self._plain

    @property
    def refusal(self) -> str:
        """The latest reason why a server that speaks TLS got no request; empty if it did."""
        return next(iter(self._with_tls.refusals), "")

    @property
    def _servers(self) -> tuple[Server, ...]:
        return (*self._plain, *self._with_tls.by_names.values())

    def new(
        self,
        credentials: Credentials,
        expires_in: float = 3599,
        scope: str = "",
        *,
        server: Server | None = None,
        prefix: str = "",
        profile: Profile | None = None,
    ) -> Broker:
        """Return a new broker, by default on the first server with a new path prefix.

        ``expires_in`` is in seconds. The caller retires the broker. ``scope`` is what its tokens
        have. ``profile`` is the run's unless given. A test case makes more token requests than an
        app, so no quota limits them, and none is refused because a token is valid; a clause on
        either sets it itself.
        """
        server = server or self._here
        broker = Broker(
            profile=without_limits(profile or self._profile),
            credentials=credentials,
            expires_in=expires_in,
            # Lenient, so that a mistake in a request breaks its own clause only, and the case goes
            # on.
            strict=False,
            clock=self.time,
        )
        broker.scope = scope
        # Never reused: a client that caches by URL would find the token of an earlier case.
        prefix = prefix or f"/x{next(self._prefixes)}"
        server.mount(broker, prefix)
        self._mounted[broker] = (server, prefix)
        return broker

    def copy_at_another_origin(self, broker: Broker) -> Broker:
        """Return a new broker at the same path of another origin, with the same credentials.

        It distinguishes clients that cache by path from those that cache by URL.
        """
        _, prefix = self._mounted[broker]
        return self.new(broker.credentials, server=self._elsewhere, prefix=prefix)

    @contextlib.contextmanager
    def at_another_origin(self, credentials: Credentials) -> Iterator[Broker]:
        """Provide a broker of another origin than the others."""
        yield from self._until_retired(self.new(credentials, server=self._elsewhere))

    @contextlib.contextmanager
    def with_token_url(self, credentials: Credentials, path: str, query: str) -> Iterator[Broker]:
        """Provide a broker whose token URL has that path, below its prefix, and that query."""
        # The aliases of the profile would be right as well.
        profile = replace(self._profile, token_path=path, token_query=query, token_path_aliases=())
        yield from self._until_retired(self.new(credentials, profile=profile))

    @contextlib.contextmanager
    def with_tls(self, credentials: Credentials, *names: str) -> Iterator[Broker]:
        """Provide a broker that speaks TLS, with a certificate for these names by a new CA.

        The names are DNS names or addresses. The broker's ``ca_file`` has the CA.
        """
        yield from self._until_retired(self.new(credentials, server=self._with_tls.server(*names)))

    def _until_retired(self, broker: Broker) -> Iterator[Broker]:
        try:
            yield broker
        finally:
            self.retire(broker)

    def retire(self, broker: Broker) -> None:
        """Unmount a broker; a client that still sends requests there gets a 404.

        Its tokens are remembered, so that a client that still presents one is noticed.
        """
        server, prefix = self._mounted.pop(broker)
        server.unmount(prefix)
        # After the unmount, so that no further token can be issued.
        self._issued.add(broker)
        self._let_tokens_expire()

    def issued_by_another(self, token: str) -> bool:
        """Return whether another broker of the run, retired or not, issued that token.

        Values that a test case chose are not counted, because several cases may choose the same.
        """
        return token in self._issued.values or any(
            broker.token_values is None and token in broker.token_issued_values
            # A copy, because another session may mount its broker meanwhile.
            for broker in tuple(self._mounted)
        )

    def session_opened(self) -> bool:
        """Count one more open client session; return whether it is the only one.

        The first one may find folders and clocks as an earlier client left them.
        """
        with self._lock:
            self._open_sessions += 1
            return self._open_sessions == 1

    def session_closed(self) -> None:
        """Count one open client session less; expire all tokens after the last one."""
        with self._lock:
            self._open_sessions -= 1
        # Outside of the lock, because moving the clock of a program waits for its answer.
        self._let_tokens_expire()

    def _let_tokens_expire(self) -> None:
        if not self._open_sessions:
            # Not while a session is open: its case decides how much time passes.
            self.time.advance_to(self._issued.last_expiry)

    def needs_resources(self) -> None:
        """Raise ResourcesExhausted if a server could not take a connection since the last call.

        Called after a failed case only: a client whose connection was not accepted fails through no
        fault of its own.
        """
        shortages = sum(server.shortages for server in self._servers)
        new, self._shortages = shortages - self._shortages, shortages
        if new:
            raise ResourcesExhausted(
                f"the broker could not accept {new} connections of the client: this process has no "
                "more file descriptors or memory"
            )


def without_limits(profile: Profile) -> Profile:
    """Return the profile without a limit to how often a client may request a token.

    Without a repeated expires_in as well: no client can know when such a token ends.
    """
    refuses = profile.token_policy == "refuse"  # noqa: S105 - a policy, not a password
    policy: TokenPolicy = "new" if refuses else profile.token_policy
    return replace(
        profile,
        quotas=(),
        token_policy=policy,
        # A provider that issues a new token each time has no time of renewal.
        renewal_seconds=0 if refuses else profile.renewal_seconds,
        repeats_expires_in=False,
    )


@dataclass
class _TlsServers:
    """Servers that speak TLS, one for each set of names in their certificate.

    They start at first use: a key and a certificate take long to make, and one clause needs them.
    """

    folder: Path
    by_names: dict[tuple[str, ...], Server] = field(default_factory=dict)
    refusals: deque[str] = field(default_factory=lambda: deque(maxlen=1))

    def server(self, *names: str) -> Server:
        if names not in self.by_names:
            certificate = self._authority.certificate_for(*names)
            server = Server(tls=certificate, on_refused=self.refusals.append)
            server.start()
            self.by_names[names] = server
        return self.by_names[names]

    @cached_property
    def _authority(self) -> ThrowAwayAuthority:
        return ThrowAwayAuthority(self.folder)


@dataclass
class _IssuedTokens:
    """The tokens of retired brokers; ``last_expiry`` is in Unix seconds."""

    values: set[str] = field(default_factory=set)
    last_expiry: float = 0.0

    def add(self, broker: Broker) -> None:
        for exchange in broker.token_requests:
            if exchange.token is None:
                continue
            # A longer one would take the clock beyond every calendar, for all cases that follow.
            if exchange.token.expires_in < CENTURY_SECONDS:
                self.last_expiry = max(self.last_expiry, exchange.token.expires_at)
            # Values that a case has chosen may occur in several cases, so they identify no broker.
            if broker.token_values is None:
                self.values.add(exchange.token.value)
