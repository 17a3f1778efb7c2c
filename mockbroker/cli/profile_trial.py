"""Trying a profile: requests of its dialect to a broker of it, in this process without a socket."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import jwt

from mockbroker.broker.answer_form import member_at
from mockbroker.broker.client_setup import setup_of
from mockbroker.cli.explain import read_pasted
from mockbroker.contract.authentication import PrivateKeyJwt, accepted_methods
from mockbroker.contract.authentication.signed_assertion import ASSERTION_VARIABLE
from mockbroker.fake_broker import Broker
from mockbroker.model.credentials import Credentials
from mockbroker.model.messages import Headers, Request, Response
from mockbroker.model.profile import Profile

__all__ = ["Trial", "flaws_of_errors", "trials_of"]

_ORIGIN = "http://127.0.0.1:8080"
"""Where `mockbroker serve` listens, so that its user can run the commands that are shown."""
_CLIENT = Credentials("nightly-sync", "k7Qw2vX9")
_ASSERTION_SECONDS = 60
_CERTIFICATES = "certificate"
"""The chapter of the methods that need a client certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A token request of a profile, what the broker answered, and what a call to the API got.

    ``token`` is empty if the client found none in the response, and ``call`` is None then.
    ``refusal`` is the answer to the same request by an unknown client; None for a client
    certificate, which is seen over TLS only.
    """

    method: str
    command: str
    response: Response
    token: str
    call: Response | None
    refusal: Response | None


def trials_of(profile: Profile) -> Iterator[Trial]:
    """Yield a trial for each client authentication method that the profile accepts."""
    for method in accepted_methods(profile):
        only = replace(profile, client_authentication=method.name)
        broker = Broker(profile=only, credentials=_CLIENT)
        broker.mounted_at(_ORIGIN, "")
        command = setup_of(broker, broker.credentials).curl
        response = _sent(broker, command)
        token = _token_in(only, response)
        call = broker.handle(_call(only, token), _ORIGIN).response if token else None
        is_seen = method.chapter != _CERTIFICATES
        refusal = _refusal(broker) if is_seen else None
        yield Trial(
            method=method.name,
            command=command,
            response=response,
            token=token,
            call=call,
            refusal=refusal,
        )


def _refusal(broker: Broker) -> Response:
    """Return the answer to a client that is not registered."""
    unknown = replace(broker.credentials, client_id="other-client")
    return _sent(broker, setup_of(broker, unknown).curl, unknown)


def flaws_of_errors(profile: Profile) -> Iterator[str]:
    """Yield a sentence on each error whose body is not what its Content-Type says."""
    for name, form in profile.errors.items():
        fields = {key.lower(): value for key, value in form.fields().items()}
        if not fields["content-type"].partition(";")[0].strip().endswith("json"):
            continue
        try:
            json.loads(form.example())
        except ValueError as error:
            yield (
                f"errors.{name}.body: not valid JSON once its placeholders are filled: {error}; "
                "correct it, or name its Content-Type in headers"
            )


def _sent(broker: Broker, command: str, client: Credentials | None = None) -> Response:
    """Send the request of a curl command to the broker, with an assertion if it needs one."""
    if PrivateKeyJwt.name in broker.profile.authentication_methods:
        made = _assertion(broker, client or broker.credentials)
        command = command.replace(ASSERTION_VARIABLE, made)
    request = read_pasted(command.encode()).request
    return broker.handle(request, _ORIGIN).response


def _assertion(broker: Broker, client: Credentials) -> str:
    """Return an assertion that the client signs now."""
    now = broker.clock.now()
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": broker.audience,
        "iat": now,
        "exp": now + _ASSERTION_SECONDS,
        "jti": client.client_id,
    }
    algorithm = broker.profile.assertion.algorithms[0]
    return jwt.encode(
        claims, client.private_key, algorithm=algorithm, headers={"kid": client.key_id}
    )


def _token_in(profile: Profile, response: Response) -> str:
    """Return the access token of a response; empty if it has none."""
    found: object = None
    # An error may have any status and any form.
    with contextlib.suppress(ValueError):
        found = json.loads(response.body)
    found = member_at(found, profile.answer.paths.get("access_token", "access_token"))
    return found if isinstance(found, str) else ""


def _call(profile: Profile, token: str) -> Request:
    """Return a call to the API with a token."""
    word = f"{profile.api_scheme} " if profile.api_scheme else ""
    fields = {
        name: "VALUE" if value == "*" else value
        for name, value in profile.api_required_headers.items()
    }
    target = f"{profile.api_prefix}/example"
    if profile.api_query:
        target += "?" + urlencode({profile.api_query: token})
    else:
        fields[profile.api_header] = word + token
    return Request("GET", target, Headers.of(fields.items()))
