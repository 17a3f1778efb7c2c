"""Chapter ``post``: how the client authenticates in the body of the token request."""

from __future__ import annotations

import pytest

from mockbroker.contract import clauses
from mockbroker.model.credentials import Credentials
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.strategies import ascii_credentials


@pytest.mark.contract_clause(clauses.post.CREDENTIALS)
def test_credentials(scenario: Scenario) -> None:
    """Check that every pair of printable ASCII credentials arrives as it was configured.

    The same as in chapter ``basic``, for profiles whose clients authenticate in the body (RFC 6749,
    2.3.1).
    """
    # Characters that form encoding must escape, and a secret that would become a second parameter
    # without it.
    boundary_cases = [
        Credentials("client id", "p w+/=%&~*"),
        Credentials("a=b&c", "100%25 \"quoted\" 'x' \\ "),
        Credentials("client", "&client_secret=other"),
        # What expanduser, a shell, expandvars, `%` and str.format would expand.
        Credentials("$HOME", "~/${HOME}$$%s%%{0}{{}}`x`"),
    ]
    drawn = ascii_credentials()
    if "header" in scenario.run.settings.profile.authentication_methods:
        # RFC 9110, 5.5: white space around the value of a header field is not a part of it.
        drawn = drawn.map(_without_edges)
        boundary_cases = [_without_edges(pair) for pair in boundary_cases]
    scenario.judge_token_requests(
        drawn,
        boundary_cases,
        must_answer="every printable ASCII character to be accepted",
    )


def _without_edges(pair: Credentials) -> Credentials:
    """Return credentials without white space around them."""
    return Credentials(pair.client_id.strip() or "id", pair.client_secret.strip() or "secret")


@pytest.mark.contract_clause(clauses.post.ONLY)
def test_only(scenario: Scenario) -> None:
    """Check that the credentials are in the body and nowhere else.

    Passive. A header beside the body would send the secret a second time.
    """
    scenario.share(Scenario.judge_token_requests)
