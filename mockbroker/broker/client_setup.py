"""The settings of an application that uses a broker, in the forms that users copy. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mockbroker.contract.authentication import accepted_methods
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import Profile

__all__ = ["ClientSetup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSetup:
    """What an application needs to use a broker. ``ca_file`` is None without TLS."""

    token_url: str
    api_url: str
    ca_file: str | None
    credentials: Credentials
    profile: Profile

    @property
    def variables(self) -> Mapping[str, str]:
        """The settings by the names that `mockbroker audit` gives to environment variables."""
        found = {
            "TOKEN_URL": self.token_url,
            "API_URL": self.api_url,
            "CLIENT_ID": self.credentials.client_id,
            "CLIENT_SECRET": self.credentials.client_secret,
        }
        files = {
            "CA_FILE": self.ca_file,
            "CERTIFICATE_FILE": self.credentials.certificate_file,
            "KEY_FILE": self.credentials.key_file,
        }
        return found | {name: path for name, path in files.items() if path}

    @property
    def curl(self) -> str:
        """A curl command that requests a token, with TLS verification on."""
        options = list(accepted_methods(self.profile)[0].curl_options(self.credentials))
        if self.ca_file:
            # Never -k: a copied command should not teach to switch verification off.
            options = ["--cacert", self.ca_file, *options]
        for name, value in self.profile.parameters.items():
            options += ["--data-urlencode", f"{name}={value}"]
        # The URL is quoted as well: it may have a query.
        return shlex.join(["curl", *options, "-d", "grant_type=client_credentials", self.token_url])

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
