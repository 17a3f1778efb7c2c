"""Chapter ``basic``: how the client authenticates at the token endpoint."""

from __future__ import annotations

import pytest

from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker_contract.harness.conventions import authentication_conventions
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.harness.strategies import (
    ascii_credentials,
    line_wrapping_credentials,
    non_ascii_credentials,
)


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
    ]
    scenario.judge_token_requests(
        ascii_credentials(),
        boundary_cases,
        must_answer="every printable ASCII character to be accepted",
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
