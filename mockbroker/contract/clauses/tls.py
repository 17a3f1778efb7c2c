"""Chapter ``tls``: verification of the broker's certificate by the client."""

from __future__ import annotations

from mockbroker.contract.clause import Clause, Impact, Level, rfc

__all__ = ["CLAUSES", "VERIFY"]

# RFC 6750, 5.3: "The client MUST validate the TLS certificate chain when making requests to
# protected resources." RFC 6749, 10.9 says the same of the authorization server.
VERIFY = Clause(
    id="tls.verify",
    level=Level.MUST,
    impact=Impact.SECURITY,
    title="refuses a broker whose certificate it has no reason to trust (control: trusts the given "
    "CA)",
    sources=(rfc(6750, "5.3"), rfc(6749)),
    consequence="anyone on the network path can pose as the broker and read the secret",
    why="Without certificate verification, anyone on the network path can read the secret.",
    fix="Leave verification on (`verify=True`). Pass a private CA as a file instead of switching "
    "verification off.",
)

CLAUSES = (VERIFY,)
