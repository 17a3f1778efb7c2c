"""The text of the steps and reasons of a report, for every format.

`mockbroker.model.exchange_text` renders exchanges, which the broker prints as well.

The English for each kind of step stands here, and no code reads it back. So a wording can change
without a new schema. Strings in a step have been masked before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from itertools import groupby
from typing import Any, get_args

import msgspec

from mockbroker.broker.faults import Manner
from mockbroker.contract.diagnosis import Diagnosis, Mistake
from mockbroker.model.exchange import Endpoint
from mockbroker.model.exchange_record import ExchangeRecord
from mockbroker.model.exchange_text import exchange_text
from mockbroker.report import steps as s

__all__ = [
    "action_text",
    "changed_answers",
    "counted_exchanges",
    "diagnosis_text",
    "exchange_lines",
    "outcome_text",
    "place_text",
    "reason_text",
    "step_lines",
    "step_text",
    "wait_text",
]


def reason_text(reason: str, blocked_by: str | None) -> str:
    """Return the reason of a verdict, after the clause that blocked it."""
    if blocked_by is None:
        return reason
    return f"blocked by {blocked_by}: {reason}" if reason else f"blocked by {blocked_by}"


def place_text(place: s.Place | None) -> str:
    """Return a line of the client's code as ``client.py:12 in get_token``; empty for None."""
    if place is None:
        return ""
    where = f"{place.file}:{place.line}"
    return f"{where} in {place.function}" if place.function else where


def exchange_lines(exchanges: Iterable[ExchangeRecord], *, with_times: bool) -> list[str]:
    """Return the exchanges as text; ``with_times`` adds the seconds since the first exchange.

    Exchanges that repeat the one or the two before them are counted in one line.
    """
    lines = list[str]()
    for record, repetition in counted_exchanges(exchanges):
        lines += [_exchange_line(record, with_times=with_times), repetition]
    return [line for line in lines if line]


def counted_exchanges(
    exchanges: Iterable[ExchangeRecord],
) -> Iterator[tuple[ExchangeRecord, str]]:
    """Yield the exchanges without repetitions, each with a text that counts those.

    The text stands at the last of the exchanges that are repeated; elsewhere it is empty.
    """
    records, number = tuple(exchanges), 0
    while number < len(records):
        period, times = _repetition(records[number:])
        *shown, last = records[number : number + period]
        yield from ((record, "") for record in shown)
        number += period * times
        the_same = "the same" if period == 1 else "the same two"
        again = (
            f"#{last.number + 1} to #{records[number - 1].number}: {the_same}, {times - 1} times"
        )
        yield last, again if times > 1 else ""


def changed_answers(steps: Iterable[s.Step], exchanges: Iterable[ExchangeRecord]) -> dict[int, str]:
    """Return how a test case changed the members of answers, in words by number of the exchange."""
    records = {record.number: record for record in exchanges}
    found, documented, faulty = dict[int, str](), "", ""
    for step in steps:
        if isinstance(step, s.AnswerChanged):
            documented = _answer_changed(step)
        elif isinstance(step, s.FaultScripted) and (step.changed or step.omitted):
            faulty = f"the answer has {_members(step.changed, step.omitted)}"
        elif isinstance(step, get_args(s.Action)):
            for record in filter(None, map(records.get, step.exchanges)):
                if record.endpoint is Endpoint.TOKEN and record.status == HTTPStatus.OK:
                    found[record.number] = faulty if record.fault else documented
    return found


def _exchange_line(record: ExchangeRecord, *, with_times: bool) -> str:
    """Return one exchange as text."""
    time = f"+{record.at_seconds:.2f} s  " if with_times else ""
    return f"{time}{exchange_text(record)}"


_FEWEST_REPETITIONS = 3
"""The times that exchanges must occur in a row before they are counted instead of listed."""


def _repetition(records: Sequence[ExchangeRecord]) -> tuple[int, int]:
    """Return how many of the first exchanges are repeated, and how often they occur; or (1, 1)."""
    alike = [
        # Tokens are numbered, so each request for one would otherwise be different.
        msgspec.structs.replace(record, number=0, at_seconds=0, token=None)
        for record in records
    ]
    for period in (1, 2):
        times = 1
        while alike[times * period : (times + 1) * period] == alike[:period]:
            times += 1
        if times >= _FEWEST_REPETITIONS:
            return period, times
    return 1, 1


