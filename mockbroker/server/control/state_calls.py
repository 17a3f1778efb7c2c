"""Control requests about a broker's state: time, tokens, clients, faults, settings."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

from mockbroker.broker.answers import TokenAnswer
from mockbroker.broker.client_setup import setup_of
from mockbroker.broker.clients import random_credentials
from mockbroker.broker.clock import LAST_MOMENT
from mockbroker.broker.faults import Fault, Manner
from mockbroker.broker.profiles import ConfigError
from mockbroker.broker.tokens import random_token
from mockbroker.model.credentials import AccessToken
from mockbroker.model.profile import Profile
from mockbroker.model.type_words import did_you_mean
from mockbroker.server.control.calls import Call, refuse_if_shared
from mockbroker.server.control.fault_body import FaultBody, FaultError, fault_of
from mockbroker.server.control.reading import RequestError
from mockbroker.server.control.values import (
    ClientCreated,
    Clients,
    ClientView,
    ClockView,
    Done,
    EndedTokens,
    FaultsView,
    FoundToken,
    Health,
    MaskedText,
    Overview,
    Ready,
    SettingsBody,
    SettingsView,
    SetupView,
    TokenAnswerBody,
    Tokens,
    TokenView,
)
from mockbroker.server.control.views import (
    clock_view,
    faults_view,
    overview_of,
    settings_view,
    token_view,
)
from mockbroker.server.control.watching import end_refusal_after

__all__ = [
    "add_client",
    "advance_clock",
    "api_faults",
    "change_settings",
    "clear_faults",
    "close_idle",
    "expire_numbered",
    "expire_tokens",
    "find_token",
    "health",
    "list_clients",
    "list_faults",
    "list_tokens",
    "masked",
    "overview",
    "read_clock",
    "ready",
    "release",
    "remove_client",
    "reset",
    "revoke_numbered",
    "revoke_tokens",
    "rotate_secret",
    "rotate_signing_key",
    "set_clock",
    "setup",
    "show_settings",
    "show_token",
    "token_faults",
]

# The broker as a whole


def overview(call: Call) -> Overview:
    """Return what the broker is and where its parts are."""
    return overview_of(call.broker)


def health(_: Call) -> Health:
    """Return that the server answers."""
    return Health()


def ready(call: Call) -> Ready:
    """Return the URLs that clients may use from now on."""
    broker = call.broker
    return Ready(
        ready=True, token_url=broker.token_url, api_url=broker.api_url, ca_file=broker.ca_file
    )


def reset(call: Call) -> Overview:
    """Return the broker to its initial state."""
    call.broker.reset()
    return overview_of(call.broker)


def release(call: Call) -> Done:
    """End every answer that is delayed, stalled or dripping."""
    call.broker.release()
    return Done()


def close_idle(call: Call) -> Done:
    """Close the connections on which the server waits for a request."""
    call.broker.close_idle_connections()
    return Done()


def setup(call: Call) -> SetupView:
    """Return the settings of an application that uses the broker as one of its clients."""
    broker, wanted = call.broker, call.body.client_id
    known = {each.client_id: each for each in broker.registered}
    client = broker.credentials if wanted is None else known.get(wanted)
    if client is None:
        advice = did_you_mean(wanted, known)
        raise RequestError(404, "not-found", f"client {wanted[:60]!r} is not registered{advice}")
    hidden = replace(client, client_secret="***")  # noqa: S106 - it stands for the secret
    made = setup_of(broker, client if call.body.with_secret else hidden)
    return SetupView(
        client_id=client.client_id, curl=made.curl, environment=made.environment, toml=made.toml
    )


def masked(call: Call) -> MaskedText:
    """Mask a string."""
    return MaskedText(call.broker.masked(call.body.text))


# Time


def read_clock(call: Call) -> ClockView:
    """Return the broker's time."""
    return clock_view(call.broker.clock)


def advance_clock(call: Call) -> ClockView:
    """Move the broker's time forward."""
    _advance(call, call.body.seconds)
    return clock_view(call.broker.clock)


def set_clock(call: Call) -> ClockView:
    """Move the broker's time forward to a moment."""
    given = call.body.now
    moment = _moment(given) if isinstance(given, str) else given
    now = call.broker.clock.now()
    if moment < now:
        raise RequestError(
            409,
            "clock",
            f"a broker's time never goes back: it is {now:.3f}; reset the broker, or set a later "
            "time",
        )
    _advance(call, moment - now)
    return clock_view(call.broker.clock)


