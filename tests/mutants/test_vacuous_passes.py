"""A client passes no clause whose situation it never met."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from examples.model_client import ApiClient, TokenError, make_client
from mockbroker import ClientConfig
from mockbroker.contract import clauses
from mockbroker.contract.clause import Clause
from mockbroker.report.finding import Verdict
from tests.mutants.defects.refresh import HasNoLeeway
from tests.mutants.kit import scenarios, verdicts_on
from tests.mutants.workshop import make

pytestmark = pytest.mark.slow

SECOND_CALL = frozenset(
    {
        clauses.signing.PRESERVES_REQUEST,
        clauses.signing.BODY_READ_ONCE,
        clauses.signing.REVOKED,
        clauses.signing.NO_RETRY_STORM,
        clauses.signing.FORBIDDEN,
        clauses.signing.CROSS_ORIGIN,
        clauses.signing.CALLERS_ARGUMENTS,
        clauses.signing.NO_REPLAY,
        clauses.signing.SAME_ORIGIN_REDIRECT,
        clauses.signing.OTHER_HOSTS,
    }
)
SECOND_USE = SECOND_CALL | {
    *clauses.refresh.CLAUSES,
    clauses.cache.REUSE,
    clauses.cache.THREAD_SAFE,
    clauses.signing.BEARER,
    clauses.signing.HEADER_ONLY,
    clauses.signing.NO_CREDENTIALS,
    clauses.errors.NOT_CACHED,
    clauses.errors.IDLE_CONNECTION,
    clauses.lifecycle.LIFECYCLE,
}
ALL = frozenset(clause for clause, _ in scenarios())


class Spoiler:
    """The model client until ``spoils`` says otherwise of the use with that number, from 1."""

    uses = 0

    def __init__(self, config: ClientConfig) -> None:
        self._client: ApiClient = make_client(config)
        self._remembered: Any = None

    def count(self) -> int:
        self.uses += 1
        return self.uses

    def spoils(self, number: int) -> bool:
        raise NotImplementedError

    def get_token(self) -> str:
        if self.spoils(self.count()):
            raise RuntimeError("spoilt")
        return self._client.get_token()

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        if self.spoils(self.count()):
            return self.spoilt_answer()
        self._remembered = self._client.request(method, url, **kwargs)
        return self._remembered

    def spoilt_answer(self) -> Any:
        raise RuntimeError("spoilt")

    def close(self) -> None:
        self._client.close()


class OfAProcess(Spoiler):
    """Counts the uses of all clients of the process."""

    def count(self) -> int:
        OfAProcess.uses += 1
        return OfAProcess.uses


class WorksOnce(Spoiler):
    def spoils(self, number: int) -> bool:
        return number > 1


class WorksForFourUsesOfTheProcess(OfAProcess):
    def spoils(self, number: int) -> bool:
        return number > 4


class FailsAtEverySecondUse(Spoiler):
    def spoils(self, number: int) -> bool:
        return number % 2 == 0


class FailsAtEverySecondUseOfTheProcess(OfAProcess):
    def spoils(self, number: int) -> bool:
        return number % 2 == 0


class RaisesAtItsSecondCall(WorksOnce):
    def get_token(self) -> str:
        return self._client.get_token()


class AnswersFromMemory(RaisesAtItsSecondCall):
    def spoilt_answer(self) -> Any:
        return self._remembered


class AnswersFromMemoryOnly(AnswersFromMemory):
    """Its get_token works, and its request never sends."""

    def spoils(self, number: int) -> bool:
        return True


class WorksInItsFirstThread(Spoiler):
    """Most uses of a burst fail, so that one request for all of them shows nothing."""

    home: int | None = None

    def spoils(self, number: int) -> bool:
        self.home = self.home or threading.get_ident()
        return self.home != threading.get_ident()


class HidesErrorsOfItsCalls(Spoiler):
    """Its request returns what a call returned before, or nothing, where it should raise."""

    def spoils(self, number: int) -> bool:
        return False

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        try:
            return super().request(method, url, **kwargs)
        except TokenError:
            return self._remembered


class NeverRefreshesAhead(Spoiler):
    """Its token is replaced at the expiry, so that no refresh fails while it is valid."""

    def spoils(self, number: int) -> bool:
        return False

    def __init__(self, config: ClientConfig) -> None:
        super().__init__(config)
        self._client = make(HasNoLeeway, config)


QUICKEST = (WorksOnce, WorksForFourUsesOfTheProcess, AnswersFromMemoryOnly)
"""Those that the coverage run plays."""

SPOILERS: dict[Callable[[ClientConfig], Any], frozenset[Clause]] = {
    WorksOnce: SECOND_USE,
    # response.documented starts the process again, in which the next clause has its two uses.
    WorksForFourUsesOfTheProcess: ALL - {clauses.response.SCOPE_MISSING},
    # Its third use meets an outage and what comes after one, its fifth an expired token.
    FailsAtEverySecondUse: SECOND_USE
    - {
        clauses.errors.NOT_CACHED,
        clauses.refresh.OUTAGE_AFTER_EXPIRY,
        clauses.refresh.HONOURS_EXPIRES_IN,
    },
    FailsAtEverySecondUseOfTheProcess: ALL,
    RaisesAtItsSecondCall: SECOND_CALL,
    AnswersFromMemory: SECOND_CALL
    | {
        clauses.refresh.HONOURS_EXPIRES_IN,
        clauses.refresh.OUTAGE_AFTER_EXPIRY,
        clauses.refresh.RECOVERS,
        clauses.errors.NOT_CACHED,
    },
    AnswersFromMemoryOnly: ALL,
    WorksInItsFirstThread: frozenset({clauses.cache.THREAD_SAFE, clauses.cache.SINGLE_FLIGHT}),
    HidesErrorsOfItsCalls: frozenset(
        {clauses.errors.INVALID_CLIENT, clauses.errors.BAD_REQUEST, clauses.errors.CAUSE}
    ),
    NeverRefreshesAhead: frozenset({clauses.refresh.AHEAD, clauses.refresh.OUTAGE_WHILE_VALID}),
}
"""Clients, and the clauses that none of them may pass."""


@pytest.mark.parametrize(
    "spoiler",
    [pytest.param(cls, marks=pytest.mark.covers if cls in QUICKEST else ()) for cls in SPOILERS],
    ids=lambda cls: cls.__name__,
)
def test_a_client_passes_nothing_whose_situation_it_never_met(spoiler):
    found = verdicts_on(spoiler, with_other_clients=True)
    # Of the clauses that apply to the default profile.
    passed = {clause for clause in SPOILERS[spoiler] & ALL if clause not in found}
    assert passed == set()
    assert {verdict for verdict, _ in found.values()} <= {
        Verdict.NOT_TESTED,
        Verdict.NOT_APPLICABLE,
        Verdict.FAILED,
        Verdict.ADVICE,
    }
