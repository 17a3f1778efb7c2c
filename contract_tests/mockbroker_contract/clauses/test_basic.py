"""Chapter ``basic``: how the client authenticates at the token endpoint."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker.model.exchange import Endpoint
from mockbroker.report.steps import Note
from mockbroker_contract.harness.carried_secrets import carries_secret
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.conventions import authentication_conventions
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.shared_cases import ON_AUTHENTICATION
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.harness.strategies import (
    ascii_credentials,
    line_wrapping_credentials,
    non_ascii_credentials,
)

_CREDENTIALS = Credentials("basic-client", "basic-s3cret")


@pytest.mark.contract_clause(clauses.basic.SCHEME)
def test_scheme(scenario: Scenario) -> None:
    """Check that every token request has one Authorization header with scheme Basic.

    Passive: the requests of any exploration show it. One that every clause on requests shares is
    enough.
    """
    scenario.share(Scenario.judge_token_requests)


@pytest.mark.contract_clause(clauses.basic.BASE64)
def test_base64(scenario: Scenario) -> None:
    """Check that Base64 is standard for credentials of every length and alphabet.

    Two parts: credentials whose encoding shows each deviation, then a long secret beside a short
    one. Only a client that works with the short one is judged by the long one.
    """
    # "?>~" has characters 62 and 63 of the alphabet, where URL-safe Base64 differs (RFC 4648, 4 and
    # 5). The short ones need padding; the long one is wrapped by encoders of MIME.
    boundary_cases = [
        Credentials("id", "?>~" * 30),
        Credentials("client", "~~~"),
        Credentials("c", "~"),
    ]
    scenario.judge_token_requests(line_wrapping_credentials(), boundary_cases)

    def run_case(length: int, operation: str) -> Situation:
        # The control: the same client works with a short secret, so the length is the cause.
        with scenario.session(credentials=Credentials("client", "short")) as session:
            session.use_well(operation)
        with scenario.session(credentials=Credentials("client", "long" * (length // 4))) as session:
            outcome = session.use(operation)
            if outcome.error is not None:
                session.breach(
                    f"with a secret of {length} letters the client raised "
                    f"{session.masked(outcome.error)}",
                    "the secret to be sent, as a short one is",
                )
            return Situation.met_if(session.trace.token_requests)

    # Encoders that wrap lines make several of this length (RFC 2045, 6.8: 76 characters).
    scenario.for_each([200], run_case)


@pytest.mark.contract_clause(clauses.basic.CREDENTIALS)
def test_credentials(scenario: Scenario) -> None:
    """Check that every pair of printable ASCII credentials arrives as it was configured.

    The client authentication that the client was seen to use is reported as a measured fact,
    whether or not the clause passes.
    """
    scenario.run.needs_returning_client()
    # Measured before the clause is judged, because a breach ends the test.
    scenario.run.findings.learn(**authentication_conventions(scenario.run))
    # What URL encoding would change, what a client could split at, and what a shell or a parser
    # would expand. RFC 7617, 2: only the first colon separates.
    boundary_cases = [
        Credentials("client id", "p w+/=%&~*"),
        Credentials("client", "with:colons:"),
        Credentials("%41", "100%25 \"quoted\" 'x' \\ "),
        # What expanduser, a shell, expandvars, `%` and str.format would expand.
        Credentials("$HOME", "~/${HOME}$$%s%%{0}{{}}`x`"),
    ]
    scenario.judge_token_requests(
        ascii_credentials(),
        boundary_cases,
        must_answer="every printable ASCII character to be accepted",
        is_wide=True,
    )


@pytest.mark.contract_clause(clauses.basic.UTF8)
def test_utf8(scenario: Scenario) -> None:
    """Check that credentials beyond ASCII are encoded as UTF-8.

    RFC 7617, 2.1, recommends UTF-8, and a profile has no other encoding. Raising an error instead
    of sending the credentials is a breach too.
    """
    # One that Latin-1 could encode differently, and one that it cannot encode (RFC 7617, 2.1).
    boundary_cases = [Credentials("client", "pässword"), Credentials("client", "密码-s3cret")]
    scenario.judge_token_requests(
        non_ascii_credentials(),
        boundary_cases,
        must_answer="non-ASCII credentials to be sent as UTF-8",
    )


@pytest.mark.contract_clause(clauses.basic.ONLY)
def test_only(scenario: Scenario) -> None:
    """Check that the credentials are in the Authorization header and nowhere else.

    Passive. The broker searches header, body and URL of each token request for the secret.
    """
    scenario.share(Scenario.judge_token_requests)


# Long enough to be recognised in any encoding.
_NETRC = Credentials("netrc-login", "netrc-p4ssword")


@pytest.mark.contract_clause(clauses.basic.NETRC)
def test_netrc(scenario: Scenario) -> None:
    """Check that neither the broker nor the API gets credentials from ``~/.netrc``.

    The file has an entry for the host and a default one. The control is the same client without the
    file.
    """

    def run_case(_: None, operation: str) -> Situation:
        # What follows from the file counts here, and not as a mistake of its own.
        with scenario.session(
            credentials=_CREDENTIALS, elsewhere=[*ON_AUTHENTICATION, clauses.signing.BEARER]
        ) as session:
            host = urlsplit(session.broker.token_url).hostname
            entry = f"login {_NETRC.client_id} password {_NETRC.client_secret}"
            file = f"machine {host} {entry}\ndefault {entry}\n"
            # The client is made at its first use, and so finds the file.
            with scenario.run.sandbox.file_in_home(".netrc", file):
                session.record(Note(text="~/.netrc has other credentials for the broker's host"))
                outcome = session.use(operation)
            _must_not_carry_netrc(session)
            if outcome.error is not None:
                with session.control() as control:
                    control.use_well(operation)
                session.breach(
                    f"with a ~/.netrc, the client raised {session.masked(outcome.error)}",
                    "the configured credentials to be sent",
                )
            return Situation.met_if(session.trace.token_requests)

    scenario.for_each([None], run_case)


def _must_not_carry_netrc(session: ClientSession) -> None:
    """Raise the breach of the clause if a request had the credentials of the file."""
    for exchange in session.trace.exchanges:
        if carries_secret(exchange.request, _NETRC):
            is_call = exchange.endpoint is Endpoint.API
            what = "the call of the API" if is_call else "the token request"
            expected = "the token" if is_call else "the configured credentials"
            session.breach(f"{what} had the credentials of ~/.netrc", expected, [exchange])
