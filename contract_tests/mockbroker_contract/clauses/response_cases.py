"""What the test cases of chapter ``response`` share."""

from __future__ import annotations

from collections.abc import Mapping

from mockbroker.broker.answers import TokenAnswer
from mockbroker.model.credentials import Credentials
from mockbroker.report.steps import AnswerChanged
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.scenario import Scenario

__all__ = ["CREDENTIALS", "Members", "answer_session", "must_use_the_token", "needs_control"]

CREDENTIALS = Credentials("response-client", "response-s3cret")
Members = Mapping[str, object]


def answer_session(
    scenario: Scenario, answer: TokenAnswer, changed: AnswerChanged
) -> ClientSession:
    """Return a session whose broker answers like this, with the step that says so."""
    session = scenario.session(credentials=CREDENTIALS)
    session.broker.token_answer = answer
    session.record(changed)
    return session


def must_use_the_token(session: ClientSession, outcome: Outcome, what: str) -> None:
    """Raise the breach of the clause unless the use had the issued token."""
    if outcome.error is not None:
        needs_control(session, outcome)
        session.breach(f"with {what}, the client raised {session.masked(outcome.error)}", "a token")
    if outcome.token is None:
        session.breach(f"with {what}, the client {outcome.in_words}", "the issued token")


def needs_control(session: ClientSession, outcome: Outcome) -> None:
    """Raise NotTested if as many uses fail with the documented token response as well.

    A client may raise for another reason: at every second use, or because it is worn out.
    """
    with session.control() as control:
        for _ in session.trace.uses:
            control.use_well(outcome.operation)
