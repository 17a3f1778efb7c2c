"""Chapter ``secrecy``: where the client secret and the tokens become visible."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from mockbroker.broker.faults import Fault
from mockbroker.contract import clauses
from mockbroker.contract.clause import Clause
from mockbroker.fake_broker import Broker
from mockbroker.model.credentials import Credentials
from mockbroker.model.masking import secret_forms
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.drivers.exposure import Exposure
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.carried_secrets import carries_credentials
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.endings import ClientHung, ContractBreached, TooManyRequests
from mockbroker_contract.harness.recorder import fault_step, reached_step
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation

# Long and random enough never to occur by chance, with characters that each encoding changes.
_CREDENTIALS = Credentials("secrecy-client", "s3cret/7Qx+Lw2=pTz9~Vb4")
# More than any client retries, so that no attempt succeeds.
_UNLIMITED = 1000
# A cache of tokens is small. The rest of a large file is not read.
_BIGGEST_FILE = 4_000_000
_MAX_FILES = 1000

_TIMEOUT = 0.15
"""Seconds of the client's timeout, shorter than the time for which the broker is silent."""

_FAULTS: dict[str, Fault] = {
    "401 invalid_client": Fault.status(401, body={"error": "invalid_client"}),
    "400 invalid_request": Fault.status(400, body={"error": "invalid_request"}),
    "503": Fault.status(503),
    "a reset": Fault.reset(),
    "half of the JSON": Fault.invalid_json(),
    "a list for access_token": Fault.members(access_token=["abc"]),
    "a word for expires_in": Fault.members(expires_in="soon"),
    "nothing": Fault.stall(4 * _TIMEOUT),
}
# Of the API: a client may put the headers of its call into the exception.
_API_FAULTS: dict[str, Fault] = {
    "503 for a call": Fault.status(503),
    "a reset for a call": Fault.reset(),
}


@pytest.mark.contract_clause(clauses.secrecy.SECRET)
def test_secret(scenario: Scenario) -> None:
    """Check that the client secret is visible nowhere, in success and in failure.

    Searched for: the secret itself and the forms that encoding gives it. Where: output, logs at
    every level, warnings, exceptions, and the repr of the client and of its parts.
    """
    scenario.share(_judge_exposure)


@pytest.mark.contract_clause(clauses.secrecy.TOKEN)
def test_token(scenario: Scenario) -> None:
    """Check that no access token is visible anywhere, in success and in failure.

    Searched in the same places as the secret, in the same test cases.
    """
    scenario.share(_judge_exposure)


_SECRETS: dict[Clause, tuple[str, Callable[[Broker], Iterable[str]]]] = {
    clauses.secrecy.SECRET: ("the client secret", lambda broker: secret_forms(broker.credentials)),
    clauses.secrecy.TOKEN: ("an access token", lambda broker: broker.token_issued_values),
}
# What clients log in place of the whole: its beginning or its end. Four characters and a hash are
# accepted, because they distinguish secrets and make none easier to guess.
_PART = 8
_BEGINNINGS_AND_ENDS: dict[Clause, Callable[[Broker], Iterable[str]]] = {
    clauses.secrecy.SECRET: lambda broker: _parts([broker.credentials.client_secret]),
    clauses.secrecy.TOKEN: lambda broker: _parts(
        value.removeprefix(broker.profile.token_shape.partition("{")[0])
        for value in broker.token_issued_values
    ),
}


def _parts(secrets: Iterable[str]) -> Iterator[str]:
    """Return beginning and end of each secret, of a JWT those of its signature."""
    for secret in secrets:
        # Every JWT begins alike, as the tokens of a shape do.
        own = secret.rpartition(".")[2]
        if len(own) > 2 * _PART:
            yield from (own[:_PART], own[-_PART:])


def _judge_exposure(scenario: Scenario) -> None:
    """Search all visible output for secret and tokens; note breaches of the other clause.

    Each case is one fault, after an ordinary use. The failure is where most clients show something:
    HTTP libraries put requests into their exceptions.
    """
    # Shared by the cases: a client that hangs after one fault would cost a deadline for each of
    # them.
    hung: list[str] = []

    def run_case(fault_name: str, operation: str) -> Situation:
        if fault_name == "nothing" and operation != scenario.run.capabilities[0]:
            return Situation.UNMET  # one operation only, because the test waits for it in real time
        if fault_name in _API_FAULTS and operation != REQUEST:
            return Situation.UNMET
        if fault_name and hung:
            raise NotTested(f"the client hangs once the broker answers with {hung[0]}")
        with scenario.session(
            credentials=_CREDENTIALS,
            deadline=scenario.run.settings.patient_deadline,
            elsewhere=[clauses.refresh.HONOURS_EXPIRES_IN],
            config={"timeout": _TIMEOUT} if fault_name == "nothing" else {},
        ) as session:
            exposure = session.watch()
            session.use_well(operation)
            # A second use takes the token from the cache, and that code may log as well.
            session.use(operation)
            session.look()
            if fault_name and not _returns_after_fault(session, fault_name, operation):
                hung.append(fault_name)
            # The clause's own breach is last, because raising it ends the case.
            for clause in sorted(_SECRETS, key=lambda each: each is scenario.clause):
                _must_not_show(scenario, session, exposure, clause)
            return Situation.MET

    # The faults of the token endpoint come at a refresh, for which the clock must be moved.
    at_refresh = _FAULTS if scenario.run.time.is_virtual else {}
    scenario.for_each(["", *at_refresh, *_API_FAULTS], run_case)


