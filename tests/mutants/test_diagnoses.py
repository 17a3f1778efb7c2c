"""The kit names the mistake of a client that has exactly that one, and none for another defect."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import pytest

from examples.model_client import AccessToken, TokenManager
from mockbroker.contract import clauses
from mockbroker.contract.diagnosis import Diagnosis, Mistake
from tests.mutants.defects import MUTANTS
from tests.mutants.kit import diagnosis_on
from tests.mutants.workshop import make


class Lives(TokenManager):
    """A token manager whose time until a refresh is a function of the lifetime."""

    life: ClassVar[Any]

    def _time_until_refresh(self, lifetime: float) -> float:
        return float(type(self).life(lifetime))


class ReplacesWhatIsFresh(TokenManager):
    def get_token(self) -> str:
        with self._lock:
            token = self._token
            if token is None or token.expires_at - time.time() > 60:
                self._token = token = self._fetch_token()
            return token.value


class KeepsTheFirstLifetime(TokenManager):
    first: float | None = None

    def _time_until_refresh(self, lifetime: float) -> float:
        self.first = self.first or super()._time_until_refresh(lifetime)
        return self.first


CACHE: dict[Any, AccessToken] = {}


class SharesByKey(TokenManager):
    """A token manager whose cache is shared by all of one key."""

    def key(self) -> Any:
        raise NotImplementedError

    def get_token(self) -> str:
        with self._lock:
            token = CACHE.get(self.key())
            if token is None or time.time() >= token.refresh_at:
                token = CACHE[self.key()] = self._fetch_token()
            return token.value


class HasNoSecretInItsKey(SharesByKey):
    def key(self) -> Any:
        return self._token_url, self._client_id, self._scope


class HasNoScopeInItsKey(SharesByKey):
    def key(self) -> Any:
        return self._token_url, self._client_id, self._client_secret


class HasNoUrlInItsKey(SharesByKey):
    def key(self) -> Any:
        return self._client_id, self._client_secret, self._scope


class HasNoKey(SharesByKey):
    def key(self) -> Any:
        return None


def living(life: Any) -> type[TokenManager]:
    return type("Living", (Lives,), {"life": staticmethod(life)})


HONOURS, EAGER = clauses.refresh.HONOURS_EXPIRES_IN, clauses.refresh.NOT_TOO_EAGER
REUSE, ISOLATION = clauses.cache.REUSE, clauses.cache.ISOLATION
CASES = [
    (living(lambda life: life + 30), HONOURS, (Mistake.LEEWAY_ADDED, 30)),
    (living(lambda life: life * 1000), HONOURS, (Mistake.EXPIRY_IN_MILLISECONDS,)),
    (living(lambda life: life * 60 - 30), HONOURS, (Mistake.MINUTES,)),
    (living(lambda _: 3600), HONOURS, (Mistake.FIXED_LIFETIME, 3600)),
    (living(lambda _: 1e12), HONOURS, (Mistake.NO_EXPIRY,)),
    (living(lambda life: life + 0.5), HONOURS, (Mistake.LATE_COMPARISON,)),
    (ReplacesWhatIsFresh, HONOURS, (Mistake.INVERTED,)),
    (ReplacesWhatIsFresh, REUSE, (Mistake.INVERTED,)),
    (KeepsTheFirstLifetime, HONOURS, (Mistake.FIRST_LIFETIME, 1170)),
    (living(lambda life: life / 1000), EAGER, (Mistake.MILLISECONDS,)),
    (living(lambda life: life / 60), EAGER, (Mistake.PER_MINUTE,)),
    (living(lambda _: 300), EAGER, (Mistake.FIXED_LIFETIME, 300)),
    (MUTANTS["KeepsTheFirstExpiry"].cls, REUSE, (Mistake.FIRST_EXPIRY,)),
    (living(lambda life: life / 1000 - 30), REUSE, (Mistake.MILLISECONDS,)),
]


# Most clients differ only in a factor: the numbers are tested by themselves as well.
@pytest.mark.parametrize(
    ("client", "clause", "expected"),
    [
        pytest.param(*case, marks=() if number % 3 == 0 else pytest.mark.slow)
        for number, case in enumerate(CASES)
    ],
)
def test_a_mistake_about_lifetimes_is_named(client, clause, expected):
    found = diagnosis_on(lambda config: make(client, config), clause)
    mistake, *seconds = expected
    assert found == Diagnosis(mistake=mistake, seconds=seconds[0] if seconds else None)


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (HasNoSecretInItsKey, Diagnosis(mistake=Mistake.KEY_WITHOUT, setting="secret")),
        (HasNoScopeInItsKey, Diagnosis(mistake=Mistake.KEY_WITHOUT, setting="scope")),
        (HasNoUrlInItsKey, Diagnosis(mistake=Mistake.KEY_WITHOUT, setting="token URL")),
        (HasNoKey, Diagnosis(mistake=Mistake.NO_KEY)),
    ],
)
def test_what_a_key_lacks_is_named(client, expected):
    assert diagnosis_on(lambda config: make(client, config), ISOLATION) == expected


@pytest.mark.parametrize("name", ["IsHoursBehindItself", "ForgetsThatClocksGoBack"])
def test_local_time_is_named(name):
    client = MUTANTS[name].cls
    found = diagnosis_on(lambda config: make(client, config), clauses.refresh.CLOCK_CHANGES)
    assert found == Diagnosis(mistake=Mistake.LOCAL_TIME)


def test_a_time_of_the_broker_is_named():
    client = MUTANTS["CountsFromTheBrokersDate"].cls
    found = diagnosis_on(lambda config: make(client, config), clauses.refresh.CLOCK_CHANGES)
    assert found == Diagnosis(mistake=Mistake.OTHER_CLOCK)


def test_a_token_that_is_served_while_it_is_replaced_is_named():
    client = MUTANTS["ServesAStaleTokenWhileItRenews"].cls
    found = diagnosis_on(lambda config: make(client, config), HONOURS)
    assert found == Diagnosis(mistake=Mistake.STALE_WHILE_REFRESHING)


@pytest.mark.parametrize(
    ("name", "clause"),
    [("RefreshesAfterAFifth", EAGER), ("OverflowsAtThirtyDays", REUSE), ("NeverReuses", REUSE)],
)
def test_another_defect_has_no_wrong_name(name, clause):
    client = MUTANTS[name].cls
    assert diagnosis_on(lambda config: make(client, config), clause) is None