def _advance(call: Call, seconds: float) -> None:
    """Move the time forward. Raises RequestError beyond the year 9999."""
    clock = call.broker.clock
    if clock.now() + seconds > LAST_MOMENT:
        raise RequestError(
            422, "invalid", "seconds: the broker's time would be later than the year 9999"
        )
    clock.advance(seconds)


def _moment(text: str) -> float:
    """Return a time in ISO 8601 in Unix seconds; without an offset it is in UTC."""
    try:
        # Python 3.10 does not read the letter.
        moment = datetime.fromisoformat(text.removesuffix("Z"))
        utc = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return utc.timestamp()
    except (ValueError, OverflowError):
        raise RequestError(
            422, "invalid", f"now: expected Unix seconds or ISO 8601, got {text[:40]!r}"
        ) from None


# Tokens


def list_tokens(call: Call) -> Tokens:
    """Return the latest tokens that the query asks for."""
    wanted, now = call.query, call.broker.clock.now()
    views = [_view(call, token, now) for token in call.broker.tokens]
    chosen = [
        view
        for view in views
        if wanted.state in (None, view.state.value) and wanted.client_id in (None, view.client_id)
    ]
    return Tokens(total=len(chosen), tokens=tuple(chosen[-wanted.limit :]))


def _view(call: Call, token: AccessToken, now: float) -> TokenView:
    return token_view(token, call.broker.find_token(token.value)[1], now)


def show_token(call: Call) -> TokenView:
    """Return the token of that number."""
    return _view(call, _numbered(call), call.broker.clock.now())


def find_token(call: Call) -> FoundToken:
    """Return the state of a token value."""
    token, state = call.broker.find_token(call.body.value)
    now = call.broker.clock.now()
    return FoundToken(state=state, token=None if token is None else token_view(token, state, now))


def revoke_numbered(call: Call) -> TokenView:
    """Revoke the token of that number."""
    token = _numbered(call)
    call.broker.revoke_token(token.value)
    return _view(call, token, call.broker.clock.now())


def expire_numbered(call: Call) -> TokenView:
    """Expire the token of that number."""
    token = _numbered(call)
    call.broker.expire_token(token.value)
    return _view(call, token, call.broker.clock.now())


def revoke_tokens(call: Call) -> EndedTokens:
    """Revoke the token with that value, or all tokens."""
    meant = _meant(call)
    if call.body.all:
        call.broker.revoke_tokens()
    else:
        call.broker.revoke_token(meant[0].value)
    return EndedTokens(count=len(meant))


def expire_tokens(call: Call) -> EndedTokens:
    """Expire the token with that value, or all tokens."""
    meant = _meant(call)
    for token in meant:
        call.broker.expire_token(token.value)
    return EndedTokens(count=len(meant))


def _meant(call: Call) -> tuple[AccessToken, ...]:
    """Return the tokens that the body means. Raises RequestError if it is unclear or unknown."""
    body = call.body
    if (body.value is None) == (not body.all):
        raise RequestError(422, "invalid", 'expected either "value" with a token, or "all": true')
    if body.all:
        return call.broker.tokens
    token, state = call.broker.find_token(body.value)
    if token is None:
        raise RequestError(
            404, "not-found", f"the broker has no token of that value; it is {state.value}"
        )
    return (token,)


def _numbered(call: Call) -> AccessToken:
    """Return the token whose number is in the path. Raises RequestError with status 404."""
    number = call.path["number"]
    found = [token for token in call.broker.tokens if str(token.number) == number]
    if not found:
        raise RequestError(
            404, "not-found", f"the broker has no token {number[:20]!r}; GET tokens lists them"
        )
    return found[0]


def rotate_signing_key(call: Call) -> Done:
    """Sign tokens by a new key from now on."""
    call.broker.rotate_signing_key(withdraw_old=call.body.withdraw_old)
    return Done()


# Clients


def list_clients(call: Call) -> Clients:
    """Return the registered clients."""
    return Clients(tuple(ClientView(client_id=each.client_id) for each in call.broker.registered))


def add_client(call: Call) -> ClientCreated:
    """Register a client."""
    chosen = random_credentials()
    given_id, given_secret = call.body.client_id, call.body.client_secret
    client_id = chosen.client_id if given_id is None else given_id
    if client_id in _ids(call):
        raise RequestError(
            409,
            "conflict",
            f"client {client_id[:60]!r} is registered already; PUT clients/ID/secret changes its "
            "secret",
        )
    _register(call, client_id, chosen.client_secret if given_secret is None else given_secret)
    return ClientCreated(
        client_id=client_id, client_secret=chosen.client_secret if given_secret is None else None
    )