def _must_not_show(
    scenario: Scenario, session: ClientSession, exposure: Exposure, clause: Clause
) -> None:
    """Raise or note the breach of that clause if a secret of its kind is visible."""
    what, secrets = _SECRETS[clause]
    visible = _without_urls(session, exposure)
    where = visible.first_with(secrets(session.broker))
    if not where:
        what = f"a part of {what}, {_PART} characters or more,"
        where = visible.first_with(_BEGINNINGS_AND_ENDS[clause](session.broker))
    if not where:
        return
    try:
        session.breach_of(clause, f"{what} is shown in {where}", "no output to show it")
    except ContractBreached as breached:
        if clause is scenario.clause:
            raise
        scenario.run.note(breached)


def _without_urls(session: ClientSession, exposure: Exposure) -> Exposure:
    """Return the texts without the URLs of token requests if the secret belongs there.

    HTTP libraries log each URL. A client of such a provider cannot keep its secret out of them.
    """
    if "query" not in session.broker.profile.authentication_methods:
        return exposure
    targets = {exchange.request.target for exchange in session.trace.token_requests}
    return Exposure([(where, _cut(text, targets)) for where, text in exposure.texts])


def _cut(text: str, parts: Iterable[str]) -> str:
    """Return the text without these parts."""
    for part in parts:
        text = text.replace(part, "")
    return text


def _returns_after_fault(session: ClientSession, fault_name: str, operation: str) -> bool:
    """Use the client with that fault; return whether it returned.

    A fault of the token endpoint comes after the expiry of the token.
    """
    if fault_name in _API_FAULTS:
        fault = _API_FAULTS[fault_name]
        session.broker.api_script(fault.times(_UNLIMITED))
        session.record(fault_step(fault, "api"))
    else:
        fault = _FAULTS[fault_name]
        session.advance(session.broker.expires_in + 1)
        session.broker.script(fault.times(_UNLIMITED))
        session.record(fault_step(fault))
    try:
        session.use(operation)
        session.look()
    except (ClientHung, TooManyRequests):
        return False
    return True


@pytest.mark.contract_clause(clauses.secrecy.REDIRECT)
def test_redirect(scenario: Scenario) -> None:
    """Check that the client sends no credentials to another origin after a redirect.

    The other origin is a second broker with the same credentials. So the client ends well if it
    sends them there, and no error hides the request. Every status of a redirect is tried.
    """

    def run_case(status: int, operation: str) -> Situation:
        with (
            scenario.run.brokers.at_another_origin(_CREDENTIALS) as other_broker,
            scenario.session(
                credentials=_CREDENTIALS, elsewhere=[clauses.cache.ISOLATION]
            ) as session,
        ):
            session.broker.script(Fault.redirect(other_broker.token_url, status).times(_UNLIMITED))
            session.record(fault_step(Fault.redirect(other_broker.token_url, status)))
            # A client may retry without end. What the other origin received counts all the same.
            with contextlib.suppress(ClientHung, TooManyRequests):
                session.use(operation)
            if not session.trace.token_requests:
                raise NotTested("the client sent no token request")
            # The other origin is a broker too, so the client succeeds there, and no error hides the
            # request.
            taken = [
                e.request
                for e in other_broker.journal
                if carries_credentials(e.request, session.credentials)
            ]
            if taken:
                session.record(reached_step(other_broker, taken[0], "credentials"))
                session.breach(
                    "the client sent its credentials on to another origin",
                    "an error, or the redirect followed without them",
                    session.trace.token_requests,
                )
            return Situation.MET

    # 307 and 308 keep method and body, so HTTP libraries send credentials in the body again (RFC
    # 9700, 4.12).
    scenario.for_each([301, 302, 303, 307, 308], run_case)
    # After the cases: a breach needs no control, only a client that passes does.
    scenario.needs_control()


@pytest.mark.contract_clause(clauses.secrecy.FILES)
def test_files(scenario: Scenario) -> None:
    """Check that other users cannot read the client's files, under umask 022.

    The client's folders are searched for files that group or others can read. Folders that others
    cannot enter protect what they contain.
    """

    def run_case(uses: int, operation: str) -> Situation:
        with scenario.session(credentials=_CREDENTIALS) as session:
            for _ in range(uses):
                session.use_well(operation)
            secrets = {
                *(token.encode() for token in session.broker.token_issued_values),
                *(form.encode() for form in secret_forms(session.credentials)),
            }
            for path, mode in _readable_files(scenario.run.sandbox.folders):
                if _holds(path, secrets):
                    session.breach(
                        f"the file {path.name} holds a secret or a token, and its mode is "
                        f"{mode:04o}",
                        "mode 0600, or no such file",
                    )
            return Situation.MET

    scenario.for_each([2], run_case)


def _readable_files(folders: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """Return the files that other users can reach and read, with their modes."""
    for folder in folders:
        for entry in _entries(folder):
            # A link of the client may lead to files of the user, which are not the client's.
            if entry.is_symlink() or not entry.exists():
                continue
            mode = stat.S_IMODE(entry.stat().st_mode)
            if entry.is_file() and mode & (stat.S_IRGRP | stat.S_IROTH):
                yield entry, mode
            elif entry.is_dir() and mode & (stat.S_IXGRP | stat.S_IXOTH):
                yield from _readable_files([entry])


def _entries(folder: Path) -> list[Path]:
    """Return the entries of a folder; none if it is missing or locked."""
    try:
        return sorted(folder.iterdir())[:_MAX_FILES]
    except OSError:
        return []


def _holds(path: Path, secrets: Iterable[bytes]) -> bool:
    try:
        with path.open("rb") as file:
            content = file.read(_BIGGEST_FILE)
    except OSError:  # the client removed it meanwhile
        return False
    return any(secret in content for secret in secrets)
