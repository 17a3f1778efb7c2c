"""The model client conforms under each authentication, and fails one clause under another."""

from __future__ import annotations

import pytest

from examples.model_client import TokenManager
from mockbroker.contract import clauses
from mockbroker.contract.authentication import METHODS, AuthenticationMethod
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.model.credentials import Credentials
from mockbroker.model.profile import Profile
from mockbroker.report.finding import Verdict
from tests.mutants.kit import verdicts_on
from tests.mutants.workshop import make

pytestmark = pytest.mark.slow
PROFILES = {
    "raw": Profile(name="raw"),
    "form": Profile(name="form", basic_encoding="form"),
    "post": Profile(name="post", client_authentication=("post",)),
    "either": Profile(name="either", client_authentication=("basic", "post")),
    "requiring": Profile(name="requiring", parameters={"audience": "https://api.example/?a=b c"}),
}
ON_TOKEN_REQUESTS = [
    clause for clause in CATALOGUE if clause.chapter in {"request", "basic", "post", "lifecycle"}
]


# A client without a secret breaks two clauses where one is asked for: its client_id is in the body.
# The HTTP library cannot send every character in a header field; test_dialects.py has that method.
WITH_SECRET = [method for method in METHODS if method.name not in {"none", "query", "header"}]


def client_with(method: AuthenticationMethod) -> type[TokenManager]:
    """The model client, authenticating by that method."""

    class Authenticating(TokenManager):
        def _token_headers(self) -> dict[str, str]:
            pair = Credentials(self._client_id, self._client_secret)
            return {"Accept": "application/json", **method.headers(pair)}

        def _token_parameters(self) -> dict[str, str]:
            pair = Credentials(self._client_id, self._client_secret)
            return {**super()._token_parameters(), **method.parameters(pair)}

    return Authenticating


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("method", WITH_SECRET, ids=lambda method: type(method).__name__)
def test_the_matching_client_conforms_and_another_one_fails_one_clause(method, profile):
    cls = client_with(method)
    matches = method.is_accepted_by(profile)
    only = () if matches and len(profile.authentication_methods) == 1 else ON_TOKEN_REQUESTS
    found = verdicts_on(lambda config: make(cls, config), profile=profile, only=only)
    failed = {clause for clause, (verdict, _) in found.items() if verdict is Verdict.FAILED}
    assert len(failed) == (0 if matches else 1), found
    others = {verdict for clause, (verdict, _) in found.items() if clause not in failed}
    expected = {Verdict.NOT_APPLICABLE}  # the client uses one of the methods that are accepted
    assert others <= (expected if matches else expected | {Verdict.NOT_TESTED}), found


def test_clauses_that_do_not_apply_say_why():
    post, basic = PROFILES["post"], PROFILES["raw"]
    why = clauses.basic.BASE64.applies_to(post)
    assert why == "profile post authenticates in the body"
    assert clauses.post.ONLY.applies_to(basic) == (
        "profile raw authenticates in the Authorization header"
    )
    assert clauses.basic.BASE64.applies_to(PROFILES["either"]) == ""
    assert clauses.post.ONLY.applies_to(PROFILES["either"]) == ""
