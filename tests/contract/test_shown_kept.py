"""Clauses that traffic can show to be kept: what the app did after an outage or a revocation."""

from __future__ import annotations

import pytest

from mockbroker import Broker, Credentials, Fault
from mockbroker.broker.observation import Observation
from mockbroker.cli.audit_run import report_on
from mockbroker.contract.clause import Level
from mockbroker.contract.shown_kept import SHOWN_CLAUSES
from mockbroker.model.messages import Headers, Request
from mockbroker.report.finding import Verdict

FORM = ("Content-Type", "application/x-www-form-urlencoded")
PAIR = ("Authorization", "Basic c2hvcDpzM2NyZXQ=")
GRANT = b"grant_type=client_credentials"
RECOVERS, REVOKED = "refresh.recovers", "signing.revoked"
WHILE_VALID, AFTER_EXPIRY = "refresh.outage-while-valid", "refresh.outage-after-expiry"


class Time:
    def __init__(self):
        self.seconds = 1000.0

    def now(self):
        return self.seconds

    def advance(self, seconds):
        self.seconds += seconds


class App:
    """An app and its broker; each letter of a run is one thing that happens."""

    def __init__(self, **settings):
        self.broker = Broker(
            credentials=Credentials("shop", "s3cret"), clock=Time(), expires_in=60, **settings
        )
        self.broker.mounted_at("http://broker", "")
        self.observation = Observation(self.broker.journal, self.broker.profile)
        self.old = ""

    def run(self, letters):
        steps = {
            "t": self.ask,
            "o": lambda: self.ask(Fault.status(503)),
            "n": lambda: self.ask(Fault.reset()),
            "4": lambda: self.ask(Fault.status(400)),
            "?": lambda: self.send("POST", "/auth-broker/request-token", FORM, body=GRANT),
            "c": lambda: self.call(self.broker.tokens[-1].value),
            "d": lambda: self.call(self.broker.tokens[-1].value, "/v2/other"),
            "x": lambda: self.call(self.broker.tokens[0].value),
            "u": lambda: self.call("unknown"),
            "r": self.broker.revoke_tokens,
            "e": lambda: [self.broker.expire_token(each.value) for each in self.broker.tokens],
            ".": lambda: self.broker.clock.advance(40),
        }
        for letter in letters:
            steps[letter]()

    def ask(self, *faults):
        self.broker.script(*faults)
        self.send("POST", "/auth-broker/request-token", FORM, PAIR, body=GRANT)

    def call(self, token, path="/v2/vehicle/1"):
        self.send("GET", path, ("Authorization", f"Bearer {token}"))

    def send(self, method, path, *fields, body=b""):
        self.broker.handle(Request(method, path, Headers(fields), body), "http://broker")

    @property
    def kept(self):
        return set(self.observation.so_far().kept)


@pytest.mark.parametrize(
    ("letters", "kept"),
    [
        # A revoked token: only a repetition of the same call with a new token shows it.
        ("tcrctc", {REVOKED}),
        ("tcectc", {REVOKED}),
        ("tcrc", set()),
        ("tcrctd", set()),
        ("tcrcx", set()),
        ("tcrcdtc", set()),
        ("tcrcdtcd", {REVOKED}),
        ("tc..ctc", set()),  # it had expired, as promised
        ("u", set()),
        # An outage: of several series each has to end soon.
        ("tot", {RECOVERS}),
        ("tont", {RECOVERS}),
        ("t4t", set()),
        ("o", set()),
        ("o..t", set()),
        ("ot.ot", {RECOVERS}),
        ("oto", set()),
        ("?", set()),
        # A refresh that failed while a token was valid.
        ("tcoc", {WHILE_VALID}),
        ("tco..c", set()),
        ("ttoc", set()),  # another process may have used it
        ("trcox", set()),
        ("tcrctocot", {REVOKED, WHILE_VALID, RECOVERS}),
        # An outage after the token had expired.
        ("tc..otc", {RECOVERS, AFTER_EXPIRY}),
        ("tc..ootc", {RECOVERS, AFTER_EXPIRY}),
        ("tc..oxtc", {RECOVERS}),
        ("tc..o", set()),
    ],
)
def test_what_followed_shows_that_a_clause_is_kept(letters, kept):
    app = App()
    app.run(letters)
    assert app.kept - {RECOVERS} == kept - {RECOVERS}
    assert (RECOVERS in app.kept) is (RECOVERS in kept)


def test_a_long_audit_judges_each_situation_with_what_follows():
    app = App(journal_size=10)
    app.run("tcrctc" + "c" * 30)
    assert REVOKED in app.kept
    # This situation is not handled, and the one of long ago does not outweigh it.
    app.run("rd" + "tc" + "c" * 30 + "c" * 30)
    assert REVOKED not in app.kept


def test_a_report_of_an_audit_has_them_as_passed_or_with_what_was_missing():
    app = App()
    app.run("tcrctc")
    report = report_on(app.observation.so_far(), app.broker.profile, Level.MUST)
    rows = {row.clause.id: row for row in report.rows}
    assert rows[REVOKED].verdict is Verdict.PASSED
    for shown in SHOWN_CLAUSES:
        if shown.clause.id != REVOKED:
            assert rows[shown.clause.id].verdict is Verdict.NOT_TESTED
            assert shown.lack in rows[shown.clause.id].finding.in_words
