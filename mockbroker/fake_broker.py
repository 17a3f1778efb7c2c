"""The broker that a test uses: settings, journal, assertions, and a server for them.

It composes the parts of `mockbroker.broker` and holds no logic of its own. The pytest fixture, the
kit and the commands all use it.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NoReturn, get_args

from mockbroker.broker.answers import Reply, TokenAnswer
from mockbroker.broker.client_keys import KeyNeeds, needs_of
from mockbroker.broker.clock import SupportsClock
from mockbroker.broker.conformance import breaches_at
from mockbroker.broker.faults import Fault
from mockbroker.broker.journal import SIZE_BYTES, Journal
from mockbroker.broker.metadata_endpoint import MetadataEndpoint
from mockbroker.broker.mounting import Connections, Mounting
from mockbroker.broker.observation import Observed, observe
from mockbroker.broker.profiles import ConfigError, usable_profile
from mockbroker.broker.protected_api import ProtectedApi
from mockbroker.broker.release import ReleaseSwitch
from mockbroker.broker.request_handler import RequestHandler
from mockbroker.broker.routes import ApiRoutes
from mockbroker.broker.secrecy import KnownSecrets
from mockbroker.broker.settings import Settings
from mockbroker.broker.state import Limits, LocalState, State, StateError
from mockbroker.broker.time_travel import TimeTravel
from mockbroker.broker.token_endpoint import TokenEndpoint
from mockbroker.broker.tokens import TOKEN_LIMIT
from mockbroker.contract.clause import Level
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.exchange import Endpoint, Exchange, Trace
from mockbroker.model.messages import Request
from mockbroker.model.profile import Profile, TokenPolicy
from mockbroker.report.conformance_text import breaches_text, forgotten_text, nothing_seen_text
from mockbroker.server.certificates import ServerCertificate, throw_away_certificate

__all__ = ["Broker"]


class Broker:
    """A fake authorization server: a token endpoint and a protected API.

    ``profile`` is a `Profile` or the name of a shipped one. ``credentials`` are random by default.
    ``expires_in`` is the lifetime of tokens in seconds, by default that of the profile. A
    ``strict`` broker rejects invalid requests. A lenient one records what is wrong and answers as
    if the request were valid.

    ``journal_size`` and ``journal_bytes`` limit how many exchanges the journal holds, and about how
    much memory they take. ``token_limit`` limits the number of tokens. Beyond it the broker
    forgets tokens, expired and revoked ones first; it logs a warning if it must forget a valid
    one. It rejects a forgotten token with a hint that says so.

    ``state`` is the URL of a Redis in which tokens, clients, clock, faults and journal are kept,
    such as ``redis://127.0.0.1:6379/0?namespace=shop``. Brokers with the same URL share them, also
    in other processes; without ``credentials`` they share those of the first. It needs the package
    ``mockbroker[redis]``.

    All methods are thread-safe. Raises ValueError if ``expires_in`` is not a finite number >= 0, a
    limit is less than 1, or the client_id has a colon. Raises TypeError if an argument is of a
    wrong type. Raises ConfigError if the profile is unknown or has an unknown method, or the
    state's URL is malformed. Raises StateError if the state cannot be reached.
    """

    journal: Journal

    def __init__(
        self,
        *,
        profile: str | Profile = "autograb",
        credentials: Credentials | None = None,
        expires_in: float | None = None,
        strict: bool = True,
        clock: SupportsClock | None = None,
        journal_size: int = 1000,
        journal_bytes: int = SIZE_BYTES,
        token_limit: int = TOKEN_LIMIT,
        state: str | None = None,
    ) -> None:
        initial = usable_profile(profile)
        lifetime_seconds = initial.expires_in if expires_in is None else expires_in
        limits = Limits(tokens=token_limit, exchanges=journal_size, exchange_bytes=journal_bytes)
        self._state = _state(state, credentials, limits, needs_of(initial))
        self._settings = Settings(
            expires_in=lifetime_seconds,
            strict=strict,
            clock=clock,
            own_clock=self._state.clock,
            token_policy=initial.token_policy,
        )
        clients, tokens = self._state.clients, self._state.tokens
        self._mounting = Mounting(initial)
        self._waiting_answers = ReleaseSwitch()
        self._travel = TimeTravel()
        self._secrets = KnownSecrets(clients, tokens)
        # The journal prints failing assertions, so it needs the mask. It gets the bound method:
        # clients and tokens that come later are masked as well.
        self.journal = Journal(mask=self.masked, store=self._state.exchanges)
        parts = self._settings, clients, tokens, self._mounting
        self._api = ProtectedApi(*parts, script=self._state.api_script)
        self._handler = RequestHandler(
            settings=self._settings,
            mounting=self._mounting,
            token_endpoint=TokenEndpoint(
                *parts,
                keys=self._state.keys,
                assertions=self._state.assertions,
                script=self._state.token_script,
            ),
            api=self._api,
            metadata=MetadataEndpoint(
                self._mounting, self._state.keys, self._state.elsewhere_script
            ),
            journal=self.journal,
            waiting_answers=self._waiting_answers,
            elsewhere_script=self._state.elsewhere_script,
        )
        self._end_watch: Callable[[], None] = lambda: None

    # Set-up of a test

    @property
    def profile(self) -> Profile:
        """The conventions of the provider. Setting it by name or value changes the URLs as well.

        The lifetime of tokens and the token policy become those of the new profile. Setting it
        raises ConfigError if the profile is unknown or has an unknown method.
        """
        return self._mounting.profile

    @profile.setter
    def profile(self, profile: str | Profile) -> None:
        usable = usable_profile(profile)
        self._mounting.profile = usable
        self._state.clients.need_keys(needs_of(usable))
        self._settings.expires_in = usable.expires_in
        self._settings.token_policy = usable.token_policy

    @property
    def credentials(self) -> Credentials:
        """The credentials of the first client; `register` adds others.

        If the profile has ``private_key_jwt``, they have a private key (PEM) and its ``key_id``. If
        it has ``tls_client_auth`` or ``self_signed_tls_client_auth``, they have the paths
        ``certificate_file`` and ``key_file``, of files that exist as long as this process.
        """
        return self._state.clients.credentials

    @credentials.setter
    def credentials(self, credentials: Credentials) -> None:
        self._state.clients.credentials = credentials

    @property
    def auth(self) -> tuple[str, str]:
        """The id and the secret of `credentials`, as ``auth=`` of requests and httpx takes them."""
        return self.credentials.client_id, self.credentials.client_secret

    def __setattr__(self, name: str, value: object) -> None:
        # Python would accept `broker.expire_in = 5`, and the test would run with another lifetime.
        if not name.startswith("_"):
            _check_attribute(type(self), name, value)
        super().__setattr__(name, value)

    @property
    def expires_in(self) -> float:
        """The lifetime, in seconds, of tokens issued from now on.

        Setting it raises ValueError unless it is a finite number >= 0.
        """
        return self._settings.expires_in

    @expires_in.setter
    def expires_in(self, seconds: float) -> None:
        self._settings.expires_in = seconds

    @property
    def token_policy(self) -> TokenPolicy:
        """What a client gets that has a valid token already; at first that of the profile.

        ``new``: a token beside it. ``same``: the same token, with what is left of its lifetime.
        ``single``: a token that ends the old one. ``refuse``: an error.

        Setting it raises ValueError for others.
        """
        return self._settings.token_policy

    @token_policy.setter
    def token_policy(self, policy: TokenPolicy) -> None:
        if policy not in get_args(TokenPolicy):
            raise ValueError(f"token_policy must be new, same, single or refuse, not {policy!r}")
        self._settings.token_policy = policy

    @property
    def strict(self) -> bool:
        """Whether the broker rejects invalid requests instead of recording what is wrong."""
        return self._settings.strict

    @strict.setter
    def strict(self, strict: bool) -> None:
        self._settings.strict = strict

    @property
    def clock(self) -> SupportsClock:
        """The clock by which tokens expire.

        ``clock.advance(seconds)`` moves the broker only, as if its clock were ahead of the
        client's. `travel` moves broker and client together.
        """
        # A shared clock may have been moved by another process.
        self._state.refresh()
        return self._settings.clock

    def travel(self, seconds: float) -> None:
        """Move the time of this process forward, so that broker and client move together.

        It moves freezegun or time-machine if one of them is active, with `time.time`,
        `datetime.now` and all that the library replaces. Otherwise it starts time-machine, or
        freezegun if time-machine is not installed, until the end of the test or block. The move
        ends with the test, with `reset`, and with the block of `running`.

        Raises TypeError or ValueError unless the seconds are a finite number >= 0. Raises
        RuntimeError if neither library is installed.
        """
        before = self.clock.now()
        self._travel.move(seconds)
        # A clock of the test's own may not follow the process's time.
        if self.clock.now() - before < seconds / 2:
            self.clock.advance(seconds)

    def end_travel(self) -> None:
        """Take back every move of `travel`. The fixture does so at the end of the test."""
        self._travel.end()

    @property
    def scope(self) -> str:
        """The scope that token requests should have and that tokens get; empty for none."""
        return self._settings.scope

    @scope.setter
    def scope(self, scope: str) -> None:
        self._settings.scope = scope

    @property
    def token_answer(self) -> TokenAnswer:
        """The form of the token response from now on."""
        return self._settings.token_answer

    @token_answer.setter
    def token_answer(self, answer: TokenAnswer) -> None:
        self._settings.token_answer = answer

    @property
    def token_values(self) -> Callable[[], str] | None:
        """The function that makes the value of each new token; None for random values.

        It is called in the threads of requests, so it must be thread-safe. A value that it returns
        again stands for the newest token of that value.
        """
        return self._settings.token_values

    @token_values.setter
    def token_values(self, make_value: Callable[[], str] | None) -> None:
        self._settings.token_values = make_value

    @property
    def agreed_paths(self) -> Sequence[str]:
        """The prefixes of the API paths that the client may call; other paths get 403.

        They are relative to the API's prefix. Each ends at a slash or at the end of the path.
        """
        return self._settings.agreed_paths

    @agreed_paths.setter
    def agreed_paths(self, prefixes: Sequence[str]) -> None:
        self._settings.agreed_paths = prefixes

    @property
    def current_use(self) -> int | None:
        """The number that exchanges get as their ``use`` from now on.

        A contract run sets it before each use of the client; None outside of one.
        """
        return self._settings.current_use

    @current_use.setter
    def current_use(self, number: int | None) -> None:
        self._settings.current_use = number

    @property
    def api(self) -> ApiRoutes:
        """The routes of the protected API; ``api.route("GET", "/vehicle/{id}", json=…)`` adds one.

        The answer to a call that fits no route is a plausible sample.
        """
        return self._api.routes

    def register(
        self,
        client_id: str,
        client_secret: str = "",
        *,
        public_keys: str = "",
        key_id: str = "",
        certificate: str = "",
    ) -> Credentials:
        """Register another client; replace what it has if the client_id is registered already.

        A client that signs assertions has ``public_keys``: a JWK Set, or PEM of a key or a
        certificate, whose ``kid`` is then the ``key_id``. Several keys are for a rotation. A client
        with a ``certificate`` gives it as PEM. Authorities may follow it: with
        ``tls_client_auth``, certificates of the same subject that they issue are accepted as well.
        Without them, the broker makes a key and a certificate if the profile needs them.

        Raises ValueError if the client_id has a colon, which Basic does not allow (RFC 7617, 2), or
        the keys or the certificate are malformed. Raises TypeError if an argument is not a string.
        """
        credentials = Credentials(client_id, client_secret, "", key_id, public_keys, certificate)
        return self._state.clients.put(credentials)

    def remove(self, client_id: str) -> None:
        """Remove a client, so that its token requests are rejected; its tokens stay valid.

        Raises KeyError if the client_id is not registered, and ValueError for the last client.
        """
        self._state.clients.remove(client_id)

    @property
    def registered(self) -> tuple[Credentials, ...]:
        """The credentials of every client that may request tokens."""
        self._state.refresh()
        return self._state.clients.registered

    def script(self, *faults: Fault) -> None:
        """Apply these faults to the next answers of the token endpoint, in this order.

        They follow those that wait already. Raises TypeError if one is not a Fault.
        """
        self._check_flaws(faults)
        self._state.token_script.extend(faults)
        self._apply_refusal()

    def _check_flaws(self, faults: Sequence[Fault]) -> None:
        """Raise ValueError if a fault is a flaw of signed tokens, and tokens are not signed."""
        # Without an effect the test would show nothing of the resource server.
        is_signed = self.profile.token_format == "jwt"  # noqa: S105 - a format, not a password
        if not is_signed and any(getattr(fault, "token_flaw", None) for fault in faults):
            raise ValueError(
                f"flawed_token needs signed tokens, and the profile {self.profile.name} has opaque "
                'ones; use a profile with token_format = "jwt"'
            )

    def api_script(self, *faults: Fault) -> None:
        """Apply these faults to the next answers of the API, in this order.

        They follow those that wait already. Raises TypeError if one is not a Fault.
        """
        if any(getattr(fault, "token_flaw", None) for fault in faults):
            raise ValueError("flawed_token is a fault of the token endpoint; use script()")
        self._state.api_script.extend(faults)
        self._apply_refusal()

    @property
    def shares_state(self) -> bool:
        """Whether other processes may share the state, which has a URL then.

        They share tokens, clients, faults, the clock and the journal, but no settings.
        """
        return not isinstance(self._state, LocalState)

    @property
    def scripted(self) -> tuple[Fault, ...]:
        """The faults that wait for answers of the token endpoint, with the counts that are left."""
        return self._state.token_script.waiting

    @property
    def api_scripted(self) -> tuple[Fault, ...]:
        """The faults that wait for answers of the API, with the counts that are left."""
        return self._state.api_script.waiting

    def withdraw(self, fault: Fault) -> None:
        """Remove the first fault that waits and equals it, from the script of each endpoint."""
        self._state.token_script.remove(fault)
        self._state.api_script.remove(fault)
        self._apply_refusal()

    @property
    def unapplied_faults(self) -> tuple[Fault, ...]:
        """The scripted faults that no answer has had yet, not even once."""
        return (*self._state.token_script.unapplied, *self._state.api_script.unapplied)

    def clear_scripts(self) -> None:
        """Remove the faults that have not been applied yet.

        A request under way keeps the fault that it has taken.
        """
        self._state.token_script.clear()
        self._state.api_script.clear()
        self._apply_refusal()

    def plan_faults(self, planned_fault: Callable[[Endpoint], Fault | None]) -> None:
        """Call the function for each request before it is answered, also after a `reset`.

        It gets the endpoint that the request has reached. The fault that it returns applies unless
        one is scripted for the answer. It is called in the threads of requests.
        """
        self._handler.planned_fault = planned_fault

    def _apply_refusal(self) -> None:
        """Have the server refuse connections if that is the turn of a script, or accept them."""
        connections = self._mounting.connections
        if connections is not None:
            scripts = (self._state.token_script, self._state.api_script)
            connections.refuse(refuses=any(script.is_refusing for script in scripts))

    def close_idle_connections(self) -> None:
        """Close the connections on which the server waits for a request.

        Servers do so after a while. A client that keeps a connection for later finds it closed.
        Another WSGI server than `Server` does not do it.
        """
        if self._mounting.connections is not None:
            self._mounting.connections.close_idle()

    def revoke_tokens(self) -> None:
        """Revoke every token issued so far.

        The API rejects them from now on, also in a lenient broker.
        """
        self._state.tokens.revoke_all()

    def revoke_token(self, value: str) -> None:
        """Revoke the token with exactly that value. Raises KeyError if there is none."""
        self._state.tokens.end(self._known(value), TokenState.REVOKED)

    def expire_token(self, value: str) -> None:
        """End the lifetime of the token with exactly that value, earlier than the client expects.

        The clauses do not blame a client for using it until the promised lifetime has passed.
        Raises KeyError if there is none.
        """
        self._state.tokens.end(self._known(value), TokenState.EXPIRED)

    def _known(self, value: str) -> AccessToken:
        """Return the token of that value. Raises KeyError, without the value, if there is none."""
        token = self._state.tokens.find(value)
        if token is None:
            raise KeyError("the broker knows no such token")
        return token

    def rotate_signing_key(self, *, withdraw_old: bool = False) -> None:
        """Sign tokens by a new key from now on, and publish it.

        The old keys stay published, so that tokens signed by them stay valid, unless
        ``withdraw_old``.
        """
        self._state.keys.rotate(withdraw_old=withdraw_old)

    def reset(self) -> None:
        """Return to the initial state; end delayed answers at once.

        Subscriptions to the journal end, except those that survive a reset. A clock that was passed
        in keeps its time.
        A request that is being answered meanwhile may still be recorded afterwards.
        """
        # First, so that answers that wait do not outlive the tokens and faults they belong to.
        self.release()
        self.end_travel()
        self.clear_scripts()
        self._state.tokens.clear()
        self._state.keys.reset()
        self._state.assertions.clear()
        self.journal.reset()
        self._state.clients.reset()
        self._mounting.reset_profile()
        self._settings.reset()
        self.api.restore()

    def release(self) -> None:
        """End at once every answer that is delayed, stalled or dripping."""
        self._waiting_answers.release()

    # Results for a test

    @property
    def token_url(self) -> str:
        """The URL of the token endpoint. Raises RuntimeError while the broker is not mounted."""
        return self._mounting.token_url

    @property
    def api_url(self) -> str:
        """The base URL of the API. Raises RuntimeError while the broker is not mounted."""
        return self._mounting.api_url

    @property
    def control_url(self) -> str:
        """The URL below which the control API lies, if the server offers one.

        Raises RuntimeError while the broker is not mounted.
        """
        return self._mounting.control_url

    @property
    def audience(self) -> str:
        """The ``aud`` of assertions, as the profile says: the token URL or the issuer's.

        Raises RuntimeError while the broker is not mounted.
        """
        if self.profile.assertion.audience == "issuer":
            return self._mounting.issuer
        return self.token_url

    @property
    def ca_file(self) -> str | None:
        """The path of the CA certificate (PEM) that clients must trust; None without TLS."""
        return self._mounting.ca_file

    @property
    def token_requests(self) -> tuple[Exchange, ...]:
        """The exchanges with the token endpoint that the journal still holds."""
        return self.trace().token_requests

    @property
    def api_calls(self) -> tuple[Exchange, ...]:
        """The exchanges with the API that the journal still holds."""
        return self.trace().api_calls

    def trace(self) -> Trace:
        """Return the exchanges in the journal as an immutable value for the judges."""
        return Trace(self.journal.snapshot())

    def find_token(self, value: str) -> tuple[AccessToken | None, TokenState]:
        """Return the token with exactly that value, and its current state.

        Without such a token, return None and UNKNOWN, or FORGOTTEN beyond the token limit.
        """
        self._state.refresh()
        tokens = self._state.tokens
        token = tokens.find(value)
        if token is None:
            return None, tokens.state_of_missing(value)
        return token, tokens.state(token, self._settings.clock.now())

    @property
    def tokens(self) -> tuple[AccessToken, ...]:
        """The issued tokens except forgotten ones, the oldest first."""
        return self._state.tokens.snapshot()

    @property
    def token_endings(self) -> int:
        """How often tokens were revoked or expired before their time, since the broker was made."""
        return self._state.tokens.endings_count

    @property
    def token_issued_values(self) -> Collection[str]:
        """The values of the issued tokens except forgotten ones; a live view."""
        self._state.refresh()
        return self._state.tokens.index

    def masked(self, text: str) -> str:
        """Return the string with every secret and every token of this broker replaced.

        They are found in all usual encodings. The cost does not grow with the number of tokens.
        """
        return self._secrets.masked(text)

    def assert_conforms(self, fail_on: Level = Level.MUST) -> None:
        """Assert that the exchanges in the journal break no clause of level ``fail_on`` or above.

        Raises AssertionError with the breaches and the exchanges that show them, secrets masked.
        Raises AssertionError as well if the broker saw no token request. Warns if the journal no
        longer holds every exchange.
        """
        __tracebackhide__ = True
        # One snapshot: the client may send requests while the clauses are judged.
        trace = self.trace()
        problem = self.problem_with(trace, fail_on)
        if problem:
            raise AssertionError(problem)
        # A warning, not an error: what the journal holds conforms, but the rest is not known to.
        forgotten = forgotten_text(trace)
        if forgotten:
            advice = "Broker(journal_size=…, journal_bytes=…) sets how many are remembered"
            # With this level the warning shows the line of the test, not one of this package.
            warnings.warn(f"{forgotten}: {advice}", stacklevel=2)

    def problem_with(self, trace: Trace, fail_on: Level = Level.MUST) -> str:
        """Return why `assert_conforms` would fail for that trace; empty if it would not."""
        if not trace.token_requests:
            # A test whose client never called the broker would otherwise pass, whatever the client
            # does.
            return nothing_seen_text(trace)
        breaches = breaches_at(trace, fail_on, self.profile)
        return self.masked(breaches_text(trace, breaches, self.profile)) if breaches else ""

    def observed(self) -> Observed:
        """Return the verdict on each clause that the exchanges in the journal can show.

        It is the judgement of `mockbroker audit`. Silence counts only for clauses whose situation
        was seen.
        """
        return observe(self.trace(), self.profile, self.masked)

    # Running a server

    def __enter__(self) -> NoReturn:
        """Raise TypeError with what to write: a broker runs by `running`, at an address."""
        raise TypeError(
            "a Broker does not serve by itself; write `with Broker(...).running() as broker:`"
        )

    # Python looks up both before it calls the first one.
    def __exit__(self, *exception: object) -> None:  # pragma: no cover - __enter__ always raises
        """Do nothing."""

    @contextlib.contextmanager
    def running(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ServerCertificate | None = None,
        control_token: str | None = None,
    ) -> Iterator[Broker]:
        """Serve the broker in a thread while the block runs; port 0 takes a free port.

        With a ``tls`` certificate (`throw_away_certificate` makes one) it speaks HTTPS only. A
        profile whose clients authenticate by a certificate needs TLS, and gets such a one.
        The control API is below ``control_url``. It demands the ``control_token``, if there is
        one. Off loopback it demands one in any case, and without it refuses every request.
        Raises OSError if the address cannot be used.
        Tokens and journal stay after the block, so that a test can read them then.
        """
        # Flask and h11 take longer to import than the rest, and a broker may be mounted elsewhere.
        # The server does not import this module, so that the imports form no cycle.
        from mockbroker.server.control.access import ControlAccess  # noqa: PLC0415 - see above
        from mockbroker.server.listener import Server  # noqa: PLC0415 - see above

        with contextlib.ExitStack() as stack:
            if tls is None and self.asks_for_certificates:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mockbroker-"))
                tls = throw_away_certificate(Path(folder), host)
            server = stack.enter_context(Server(host, port, tls=tls))
            server.mount(self)
            server.mount_control(self, access=ControlAccess(token=control_token))
            try:
                yield self
            finally:
                self.end_travel()

    # Called by the server

    @property
    def asks_for_certificates(self) -> bool:
        """Whether clients of the profile authenticate by a certificate."""
        return bool(self.profile.certificate_method)

    def accepted_certificates(self) -> Sequence[str]:
        """Return the certificates of clients and of their authorities, in PEM."""
        if not self.asks_for_certificates:
            return ()
        # Without the shared state, those that are known here: each request then gets 503.
        with contextlib.suppress(StateError):
            self._state.refresh()
        return [each.certificate for each in self._state.clients.registered if each.certificate]

    @property
    def is_prompt(self) -> bool:
        """Whether an answer waits for nothing: neither a shared state nor a test's own code."""
        return (
            not self._state.is_shared
            and self.token_values is None
            and self.api.is_prompt
            and self.journal.is_prompt
        )

    def handle(self, request: Request, origin: str) -> Reply:
        """Answer a request to any path below the broker's prefix."""
        reply = self._handler.handle(request, origin)
        # The request may have used up the fault before.
        if self._state.token_script.is_refusing or self._state.api_script.is_refusing:
            self._apply_refusal()
        return reply

    def mounted_at(
        self,
        origin: str,
        prefix: str,
        ca_file: str | None = None,
        connections: Connections | None = None,
    ) -> None:
        """Record where the broker's URLs begin, and the CA file that clients must trust."""
        self._mounting.mount(origin, prefix, ca_file, connections)
        self._waiting_answers.open()
        self._apply_refusal()
        if connections is not None:
            # While connections are refused no request comes that would bring the end of it.
            self._end_watch = self._state.watch(self._apply_refusal)

    def unmounted(self) -> None:
        """Forget the broker's URLs, and end every waiting answer at once."""
        self._end_watch()
        self._mounting.unmount()
        self._waiting_answers.close()