def rotate_secret(call: Call) -> ClientCreated:
    """Replace the secret of a client."""
    client_id, given = _registered_id(call), call.body.client_secret
    secret = random_credentials().client_secret if given is None else given
    _register(call, client_id, secret)
    return ClientCreated(client_id=client_id, client_secret=secret if given is None else None)


def remove_client(call: Call) -> Clients:
    """Remove a client."""
    try:
        call.broker.remove(_registered_id(call))
    except ValueError as error:
        raise RequestError(409, "conflict", str(error)) from None
    return list_clients(call)


def _register(call: Call, client_id: str, secret: str) -> None:
    """Register a client. Raises RequestError if its id is invalid."""
    try:
        call.broker.register(client_id, secret)
    except (ValueError, TypeError) as error:
        raise RequestError(422, "invalid", f"client_id: {error}") from None


def _ids(call: Call) -> list[str]:
    return [each.client_id for each in call.broker.registered]


def _registered_id(call: Call) -> str:
    """Return the client_id of the path. Raises RequestError with status 404."""
    client_id = call.path["client_id"]
    if client_id not in _ids(call):
        advice = did_you_mean(client_id, _ids(call))
        raise RequestError(404, "not-found", f"client {client_id[:60]!r} is not registered{advice}")
    return client_id


# Faults


def list_faults(call: Call) -> FaultsView:
    """Return the faults that wait."""
    return faults_view(call.broker)


def token_faults(call: Call) -> FaultsView:
    """Script faults for the token endpoint."""
    return _script(call, call.broker.script)


def api_faults(call: Call) -> FaultsView:
    """Script faults for the API."""
    return _script(call, call.broker.api_script)


def clear_faults(call: Call) -> FaultsView:
    """Remove the faults that wait."""
    call.broker.clear_scripts()
    return faults_view(call.broker)


def _script(call: Call, script: Callable[..., None]) -> FaultsView:
    """Script the faults of the body, all or none. Raises RequestError, which names the place."""
    bodies: list[FaultBody] = call.body.faults
    faults = [_fault(body, index) for index, body in enumerate(bodies)]
    for index, fault in enumerate(faults[:-1]):
        if fault.manner is Manner.REFUSE:
            raise RequestError(
                422, "invalid", f"faults[{index}]: refuse_seconds must be the last fault"
            )
    try:
        script(*faults)
    except ValueError as error:
        raise RequestError(422, "invalid", f"faults: {error}") from None
    if faults[-1].manner is Manner.REFUSE:
        seconds = bodies[-1].refuse_seconds or 0.0
        end_refusal_after(call.broker, faults[-1], seconds, call.watchers.stopped)
    return faults_view(call.broker)


def _fault(body: FaultBody, index: int) -> Fault:
    """Return one fault. Raises RequestError, which names the place."""
    try:
        return fault_of(body)
    except FaultError as error:
        raise RequestError(422, "invalid", f"faults[{index}]: {error}") from None


# Settings


def show_settings(call: Call) -> SettingsView:
    """Return the settings."""
    return settings_view(call.broker)


def change_settings(call: Call) -> SettingsView:
    """Change the settings that the body has."""
    refuse_if_shared(call, "settings", "start the processes with other options")
    body: SettingsBody = call.body
    # All values are checked before one is set: a request with a mistake changes nothing.
    profile = None if body.profile is None else _profile(call, body.profile)
    answer = None if body.token_answer is None else _token_answer(body.token_answer)
    broker = call.broker
    if profile is not None:
        broker.profile = profile
    for name in ("expires_in", "strict", "token_policy", "scope", "agreed_paths"):
        value = getattr(body, name)
        if value is not None:
            setattr(broker, name, value)
    if answer is not None:
        broker.token_answer = answer
    if body.token_values is not None:
        broker.token_values = _GivenValues(body.token_values) if body.token_values else None
    return settings_view(broker)


def _profile(call: Call, name: str) -> Profile:
    """Return the profile of that name. Raises RequestError if it is unknown."""
    try:
        return call.find_profile(name)
    except ConfigError as error:
        raise RequestError(422, "invalid", f"profile: {error}") from None


def _token_answer(body: TokenAnswerBody) -> TokenAnswer:
    """Return the form of token responses. Raises RequestError if a header cannot be sent."""
    try:
        Fault.content_type(body.content_type)
    except ValueError as error:
        raise RequestError(422, "invalid", f"token_answer.content_type: {error}") from None
    return TokenAnswer(members=body.members, omit=body.omit, content_type=body.content_type)


class _GivenValues:
    """The values of the next tokens; random ones after the last. Thread-safe."""

    def __init__(self, values: list[str]) -> None:
        self._values = deque(values)

    def __call__(self) -> str:
        try:
            return self._values.popleft()
        except IndexError:
            return random_token()