def step_lines(steps: Iterable[s.Step]) -> list[str]:
    """Return a line for each step; equal ones in a row are counted in one line."""
    counted = ((text, len(list(equal))) for text, equal in groupby(map(step_text, steps)))
    return [text if times == 1 else f"{text} ({times} times)" for text, times in counted]


def step_text(step: s.Step) -> str:
    """Return the step as one line."""
    # A table instead of a method on each step: steps stay values, and all English stands here.
    make: Callable[[Any], str] = _STEPS[type(step)]
    return make(step)


def outcome_text(outcome: s.UseOutcome) -> str:
    """Return the outcome of a use of the client, as words after "the client" or an arrow."""
    make: Callable[[Any], str] = _OUTCOMES[type(outcome)]
    return make(outcome)


def _seed_chosen(step: s.SeedChosen) -> str:
    """Return the seed, and what it is good for."""
    return f"the run explores with seed {step.seed}; the same seed draws the same test cases"


def action_text(action: s.Action) -> str:
    """Return an action of the client as text, without its outcome."""
    return f"{_client(action.client)}{_verb(action)}"


def _verb(action: s.Action) -> str:
    """Return what the client does, without its outcome.

    A call is shown as the request it sends; other uses by the name of the operation.
    """
    if isinstance(action, s.ClientMade):
        return "the client is made"
    if isinstance(action, s.ReprTaken):
        return "repr(client)"
    if isinstance(action, s.ClientUsedAtOnce):
        if action.count == 1:
            return f"{action.operation}, once"
        where = f"in {action.count} processes" if action.in_processes else f"{action.count} times"
        return f"{action.operation}, {where} at once"
    used = f"{action.method} {action.target}" if action.method else action.operation
    return f"{used} in a forked child" if action.is_forked else used


def _action(step: s.Action) -> str:
    """Return an action with its outcome, if it has one."""
    if step.outcome is None:
        return action_text(step)
    return f"{action_text(step)} → {outcome_text(step.outcome)}"


def _client_used(step: s.ClientUsed) -> str:
    """Return one use of the client: the outcome, an error status, and the time it waited."""
    # A status of success is what the reader expects, so it is left out.
    is_error = step.status is not None and step.status >= HTTPStatus.BAD_REQUEST
    status = f", status {step.status}" if is_error else ""
    waited = f" (after {step.waited_seconds:.4g} s)" if step.waited_seconds else ""
    return f"{_action(step)}{status}{waited}"


def _client_used_at_once(step: s.ClientUsedAtOnce) -> str:
    """Return uses at once; the numbers of good and bad uses stand for the outcomes."""
    if step.outcome is not None:
        return _action(step)
    return f"{_action(step)} → {step.good} with a valid token, {step.count - step.good} without"


def _client_restarted(step: s.ClientRestarted) -> str:
    """Return where the client is made again, and what has changed in its settings."""
    where = " in a new process" if step.in_new_process else ""
    return f"the client is made again{where}{', with the new secret' * step.has_new_secret}"


_ARRANGED = {
    s.Arrangement.ONE_IN_FLIGHT: "the others begin while the first one waits for its token",
    s.Arrangement.REFUSED_AT_ONCE: "the API answers 401 to all of them at once",
    s.Arrangement.REFRESHED_MEANWHILE: (
        "all but the last are under way when the last one refreshes; then the API answers 401 to "
        "them"
    ),
    s.Arrangement.WAITER_CANCELLED: (
        "the first one waits for its token, the others begin, and the second one is cancelled"
    ),
    s.Arrangement.FETCHER_CANCELLED: (
        "the first one waits for its token, the others begin, and the first one is cancelled"
    ),
}


def _uses_arranged(step: s.UsesArranged) -> str:
    """Return in which order the next uses meet."""
    if step.arrangement is s.Arrangement.NEIGHBOUR_IN_FLIGHT:
        return "a client begins, and the broker holds back the answer to its token request"
    return f"of the next uses, {_ARRANGED[step.arrangement]}"


_DAMAGED = {
    s.FileDamage.EMPTY: "is made empty",
    s.FileDamage.HALF_WRITTEN: "loses its second half",
    s.FileDamage.FOREIGN_BYTES: "gets other bytes, which are not text",
    s.FileDamage.FOREIGN_JSON: "gets JSON of another program",
    s.FileDamage.REPLACED_BY_FOLDER: "is replaced by a folder",
}


def _client(name: str) -> str:
    """Return the client's name as a prefix; empty if the reproduction has one client only."""
    return f"client {name}: " if name else ""


