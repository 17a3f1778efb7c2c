"""The verdicts that docs/examples.md tells are those that a check reaches."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mockbroker.broker.profiles import load_profiles
from mockbroker.model.profile import AUTOGRAB, RFC6749
from mockbroker_contract.drivers.target import Target, TargetError, load_target
from tests.mutants.kit import verdicts_on

PATIENCE = 12.0
"""Seconds: as much longer as some clients need for giving up, as a check has."""
EXAMPLES = Path(__file__).parents[1] / "examples"
SIGNED = load_profiles(EXAMPLES / "third_party" / "signed.toml")
PROFILES_OF = {
    "assertion_client.py": SIGNED["signed"],
    "certificate_client.py": SIGNED["mutual"],
    "third_party/authlib_assertion_client.py": SIGNED["signed"],
    "third_party/authlib_httpx_assertion_client.py": SIGNED["signed"],
    "third_party/mcp_assertion_client.py": SIGNED["signed-for-issuer"],
    "third_party/mcp_client.py": RFC6749,
    "third_party/requests_oauth2client_assertion_client.py": SIGNED["signed"],
}
"""The profiles of the clients that are not checked with the default one."""


def told() -> dict[str, dict[str, str]]:
    """For each client of the README, the clauses that do not pass and the verdict on each."""
    text = (EXAMPLES.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    row = re.compile(r"^\| `([a-z.0-9-]+)` \| ([a-z-]+) \|", re.MULTILINE)
    return {part.splitlines()[0].strip(): dict(row.findall(part)) for part in sections}


def load(client: str) -> Target:
    """The client, where its library is installed."""
    try:
        return load_target(str(EXAMPLES / client))
    except TargetError as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            pytest.skip(f"{error.__cause__}; examples/third_party/requirements.txt has it")
        raise


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # unclosed sockets
@pytest.mark.parametrize("client", told())
def test_readme_tells_the_verdicts(client):
    factory = load(client).factory
    profile = PROFILES_OF.get(client, AUTOGRAB)
    verdicts = verdicts_on(factory, patience=PATIENCE, profile=profile)
    found = {clause.id: verdict.value for clause, (verdict, _) in verdicts.items()}
    assert found == told()[client]


def test_readme_tells_of_every_example():
    clients = [*EXAMPLES.glob("*_client.py"), *EXAMPLES.glob("third_party/*_client.py")]
    assert set(told()) == {path.relative_to(EXAMPLES).as_posix() for path in clients}
