"""Recorder of the steps of a test case, with every secret masked.

Masking happens when steps leave the recorder. Only then is every secret and token of the case
known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urlsplit

from mockbroker.broker.faults import Fault
from mockbroker.contract.clauses.signing import answered_challenges
from mockbroker.contract.judging import breaches_alone
from mockbroker.fake_broker import Broker
from mockbroker.model.cleaning import with_texts
from mockbroker.model.exchange import Endpoint, Exchange
from mockbroker.model.exchange_record import ExchangeRecord, records_of
from mockbroker.model.masking import mask
from mockbroker.model.messages import Request
from mockbroker.model.value_index import index_of
from mockbroker.report.steps import (
    CredentialsConfigured,
    FaultScripted,
    IssuedToken,
    OtherOriginReached,
    Step,
    TokenChosen,
)
from mockbroker.report.steps import Raised as RaisedError
from mockbroker_contract.drivers.driver import Raised

__all__ = ["Recorder", "fault_step", "reached_step"]

T = TypeVar("T")

# Some exceptions quote a whole body; the first lines say what went wrong.
_MAX_ERROR = 500
_MAX_TRACEBACK = 20_000
# The latest, because a breach is in the last use. A flood would fill the report otherwise.
_MAX_EXCHANGES = 24
_MIN_SECRET = 8
"""Shorter secrets occur in ordinary text by chance; steps are not masked for them."""
# A repr shows a line break as a backslash and an n.
_FOLD = r"(?:\s|\\n)+"
_BASE64 = r"[A-Za-z0-9+/=_-]"
# Encoders fold at 64 or 76 characters (RFC 7468, 2; RFC 2045, 6.8).
_FOLDED_BASE64 = re.compile(rf"(?<!{_BASE64})(?:{_BASE64}{{60,}}{_FOLD})+{_BASE64}+")
"""Base64 with line breaks in it, which may be credentials that masking would not match."""


class Recorder:
    """Steps that lead to a finding, in order.

    Client sessions with one broker may share a recorder.

    Not safe for several threads. Steps are kept unmasked inside, and leave it masked only.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._steps: list[Step] = []
        self._traceback = ""
        # A shared broker may have served other sessions before.
        self._exchanges_reported = broker.journal.total
        url = urlsplit(broker.token_url)
        self._port = url.port
        self._prefix = url.path.removesuffix(broker.profile.own_token_path)

    def add(self, step: Step) -> None:
        """Add a step.

        The step may have secrets in its strings.
        """
        self._steps.append(step)

    @property
    def is_empty(self) -> bool:
        """Whether no step is recorded yet."""
        return not self._steps

    def issued(self, began_at: float | None) -> tuple[IssuedToken, ...]:
        """Return the tokens issued since the last call, for the step that began at that time.

        ``began_at`` is in Unix seconds by the broker's clock; None where that is real time, which
        would make a report differ from run to run.
        """
        exchanges = self._broker.journal.since(self._exchanges_reported)
        self._exchanges_reported = self._broker.journal.total
        return tuple(
            IssuedToken(
                token=exchange.token.number,
                expires_in=exchange.token.expires_in,
                after_seconds=0.0 if began_at is None else _after(exchange, began_at),
            )
            for exchange in exchanges
            if exchange.endpoint is Endpoint.TOKEN and exchange.token is not None
        )

    def target(self, url: str) -> str:
        """Return the target of a request to that URL, without the broker's path prefix.

        Prefixes differ from case to case; a report must not.
        """
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return parts.path.removeprefix(self._prefix) + query

    def steps(self) -> tuple[Step, ...]:
        """Return the steps so far, masked, except for what the kit made for a test case."""
        # Made once for all steps: it visits every token of the broker.
        mask_text = self._mask()
        return tuple(
            step
            if isinstance(step, (CredentialsConfigured, TokenChosen))
            else with_texts(step, mask_text)
            for step in self._steps
        )

    def records(self) -> tuple[ExchangeRecord, ...]:
        """Return the latest exchanges, masked.

        At most 24: the report shows what led to the breach, and not the whole case.
        """
        exchanges = tuple(self._broker.journal)
        answered = answered_challenges(exchanges)
        latest = [
            # No breach is shown at a call that was rightly sent without a token.
            replace(each, breaches=breaches_alone(each)) if each.number in answered else each
            for each in exchanges[-_MAX_EXCHANGES:]
        ]
        return records_of(latest, self._mask(), prefix=self._prefix)

    def masked(self, value: T) -> T:
        """Return a value with the secrets and tokens in its strings masked.

        Strings are looked for at any depth of the value, whose type stays the same.
        """
        return with_texts(value, self._mask())

    def error(self, error: Raised) -> str:
        """Return an error as one printable line: its type, and its message masked."""
        message = " ".join(error.message.split())
        text = f"{error.name}: {message}" if message else error.name
        # Some libraries quote the whole header, whose line breaks hide the secret from an exact
        # search.
        text = _FOLDED_BASE64.sub("<masked>", text)
        # The port differs from run to run. Without it, reports of two runs can be compared line by
        # line.
        text = re.sub(rf"\b{self._port}\b", "PORT", text)
        # Cut last: half of a secret would not be recognized.
        return mask(text, self._broker.registered, self._broker.token_issued_values)[:_MAX_ERROR]

    def raised(self, error: Raised) -> RaisedError:
        """Return an error as the outcome of a step, masked."""
        return RaisedError(error=self.error(error), type_name=error.name, place=error.place)

    def note_traceback(self, error: Raised | None) -> None:
        """Keep the traceback of the error by which the last action ended, if it has one."""
        self._traceback = "" if error is None else error.traceback

    @property
    def traceback(self) -> str:
        """The traceback of the last action, masked; empty if it did not fail."""
        text = _FOLDED_BASE64.sub("<masked>", self._traceback)
        text = re.sub(rf"\b{self._port}\b", "PORT", text)
        masked = mask(text, self._broker.registered, self._broker.token_issued_values)
        # Cut last, as above; the end of a traceback has the error.
        return masked[-_MAX_TRACEBACK:]

    def _mask(self) -> Callable[[str], str]:
        registered = self._broker.registered
        known = tuple(pair for pair in registered if len(pair.client_secret) >= _MIN_SECRET)
        # Built once for all strings of a step: a broker may have issued thousands of tokens.
        tokens = index_of([t for t in self._broker.token_issued_values if len(t) >= _MIN_SECRET])
        # Most strings of a step are the kit's own, and shorter than any secret that is masked.
        return lambda text: mask(text, known, tokens) if len(text) >= _MIN_SECRET else text