def _state(
    url: str | None, credentials: Credentials | None, limits: Limits, needs: KeyNeeds
) -> State:
    """Return the state at that URL, or a new one in memory if it is None."""
    if url is None:
        return LocalState.of(credentials, limits, needs=needs)
    if not url.startswith(("redis://", "rediss://", "unix://")):
        # Before the package: installing it would not help. Without the URL, for its password.
        raise ConfigError(
            "the state's URL must be like redis://HOST:PORT/0, rediss://USER:PASSWORD@HOST/0 or "
            "unix:///run/redis.sock"
        )
    try:
        # Only a shared state needs the package redis.
        from mockbroker.redis_state.state import RedisState  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        raise ConfigError(
            "a shared state needs the package redis; install mockbroker[redis]"
        ) from error
    return RedisState.at(url, credentials, limits, needs=needs)


def _check_attribute(kind: type[Broker], name: str, value: object) -> None:
    """Raise AttributeError if a broker has no attribute of that name, or a method in its place.

    A class of a test's own declares what else it has: ``note: str``.
    """
    found = inspect.getattr_static(kind, name, None)
    if found is None and not any(name in inspect.get_annotations(each) for each in kind.__mro__):
        close = difflib.get_close_matches(name, _settable(kind), n=1, cutoff=0.5)
        advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(_settable(kind))}"
        raise AttributeError(f"a broker has no attribute {name} to set; {advice}")
    # Tests may replace a method by a function.
    if inspect.isfunction(found) and not callable(value):
        raise AttributeError(f"{name} is a method of the broker; call it: {name}(…)")


def _settable(kind: type[Broker]) -> list[str]:
    """Return the names of the properties that can be set."""
    return [name for name in dir(kind) if getattr(getattr(kind, name), "fset", None)]
