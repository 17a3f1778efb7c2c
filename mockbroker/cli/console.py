"""The output of `mockbroker serve`: the banner, and the log lines of each request.

Every line is masked and printable: a target or a client_id may hold a secret, or escape sequences
for the terminal.

It makes strings and prints none. `mockbroker.cli.request_log` prints them, and
`mockbroker.cli.journal_file` keeps the details.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import click

from mockbroker.broker.client_keys import key_algorithm_of
from mockbroker.broker.client_setup import setup_of
from mockbroker.broker.exchange_view import view_of
from mockbroker.broker.oauth_errors import is_refused
from mockbroker.broker.profiles import shipped_profile
from mockbroker.broker.scenario import PlannedEvent
from mockbroker.contract.authentication import takes_secret
from mockbroker.contract.catalogue import clause_named
from mockbroker.fake_broker import Broker
from mockbroker.model.breach import Breach, hints_of
from mockbroker.model.credentials import TokenState
from mockbroker.model.escaping import printable
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.model.masking import Mask, mask_to_length, method_name
from mockbroker.report.scenario_text import event_text
from mockbroker.server.control.live_page import page_url

__all__ = ["banner", "event_line", "is_ok", "log_lines", "refusal_line"]

INDENT = " " * 10
FIRST_ERROR_STATUS = 400
LONGEST_TARGET = 1000
"""How many characters of a target, a header field or a body are printed."""


def banner(broker: Broker, control_token: str | None = None) -> str:
    """Return the URLs of the broker, its clients, and a curl command that requests a token.

    The client's first credentials are in the curl command. ``control_token`` is what the control
    API demands, or None.
    """
    # The secrets are printed in clear here and nowhere else: random ones cannot be known otherwise.
    kind = "strict" if broker.strict else "lenient"
    lines = [
        f"mockbroker, profile {broker.profile.name}, {kind}; stop it with Ctrl-C",
        *(
            [f"  its facts      mockbroker profiles show {broker.profile.name}"]
            if broker.profile == shipped_profile(broker.profile.name)
            else []
        ),
        f"  token URL      {broker.token_url}",
        f"  API            {broker.api_url}/",
        f"  live page      {page_url(broker)}",
        f"  control        {broker.control_url}/",
        *([f"  control token  {control_token}"] if control_token else []),
        *([f"  CA             {broker.ca_file}"] if broker.ca_file else []),
    ]
    has_secret = takes_secret(broker.profile)
    for credentials in broker.registered:
        lines += [f"  client_id      {credentials.client_id}"]
        lines += [f"  client_secret  {credentials.client_secret}"] if has_secret else []
    client, signs = broker.credentials, key_algorithm_of(broker.profile) != ""
    if client.certificate_file:
        lines += [f"  certificate    {client.certificate_file}"]
        lines += [f"  private key    {client.key_file}"]
    if signs:
        lines += [f"  audience       {broker.audience}"]
    if signs and client.private_key:
        # The key itself goes to a file only: a banner ends up in logs.
        lines += [f"  key id         {client.key_id} (--key-out FILE writes the private key)"]
    return "\n".join([*lines, "", f"  {_curl(broker)}", ""])


def _curl(broker: Broker) -> str:
    """Return a curl command that requests a token from the broker."""
    return setup_of(broker).curl


def log_lines(exchange: Exchange, mask: Mask, *, is_verbose: bool = False) -> str:
    """Return the exchange as coloured lines for a terminal, masked by ``mask``.

    With ``is_verbose`` they have the header fields and the bodies of both messages.
    """
    # Each part that a client or a test may have written is masked by itself: most of them are the
    # same in each request, and the mask of a broker remembers those.
    messages = _messages(exchange, mask) if is_verbose else ()
    return "\n".join([_headline(exchange, mask), *_remarks(exchange, mask), *messages])


def refusal_line(received_at: float, why: str) -> str:
    """Return a line for a malformed request.

    ``received_at`` is in Unix seconds. ``why`` may quote the request, so it is made printable.
    """
    return f"{_moment(received_at)}   {click.style(printable(why), fg='red')}"


def event_line(happened_at: float, event: PlannedEvent) -> str:
    """Return a line for an event of a scenario; ``happened_at`` is in Unix seconds."""
    text = printable(f"scenario: {event_text(event)}")
    return f"{_moment(happened_at)}   {click.style(text, fg='cyan')}"


def _moment(seconds: float) -> str:
    """Return a time in Unix seconds as HH:MM:SS."""
    # Local time, which a person can compare with a clock; the journal file has UTC.
    local = time.localtime(seconds)
    return f"{local.tm_hour:02}:{local.tm_min:02}:{local.tm_sec:02}"


def _headline(exchange: Exchange, mask: Mask) -> str:
    """Return the time, the number, the request, its status and the facts about it, in one line."""
    target = mask_to_length(exchange.request.target, mask, LONGEST_TARGET)
    request = printable(f"{mask(method_name(exchange.request.method))} {target}")
    facts = ", ".join(_facts(exchange, mask))
    moment, number = _moment(exchange.received_at), f"#{exchange.number}"
    return f"{moment}  {number:<4} {request} {_status(exchange)}  {facts}"


def _status(exchange: Exchange) -> str:
    """Return the status, coloured; words for a response that the client did not get whole."""
    if exchange.response is None:
        return click.style("no answer", fg="red")
    status = exchange.response.status
    return click.style(str(status), fg="red" if status >= FIRST_ERROR_STATUS else "green")


def _facts(exchange: Exchange, mask: Mask) -> Iterator[str]:
    """Yield the client, the token and its state, the fault, and "ok" if nothing is wrong."""
    if exchange.credentials is not None:
        yield printable(mask(exchange.credentials.client_id))
    if exchange.token is not None:
        yield exchange.token.label
    if exchange.token_state not in {None, TokenState.VALID, TokenState.MISSING}:
        yield f"{exchange.token_state.value} token" if exchange.token_state else ""
    if exchange.fault is not None:
        yield click.style(f"scripted: {mask(exchange.fault)}", fg="cyan")
    if is_ok(exchange):
        yield click.style("ok", fg="green")


def is_ok(exchange: Exchange) -> bool:
    """Return whether the exchange needs no attention: no breach, no error, a known endpoint."""
    failed = exchange.response is not None and exchange.response.status >= FIRST_ERROR_STATUS
    return not (exchange.breaches or failed or exchange.endpoint is Endpoint.ELSEWHERE)


def _remarks(exchange: Exchange, mask: Mask) -> Iterator[str]:
    """Yield a line for each breach, then one for each hint."""
    for breach in exchange.breaches:
        yield INDENT + _breach_line(breach, mask)
    own = (exchange.hint,) if exchange.hint else ()
    for hint in (*hints_of(exchange.breaches), *own):
        yield INDENT + click.style(f"hint: {printable(mask(hint))}", fg="yellow")


def _messages(exchange: Exchange, mask: Mask) -> Iterator[str]:
    """Yield a line for each header field and each body, as curl -v does."""
    view = view_of(exchange, mask)
    for mark, message in ((">", view.request), ("<", view.response)):
        if message is not None:
            texts = [f"{name}: {value}" for name, value in message.headers]
            texts += [message.body] if message.body else []
            # They are masked: what is cut off here hides no secret in two.
            yield from (
                INDENT + click.style(f"{mark} {printable(_cut(text))}", dim=True) for text in texts
            )


def _cut(text: str) -> str:
    """Return a string with a limited number of characters."""
    return text if len(text) <= LONGEST_TARGET else f"{text[:LONGEST_TARGET]}…"


def _breach_line(breach: Breach, mask: Mask) -> str:
    """Return a breach as a line, in red if a strict broker rejects the request for it."""
    level = clause_named(breach.clause_id).level.value
    text = f"{level} {breach.clause_id}: {mask(breach.what)}; expected {mask(breach.expected)}"
    return click.style(printable(text), fg="red" if is_refused(breach) else "yellow")
