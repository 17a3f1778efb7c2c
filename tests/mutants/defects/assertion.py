"""Clients with one defect of the chapter ``assertion``."""

from __future__ import annotations

import datetime
import functools
import hashlib
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from examples.assertion_client import AssertionTokenManager
from examples.model_client import TokenManager
from mockbroker.contract import clauses
from mockbroker.model.assertion_rules import AssertionRules
from mockbroker.model.profile import Profile
from tests.mutants.workshop import breaks

# A curve, because signing with it takes a tenth of the time of RSA.
SIGNED = Profile(
    name="signed",
    client_authentication="private_key_jwt",
    assertion=AssertionRules(algorithms=("ES256", "RS256")),
)
ON_ASSERTIONS = [each for each in clauses.assertion.CLAUSES if each is not clauses.assertion.SENT]


@breaks(clauses.assertion.SENT, blocks=ON_ASSERTIONS, profile=SIGNED)
class UsesBasicInPlaceOfAnAssertion(TokenManager):
    """The model client, where an assertion should be signed."""


@breaks(clauses.assertion.SENT, profile=SIGNED)
class LeavesOutTheTypeOfTheAssertion(AssertionTokenManager):
    def _token_parameters(self) -> dict[str, str]:
        parameters = super()._token_parameters()
        del parameters["client_assertion_type"]
        return parameters


@breaks(clauses.assertion.ONLY, profile=SIGNED)
class SendsBasicBesideTheAssertion(AssertionTokenManager):
    def _token_headers(self) -> dict[str, str]:
        return {**super()._token_headers(), "Authorization": self._basic()}


@breaks(clauses.assertion.SIGNATURE, profile=SIGNED)
class SignsWithASharedSecret(AssertionTokenManager):
    def _assertion(self) -> str:
        secret = hashlib.sha256(self._private_key.encode()).hexdigest()
        return jwt.encode(self._claims(), secret, algorithm="HS256", headers={"kid": self._key_id})


@breaks(clauses.assertion.SIGNATURE, profile=SIGNED)
class SignsNothing(AssertionTokenManager):
    def _assertion(self) -> str:
        return jwt.encode(self._claims(), "", algorithm="none") + "AA"


@functools.cache
def _own_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@breaks(clauses.assertion.SIGNATURE, profile=SIGNED)
class SignsWithAnotherKey(AssertionTokenManager):
    def _assertion(self) -> str:
        headers = {"kid": self._key_id}
        return jwt.encode(self._claims(), _own_key(), algorithm="ES256", headers=headers)


@breaks(clauses.assertion.KEY_ID, profile=SIGNED)
class NamesNoKey(AssertionTokenManager):
    def _assertion(self) -> str:
        return jwt.encode(self._claims(), self._private_key, algorithm=self._algorithm)


@breaks(clauses.assertion.KEY_ID, profile=SIGNED)
class NamesTheFirstKey(AssertionTokenManager):
    first = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        NamesTheFirstKey.first = NamesTheFirstKey.first or self._key_id
        self._key_id = NamesTheFirstKey.first


class _Claims(AssertionTokenManager):
    """A token manager whose claims can be spoilt."""

    def changed(self, claims: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def _claims(self) -> dict[str, Any]:
        claims = super()._claims() | self.changed(super()._claims())
        return {name: value for name, value in claims.items() if value is not None}


@breaks(clauses.assertion.ISSUER, profile=SIGNED)
class NamesTheTokenUrlAsIssuer(_Claims):
    def changed(self, claims: dict[str, Any]) -> dict[str, Any]:
        return {"iss": self._token_url}


@breaks(clauses.assertion.ISSUER, profile=SIGNED)
class LeavesOutTheSubject(_Claims):
    def changed(self, claims: dict[str, Any]) -> dict[str, Any]:
        return {"sub": None}


@breaks(clauses.assertion.AUDIENCE, profile=SIGNED)
class NamesTheOriginAsAudience(_Claims):
    def changed(self, claims: dict[str, Any]) -> dict[str, Any]:
        parts = urlsplit(self._token_url)
        return {"aud": f"{parts.scheme}://{parts.netloc}"}


@breaks(
    clauses.assertion.AUDIENCE,
    profile=Profile(
        name="issued",
        client_authentication="private_key_jwt",
        assertion=AssertionRules(algorithms=("ES256",), audience="issuer"),
    ),
)
class NamesTheTokenUrlAsAudience(_Claims):
    def changed(self, claims: dict[str, Any]) -> dict[str, Any]:
        return {"aud": self._token_url}


@breaks(clauses.assertion.LIFETIME, profile=SIGNED)
class LetsAnAssertionLiveForAnHour(_Claims):
    def changed(self, claims: dict[str, Any]) -> dict[str, Any]:
        return {"exp": claims["iat"] + 3600}


@breaks(clauses.assertion.LIFETIME, profile=SIGNED)
class LeavesOutTheExpiry(_Claims):
    def changed(self, claims: dict[str, Any]) -> dict[str, Any]:
        return {"exp": None}


@breaks(clauses.assertion.LIFETIME, profile=SIGNED)
class CountsTheLifeInMilliseconds(_Claims):
    def changed(self, claims: dict[str, Any]) -> dict[str, Any]:
        return {name: claims[name] * 1000 for name in ("iat", "exp")}


@breaks(clauses.assertion.LIFETIME, shown_by=[clauses.refresh.CLOCK_CHANGES], profile=SIGNED)
class TakesLocalTimeForUniversalTime(_Claims):
    def changed(self, claims: dict[str, Any]) -> dict[str, Any]:
        local = datetime.datetime.now().replace(tzinfo=datetime.timezone.utc)  # noqa: DTZ005 - the defect
        now = int(local.timestamp())
        return {"iat": now, "exp": now + 120}


@breaks(clauses.assertion.JTI, profile=SIGNED)
class LeavesOutTheJti(_Claims):
    def changed(self, claims: dict[str, Any]) -> dict[str, Any]:
        return {"jti": None}


@breaks(clauses.assertion.JTI, profile=SIGNED)
class HasOneJti(_Claims):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.jti = str(uuid.uuid4())

    def changed(self, claims: dict[str, Any]) -> dict[str, Any]:
        return {"jti": self.jti}


@breaks(
    clauses.assertion.JTI,
    clauses.assertion.LIFETIME,
    clauses.assertion.CLOCK,
    profile=SIGNED,
)
class SignsOneAssertion(AssertionTokenManager):
    kept = ""

    def _assertion(self) -> str:
        self.kept = self.kept or super()._assertion()
        return self.kept


@breaks(clauses.assertion.JTI, profile=SIGNED)
class RepeatsTheAssertionThatFailed(AssertionTokenManager):
    kept = ""
    until = 0.0

    def _assertion(self) -> str:
        if not self.kept or time.time() > self.until:
            self.kept, self.until = super()._assertion(), time.time() + 60
        return self.kept

    def _fetch_token(self) -> Any:
        token = super()._fetch_token()
        # Not reached after a failure, so that the next attempt has the same assertion.
        self.kept = ""
        return token


@breaks(clauses.assertion.CLOCK, profile=SIGNED)
class LetsAnAssertionLiveForASecond(_Claims):
    def changed(self, claims: dict[str, Any]) -> dict[str, Any]:
        return {"exp": claims["iat"] + 2}