def _time_zone_set(step: s.TimeZoneSet) -> str:
    """Return the time zone, and that its clocks change while a token is valid."""
    where = {(True, False): "back", (False, True): "forth"}.get(
        (step.clock_goes_back, step.clock_goes_forth)
    )
    change = f"; the clocks go {where} an hour during the life of the token" if where else ""
    return f"local time is that of {step.zone}{change}"


def _wall_clock_set(step: s.WallClockSet) -> str:
    """Return by how much the client's clock differs from the broker's."""
    side = "ahead of" if step.ahead_seconds > 0 else "behind"
    return f"the client's clock is set {abs(step.ahead_seconds):g} s {side} the broker's"


_POLICIES = {
    "new": "issues a new token each time",
    "same": "issues the same token again, with what is left of its lifetime",
    "single": "ends the old token when it issues a new one",
    "refuse": "refuses a new token while the client has a valid one",
}


# By the value of `Endpoint`. Faults are scripted for these two only.
_ENDPOINTS = {"token": "the token endpoint", "api": "the API"}


def _fault_scripted(step: s.FaultScripted) -> str:
    """Return a fault as one sentence about its endpoint."""
    parts = [
        f"takes {step.delay_seconds + step.latency_seconds:g} s to answer"
        if step.delay_seconds or step.latency_seconds
        else "",
        _status_answered(step),
        f"answers with {_members(step.changed, step.omitted)}"
        if step.changed or step.omitted
        else "",
        "answers with the first half of the JSON" if step.breaks_json else "",
        f"compresses the answer ({step.coding})" if step.coding else "",
        "" if step.manner is Manner.NORMAL else step.manner.words,
    ]
    # A fault without any other effect, such as another media type, is described by its manner.
    done = " and ".join(filter(None, parts)) or step.manner.words
    return f"{_ENDPOINTS[step.endpoint]} {done}{_times(step.times)}"


def _status_answered(step: s.FaultScripted) -> str:
    """Return the status that a fault sends, with its body and Retry-After; may be empty."""
    if step.status is None:
        return ""
    if step.redirects:
        return f"redirects to another origin ({step.status})"
    error = f" {step.error}" if step.error else ""
    body = f" with {_body(step.body_type)}" if step.body_type else ""
    after = f" and Retry-After: {step.retry_after}" if step.retry_after else ""
    return f"answers {step.status}{error}{body}{after}"


def _body(body_type: str) -> str:
    """Return the body of a fault's answer in a few words; the content does not matter."""
    return "an empty body" if body_type == "empty" else f"a body of type {body_type}"


def _times(times: int | None) -> str:
    """Return how often a fault applies, as the end of a sentence; empty without a limit."""
    return {None: "", 1: ", once", 2: ", twice"}.get(times, f", {times} times")


def _members(members: dict[str, Any], omitted: tuple[str, ...]) -> str:
    """Return changed and omitted members of the JSON, as a list in a sentence."""
    # As JSON, because the string "60" and the number 60 are different test cases.
    pairs = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in members.items()]
    return ", ".join([*pairs, *(f"no {name}" for name in omitted)])


def _answers_delayed(step: s.AnswersDelayed) -> str:
    """Return the delays of the next answers, in the order of their requests."""
    delays = ", ".join(f"{seconds:g}" for seconds in step.delays_seconds)
    return f"the next answers of the token endpoint take {delays} s, in this order"


def _answer_changed(step: s.AnswerChanged) -> str:
    """Return the changes of the token response as a sentence."""
    # A body that replaces the JSON has no members, so nothing else of the step applies.
    if step.body:
        return f"the answer {step.body}"
    parts = [
        _members(step.members, step.omitted),
        step.form,
        f"media type {step.media_type}" if step.media_type else "",
    ]
    changes = "; ".join(filter(None, parts))
    return f"the answer has {changes}" if changes else "the answer is as documented"


_MAX_SHOWN = 60


def _short(text: str) -> str:
    """Return the string in quotes, cut to its beginning if it is long."""
    if len(text) <= _MAX_SHOWN:
        return repr(text)
    return f"{text[:_MAX_SHOWN]!r}… ({len(text)} characters)"


def _certificate_shown(step: s.CertificateShown) -> str:
    """Return what is in the certificate, and whether a sound client accepts its issuer."""
    issuer = "a CA that the client trusts" if step.is_trusted else "a CA that no client knows"
    return f"the broker shows a certificate for {step.host}, signed by {issuer}"


