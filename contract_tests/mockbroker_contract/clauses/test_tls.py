"""Chapter ``tls``: which certificates the client trusts."""

from __future__ import annotations

import pytest

from mockbroker.contract import clauses
from mockbroker.fake_broker import Broker
from mockbroker.model.credentials import Credentials
from mockbroker.report.steps import CertificateShown
from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.outcome import Outcome
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.situation import Situation

_CREDENTIALS = Credentials("tls-client", "tls-s3cret")
# The address in the URL: a certificate has to name it (RFC 9110, 4.3.4 and 4.3.5).
_LOOPBACK = "127.0.0.1"
# A name that no real host can have (RFC 2606, 2).
_OTHER_HOST = "auth-broker.example"
_UNKNOWN = "is signed by an unknown authority"


@pytest.mark.contract_clause(clauses.tls.VERIFY)
def test_verify(scenario: Scenario) -> None:
    """Check that a broker with an untrusted certificate gets no credentials.

    An unknown authority, and a known one whose certificate names another host. The control is the
    same client and a certificate that it has every reason to trust.
    """

    def run_case(reason: str, operation: str) -> Situation:
        with (
            scenario.run.brokers.with_tls(_CREDENTIALS, _LOOPBACK) as broker,
            # The control comes first. A client that fails at every TLS connection proves nothing
            # about certificates.
            _session(scenario, broker, trusted=True) as control,
        ):
            _must_work_with_ca(control, operation)
        # Two reasons, as libraries check them apart: the signature, and the name. For the second
        # the CA is trusted.
        unknown = reason == _UNKNOWN
        name = _LOOPBACK if unknown else _OTHER_HOST
        with (
            scenario.run.brokers.with_tls(_CREDENTIALS, name) as broker,
            _session(scenario, broker, trusted=not unknown) as session,
        ):
            session.record(CertificateShown(host=name, is_trusted=not unknown))
            _must_refuse(session, session.use(operation), reason)
        return Situation.MET

    scenario.for_each([_UNKNOWN, f"is for {_OTHER_HOST}"], run_case)


def _session(scenario: Scenario, broker: Broker, *, trusted: bool) -> ClientSession:
    """Return a session with that broker; with ``trusted``, the client is given the broker's CA."""
    return scenario.session(credentials=_CREDENTIALS, broker=broker, trusts_broker=trusted)


def _must_refuse(session: ClientSession, outcome: Outcome, reason: str) -> None:
    """Raise the breach of the clause if a request arrived, or if the client raised nothing."""
    # The broker sees a request only if the client accepted the certificate.
    if outcome.exchanges:
        session.breach(
            f"the client sent a request, although the broker's certificate {reason}",
            "no request, and an error",
            outcome.exchanges,
        )
    if outcome.error is None:
        session.breach(
            "the client sent no request to the untrusted broker, and raised no error", "an error"
        )


def _must_work_with_ca(control: ClientSession, operation: str) -> None:
    """Check as a control that the same client works once every usual setting names the CA.

    The CA is given in the configuration and in the usual environment variables, as clients differ
    in what they read. Raises NotTested otherwise.
    """
    try:
        control.use_well(operation)
    except NotTested as obstacle:
        raise NotTested(
            f"with the CA given, {obstacle}; token requests and calls have to use the ca_file of "
            "the configuration"
        ) from None
