"""The settings of an application that uses a broker, in the forms that users copy. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from mockbroker.broker.client_keys import key_algorithm_of
from mockbroker.contract.authentication import accepted_methods
from mockbroker.contract.authentication.signed_assertion import ASSERTION_VARIABLE
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import Profile

__all__ = ["ClientSetup", "MountedBroker", "filled_variable", "setup_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSetup:
    """What an application needs to use a broker.

    ``ca_file`` is None without TLS. ``audience`` is the one that a signed assertion has to name.
    """

    token_url: str
    api_url: str
    audience: str
    ca_file: str | None
    credentials: Credentials
    profile: Profile

    @property
    def settings(self) -> Mapping[str, str]:
        """Every setting by the name that `mockbroker audit --env` has for it; empty if unused."""
        client, signs = self.credentials, key_algorithm_of(self.profile) != ""
        return {
            "token_url": self.token_url,
            "api_url": self.api_url,
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "ca_file": self.ca_file or "",
            "key_id": client.key_id if signs else "",
            "audience": self.audience if signs else "",
            "certificate_file": client.certificate_file,
            "key_file": client.key_file,
            "private_key": client.private_key,
        }

    @property
    def variables(self) -> Mapping[str, str]:
        """The settings in use, as environment variables; without the private key."""
        # Without TLS the broker has no CA file, and without a key no id. An empty variable would
        # make some clients fail. A key in PEM has several lines, which a file of variables cannot
        # hold.
        return {
            name.upper(): value
            for name, value in self.settings.items()
            if value and name != "private_key"
        }

    @property
    def curl(self) -> str:
        """A curl command that requests a token, with TLS verification on."""
        # Never -k: a copied command should not teach to switch verification off.
        trusted = ["--cacert", self.ca_file] if self.ca_file else []
        return " ".join(map(_quoted, ["curl", *trusted, *self._curl_options()]))

    def _curl_options(self) -> list[str]:
        """Return the options of the curl command but those for TLS, and its URL."""
        profile, method = self.profile, accepted_methods(self.profile)[0]
        parameters = profile.example_parameters
        in_url = dict(method.url_parameters(self.credentials))
        own = method.parameters(self.credentials)
        options = list(method.curl_options(self.credentials))
        if profile.body == "json":
            options = _without_form(options, own)
        for name, value in profile.required_headers.items():
            options += ["-H", f"{name}: {'VALUE' if value == '*' else value}"]
        if profile.body == "query":
            options += ["-X", profile.method]
            in_url = {**parameters, **own, **in_url}
        elif profile.body == "json":
            members = {**parameters, **own}
            options += ["-H", "Content-Type: application/json", "-d", json.dumps(members)]
        else:
            grant = parameters.pop(profile.parameter_names.grant_type, None)
            for name, value in parameters.items():
                options += ["--data-urlencode", f"{name}={value}"]
            last = f"{profile.parameter_names.grant_type}={grant}" if grant else ""
            options += ["-d", last]
        # The URL is quoted as well: it may have a query.
        query = urlencode(in_url)
        joint = ("&" if "?" in self.token_url else "?") if query else ""
        return [*options, f"{self.token_url}{joint}{query}"]

    @property
    def environment(self) -> str:
        """Lines for a shell, or for a file of environment variables."""
        return "".join(f"{name}={shlex.quote(value)}\n" for name, value in self.variables.items())

    @property
    def toml(self) -> str:
        """The settings as a table of TOML."""
        # A string of JSON is a basic string of TOML, except that TOML escapes DEL as well.
        values = {name.lower(): json.dumps(value) for name, value in self.variables.items()}
        lines = [f"{name} = {value}".replace("\x7f", "\\u007f") for name, value in values.items()]
        return "\n".join(["[oauth]", *lines, ""])


def _quoted(word: str) -> str:
    """Return a word as a shell takes it, in which the assertion's variable is expanded."""
    variable = f'"{ASSERTION_VARIABLE}"'
    if ASSERTION_VARIABLE not in word:
        return shlex.quote(word)
    return variable.join(part and shlex.quote(part) for part in word.split(ASSERTION_VARIABLE))


def _without_form(options: list[str], parameters: Mapping[str, str]) -> list[str]:
    """Return the options of curl without those that put the parameters into a form."""
    in_form = {f"{name}={value}" for name, value in parameters.items()}
    pairs = zip(options[::2], options[1::2], strict=True)
    return [word for pair in pairs if pair[1] not in in_form for word in pair]


class MountedBroker(Protocol):
    """What the settings of an application are taken from.

    The URLs and the audience raise RuntimeError if the broker is not mounted.
    """

    @property
    def token_url(self) -> str:
        """The URL of the token endpoint, with its query if the profile has one."""

    @property
    def api_url(self) -> str:
        """The URL below which the API is."""

    @property
    def audience(self) -> str:
        """What a signed assertion has to name as ``aud``."""

    @property
    def ca_file(self) -> str | None:
        """The path of the CA certificate; None without TLS."""

    @property
    def credentials(self) -> Credentials:
        """The first client."""

    @property
    def profile(self) -> Profile:
        """The provider that the broker stands for."""


def setup_of(broker: MountedBroker, credentials: Credentials | None = None) -> ClientSetup:
    """Return the settings of an application that uses the broker, by default as its first client.

    Raises RuntimeError if the broker is not mounted, because it then has no URLs.
    """
    return ClientSetup(
        token_url=broker.token_url,
        api_url=broker.api_url,
        audience=broker.audience,
        ca_file=broker.ca_file,
        credentials=broker.credentials if credentials is None else credentials,
        profile=broker.profile,
    )


def filled_variable(text: str, settings: Mapping[str, str]) -> tuple[str, str]:
    """Return the name and the value of an environment variable that is written ``NAME=TEXT``.

    Placeholders in the text, such as ``{token_url}``, are replaced by the settings; double braces
    stand for single ones, as in `str.format`. Blanks around both parts are left out. Raises
    ValueError if the text is not of that form or has an unknown placeholder.
    """
    name, equals, template = map(str.strip, text.partition("="))
    if not name or not equals:
        raise ValueError(f"{text!r} is not a variable; write it as NAME={{token_url}}")
    try:
        return name, template.format_map(settings)
    except (KeyError, ValueError, IndexError, AttributeError):
        known = ", ".join(f"{{{each}}}" for each in settings)
        raise ValueError(f"{text!r} has an unknown placeholder; known are {known}") from None