def _never_returned(outcome: s.NeverReturned) -> str:
    """Return how long the kit waited, and what the client sent in that time."""
    if outcome.waits_for is not s.Awaited.UNKNOWN:
        return f"{wait_text(outcome)}, and sent {_counted(outcome.requests, 'request')}"
    return (
        f"did not return within {outcome.seconds:g} s of real time, and sent "
        f"{_counted(outcome.requests, 'request')}"
    )


def _counted(number: int, noun: str) -> str:
    """Return the number and the noun, in the plural unless the number is 1."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def wait_text(outcome: s.NeverReturned) -> str:
    """Return what the client waits for, and for how long; for an outcome that knows it."""
    limit = outcome.limit_seconds
    if outcome.waits_for is s.Awaited.SOCKET:
        limited = "without a timeout" if limit is None else f"with a timeout of {limit:g} s"
        return f"waits for an answer on a socket {limited}, seen after {outcome.seconds:g} s"
    limited = "has no timer" if limit is None else f"has its next timer in {limit:.0f} s"
    return f"waits for an answer in an event loop that {limited}, seen after {outcome.seconds:g} s"


_INSTEAD = {
    s.NothingUsable.EMPTY_STRING: "returned an empty string",
    s.NothingUsable.OTHER_VALUE_RETURNED: "returned a value that is not a token of this broker",
    s.NothingUsable.OTHER_VALUE_PRESENTED: "presented a value that is not a token of this broker",
    s.NothingUsable.NOTHING_RETURNED: "returned no token",
    s.NothingUsable.NO_CALL: "made no call to the API",
    s.NothingUsable.CALL_WITHOUT_TOKEN: "called the API without a token",
}


def _got_token(outcome: s.GotToken) -> str:
    """Return the number and the state of the token, and whether it was requested in this use."""
    return f"token #{outcome.token}{' (fetched)' if outcome.is_fetched else ''}, {outcome.state}"


def _got_no_token(outcome: s.GotNoToken) -> str:
    """Return what the client had instead; the returned value says more than "no token"."""
    if outcome.value and outcome.instead is s.NothingUsable.OTHER_VALUE_RETURNED:
        return f"returned {outcome.value}, which is not a token of this broker"
    if outcome.value and outcome.instead is s.NothingUsable.NOTHING_RETURNED:
        return f"returned {outcome.value}"
    return _INSTEAD[outcome.instead]


def diagnosis_text(diagnosis: Diagnosis | None) -> str:
    """Return the likely mistake as a line; empty if none is known."""
    if diagnosis is None:
        return ""
    seconds = f"{diagnosis.seconds:g} s" if diagnosis.seconds is not None else ""
    text = _MISTAKES[diagnosis.mistake].format(seconds=seconds, setting=diagnosis.setting)
    return diagnosis.hint or text


_MISTAKES = {
    Mistake.HINTED: "",
    Mistake.MILLISECONDS: "expires_in is read as milliseconds, or divided by 1000",
    Mistake.PER_MINUTE: "expires_in is divided by 60",
    Mistake.EXPIRY_IN_MILLISECONDS: (
        "an expiry in milliseconds is compared with a time in seconds: tokens are used for 1000 "
        "times their lifetime"
    ),
    Mistake.MINUTES: "expires_in is read as minutes: tokens are used for 60 times their lifetime",
    Mistake.LEEWAY_ADDED: (
        "the leeway has the wrong sign: a token is used until {seconds} after its expiry; subtract "
        "the leeway from expires_in"
    ),
    Mistake.LATE_COMPARISON: (
        "the comparison with the expiry is > instead of >=, or rounds up: a token expires when "
        "expires_in seconds have passed"
    ),
    Mistake.FIXED_LIFETIME: (
        "the lifetime is a constant: each token is used for {seconds}, whatever its expires_in is"
    ),
    Mistake.FIRST_LIFETIME: (
        "the lifetime of the first token is kept for the later ones: the second token was used for "
        "{seconds}"
    ),
    Mistake.FIRST_EXPIRY: (
        "the expiry of the first token is never replaced: since then each use requests a token"
    ),
    Mistake.INVERTED: (
        "the comparison with the expiry is inverted: a fresh token is replaced, and an expired one "
        "is used"
    ),
    Mistake.NO_EXPIRY: "the client does not look at the age of its token",
    Mistake.LOCAL_TIME: (
        "the expiry is computed with local time; use UTC with a time zone, or a monotonic clock"
    ),
    Mistake.OTHER_CLOCK: (
        "a time of the broker is compared with the client's own clock; count expires_in from the "
        "client's clock"
    ),
    Mistake.STALE_WHILE_REFRESHING: (
        "the client uses its old token while it requests a new one, even if the old one has expired"
    ),
    Mistake.NO_KEY: "the cache has no key: all clients in the process share one token",
    Mistake.KEY_WITHOUT: "the key of the cache does not contain the {setting}",
}


_Maker = Callable[[Any], str]

# One entry for each class of `UseOutcome`, in its order.
_OUTCOMES: dict[type, _Maker] = {
    s.GotToken: _got_token,
    s.GotNoToken: _got_no_token,
    s.Raised: lambda outcome: f"raised {outcome.error}",
    s.NeverReturned: _never_returned,
    s.SentTooManyRequests: lambda o: (
        f"sent {o.allowed} requests in one use and went on; mockbroker stopped it"
    ),
    s.ProgramEnded: lambda outcome: f"ended the program: {outcome.error}",
    s.DriverEnded: lambda outcome: f"did not return: {outcome.reason}",
}

# One entry for each class of `Step`, in its order. Functions where the text depends on conditions,
# otherwise lambdas: the whole wording can be read from top to bottom.
# Numbers are formatted by `g`, so that 60.0 becomes 60; lifetimes by `.15g`, because they are long.
_STEPS: dict[type, _Maker] = {
    s.SeedChosen: _seed_chosen,
    s.BrokerStarted: lambda step: (
        f"the broker issues tokens with expires_in={step.expires_in:.15g}"
    ),
    s.LifetimeChanged: lambda step: (
        f"the broker now issues tokens with expires_in={step.expires_in:.15g}"
    ),
    s.TimePassed: lambda step: f"+{step.seconds:g} s",
    s.TimeZoneSet: _time_zone_set,
    s.WallClockSet: _wall_clock_set,
    s.TokenPolicySet: lambda step: f"the broker now {_POLICIES[step.policy]}",
    s.ClientMade: _action,
    s.ClientUsed: _client_used,
    s.ClientUsedAtOnce: _client_used_at_once,
    s.ReprTaken: _action,
    s.ClientClosed: lambda _: "the client is closed and dropped",
    s.ClientRestarted: _client_restarted,
    s.ClientsClosed: lambda step: (
        f"{step.count} more clients in the same process are used, closed and dropped"
    ),
    s.ClientKilled: lambda _: "the client's process is killed while the client waits for a token",
    s.UsesArranged: _uses_arranged,
    s.EventLoopChanged: lambda _: "the client's event loop is closed; the next use has another one",
    s.FileDamaged: lambda step: f"the client's file {step.name} {_DAMAGED[step.damage]}",
    s.HomeMadeUnwritable: lambda _: "HOME cannot be written: a file stands in its place",
    s.OtherClientAdded: lambda step: (
        f"another client of another {step.difference} starts in the same process"
    ),
    s.FaultScripted: _fault_scripted,
    s.FaultsCleared: lambda step: f"{_ENDPOINTS[step.endpoint]} works as usual again",
    s.AnswersDelayed: _answers_delayed,
    s.AnswerChanged: _answer_changed,
    s.TokenChosen: lambda step: f"the next token is {_short(step.value)}",
    s.TokensRevoked: lambda _: "the broker revokes every token",
    s.SecretRotated: lambda step: f"the secret of client {step.client} is rotated",
    s.CertificateShown: _certificate_shown,
    s.IdleConnectionsClosed: lambda _: "the server closes the connections that are idle",
    s.TimeoutConfigured: lambda step: (
        f"the client is configured with a timeout of {step.seconds:g} s"
    ),
    s.CredentialsConfigured: lambda step: (
        f"the client is configured with client_id {_short(step.client_id)} and client_secret "
        f"{_short(step.client_secret)}"
    ),
    s.ScopeConfigured: lambda step: f"the client is configured with scope {step.scope!r}",
    s.OtherOriginReached: lambda step: (
        f"the other origin receives {step.method} {step.path} with the {step.carried}"
    ),
    s.BreachRepeated: lambda step: f"seen {step.count} times; the traffic shows the first",
    s.NotRepeated: lambda _: "repeated, the same steps did not end like this",
    s.Note: lambda step: step.text,
}
