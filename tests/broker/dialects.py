"""The dialects of real providers: their profiles as TOML, and clients that speak them.

Both come from a row of ``tests/data/providers.tsv``. A client is made from the row alone, without
the profile, so that neither can hide a mistake of the other.
"""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import requests

from mockbroker import Broker, Credentials
from mockbroker.model.messages import Headers, Request, Response

__all__ = ["ORIGIN", "PAIR", "Dialect", "dialects", "send"]

ORIGIN = "http://broker.test"
PAIR = Credentials("shop", "s3cr:et+/")
TABLE = Path(__file__).parents[1] / "data" / "providers.tsv"


@dataclass(frozen=True)
class Dialect:
    """How a client asks one provider for a token.

    ``also`` are further remarks of the table, ``names`` those of client_id and client_secret.
    """

    name: str
    path: str
    query: str
    body: str
    authentication: str
    parameters: tuple[tuple[str, str], ...]
    also: str
    names: tuple[str, str]

    @property
    def profile_name(self) -> str:
        """The name of its profile: a profile of the same provider may ship."""
        return f"own-{self.name}"

    @property
    def separator(self) -> str:
        return "," if "joined by ," in self.also else " "

    @property
    def scope(self) -> str:
        """The scope that every request has, if the provider wants one."""
        _, found, scope = self.also.partition("default scope ")
        return scope if found else ""

    @property
    def is_basic(self) -> bool:
        return self.authentication == "basic"

    def profile(self) -> str:
        """The provider as a table of TOML, by the public fields only."""
        given = dict(self.parameters)
        grant = given.pop("grant_type", None)
        fixed = {name: value for name, value in given.items() if "{" not in value}
        # The scope is no further parameter: each request has its own.
        scope = self.scope or fixed.pop("scope", "") or given.pop("scope", "")
        open_ = {name: name for name, value in given.items() if "{" in value}
        lines = [
            f"[profiles.{self.profile_name}]",
            f"token_path = {json.dumps(self.path)}",
            f"token_query = {json.dumps(self.query)}",
            f"body = {json.dumps(self.body)}",
            f"grant_type = {json.dumps(grant) if grant else 'false'}",
            f"client_authentication = {json.dumps('basic' if self.is_basic else 'post')}",
            f"scope_separator = {json.dumps(self.separator)}",
        ]
        if scope:
            lines += ["scope_required = true", f"example_scope = {json.dumps(scope)}"]
        lines += self._tables(fixed, open_)
        return "\n".join(lines)

    def _tables(self, fixed: dict[str, str], open_: dict[str, str]) -> Iterator[str]:
        if self.names[0] != "client_id":
            yield f"[profiles.{self.profile_name}.parameter_names]"
            yield f"client_id = {json.dumps(self.names[0])}"
            yield f"client_secret = {json.dumps(self.names[1])}"
        for table, values in (("parameters", fixed), ("open_parameters", open_)):
            if values:
                yield f"[profiles.{self.profile_name}.{table}]"
                yield from (f"{name} = {json.dumps(value)}" for name, value in values.items())
        if "milliseconds" in self.also or "no expires_in" in self.also:
            yield f"[profiles.{self.profile_name}.answer]"
            yield 'lifetime = "milliseconds"' if "milliseconds" in self.also else ""
            yield 'omit = ["expires_in"]' if "no expires_in" in self.also else ""
        if "instance_url" in self.also:
            yield f'[profiles.{self.profile_name}.answer.members]\ninstance_url = "{{api_url}}"'

    def request(self) -> Request:
        """The token request of a right client, as the requests library sends it."""
        values = {name: value.replace("{", "").replace("}", "") for name, value in self.parameters}
        if self.scope:
            values["scope"] = self.scope
        headers = {"Accept": "application/json"}
        if self.is_basic:
            pair = f"{PAIR.client_id}:{PAIR.client_secret}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        else:
            values |= dict(zip(self.names, (PAIR.client_id, PAIR.client_secret), strict=True))
        url = f"{ORIGIN}{self.path.replace('{', '').replace('}', '')}"
        url += f"?{self.query}" if self.query else ""
        sent = {"form": "data", "json": "json", "query": "params"}[self.body]
        prepared = requests.Request("POST", url, headers=headers, **{sent: values}).prepare()
        body = prepared.body or b""
        return Request(
            prepared.method or "",
            prepared.path_url,
            Headers.of(prepared.headers.items()),
            body.encode() if isinstance(body, str) else body,
        )

    def wrong(self) -> dict[str, tuple[Dialect, tuple[str, ...]]]:
        """Clients with one mistake each, and the words of which the hint must have one."""
        other_body = "json" if self.body == "form" else "form"
        # What a hint calls the right form.
        form = {"form": "form", "json": "JSON", "query": "query"}[self.body]
        other = replace(self, authentication="post" if self.is_basic else "basic")
        place = "Authorization header" if self.is_basic else " in the "
        return {
            "body form": (replace(self, body=other_body), (form,)),
            "authentication": (other, (place,)),
            "parameter": self._wrong_parameter(),
        }

    def _wrong_parameter(self) -> tuple[Dialect, tuple[str, ...]]:
        further = [name for name, _ in self.parameters if name != "grant_type"]
        if further:
            left = tuple(pair for pair in self.parameters if pair[0] != further[0])
            return replace(self, parameters=left), (further[0],)
        if self.parameters:
            return replace(self, parameters=(("grant_type", "implicit"),)), ("implicit",)
        return replace(self, names=("id", self.names[1])), (self.names[0],)


def dialects() -> dict[str, Dialect]:
    """The dialect of each row of the table, by the provider's name."""
    with TABLE.open(encoding="utf-8") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    return {row[0]: _dialect(row) for row in rows}


def _dialect(row: list[str]) -> Dialect:
    name, url, body, authentication, parameters, also = row
    # Where the table has two URLs or two values, the first one.
    first = url.partition(" || ")[0]
    # The table does not know one URL.
    split = urlsplit("https://provider.example/token" if first == "?" else first)
    pairs = tuple(parse_qsl(parameters.partition(" || ")[0], keep_blank_values=True))
    is_custom = authentication == "custom"
    names = ("username", "password") if is_custom else ("client_id", "client_secret")
    return Dialect(name, split.path, split.query, body, authentication, pairs, also, names)


def send(broker: Broker, request: Request) -> Response:
    """Let a broker answer a request, without a socket between them."""
    return broker.handle(request, ORIGIN).response