def _after(exchange: Exchange, began_at: float) -> float:
    assert exchange.token is not None
    return round(exchange.token.issued_at - began_at, 3)


def reached_step(broker: Broker, request: Request, carried: str) -> OtherOriginReached:
    """Return the step that says that another broker was sent credentials or a token."""
    path = Recorder(broker).target(request.path)
    return OtherOriginReached(method=request.method, path=path, carried=carried)


def fault_step(fault: Fault, endpoint: str = "token", *, times: int | None = None) -> FaultScripted:
    """Return the step that scripts the fault for an endpoint; ``times`` None has no end."""
    headers = {name.lower(): value for name, value in fault.headers}
    return FaultScripted(
        endpoint=endpoint,
        times=times,
        manner=fault.manner,
        status=fault.status_code,
        error=_error_code(fault),
        body_type=_body_type(fault, headers),
        retry_after=headers.get("retry-after", ""),
        redirects="location" in headers,
        delay_seconds=fault.delay_seconds,
        latency_seconds=fault.latency_seconds,
        changed=dict(fault.changes),
        omitted=fault.omit,
        breaks_json=fault.breaks_json,
        coding=fault.coding,
    )


def _error_code(fault: Fault) -> str:
    return str(fault.body.get("error", "")) if isinstance(fault.body, Mapping) else ""


def _body_type(fault: Fault, headers: Mapping[str, str]) -> str:
    is_redirect = "location" in headers
    if fault.body in (b"", "") and not is_redirect:
        return "empty"
    return headers.get("content-type", "") if isinstance(fault.body, (bytes, str)) else ""
