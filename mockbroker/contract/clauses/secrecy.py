"""Chapter ``secrecy``: places where the secret and the tokens must not appear.

Traffic alone does not show them, so these clauses have no judge; scenarios look for the values.
"""

from __future__ import annotations

from mockbroker.contract.clause import Clause, Impact, Level, rfc

__all__ = ["CLAUSES", "FILES", "REDIRECT", "SECRET", "TOKEN"]

SECRET = Clause(
    id="secrecy.secret",
    level=Level.SHOULD,
    impact=Impact.SECURITY,
    title="shows the client secret (raw or Base64) in no repr, exception, log record or output",
    sources=(rfc(6749, "10.1"),),
    consequence="the client secret appears in logs or error messages",
    why="Logs and error reports have many readers and are kept for years.",
    fix="Leave the secret out of repr, messages and log records. Do not put the request's headers "
    "or body into exceptions.",
)
# PRACTICE, where the secret is a SHOULD: a token expires soon, a secret often never.
TOKEN = Clause(
    id="secrecy.token",
    level=Level.PRACTICE,
    impact=Impact.SECURITY,
    title="shows access tokens in no repr, exception, log record or output",
    sources=(rfc(6750, "5.3"),),
    consequence="access tokens appear in logs or error messages",
    why="Anyone who reads a token can use it until it expires.",
    fix="Leave the token out of repr, messages and log records, also where they quote an answer.",
)
# RFC 9700, 4.12 describes the leak: with 307 a client repeats the POST, and its body, at the other
# origin.
REDIRECT = Clause(
    id="secrecy.redirect",
    level=Level.MUST,
    impact=Impact.SECURITY,
    title="does not resend credentials to another origin when the token endpoint redirects (301, "
    "302, 303, 307, 308)",
    sources=(rfc(9700, "4.12"),),
    consequence="a redirect gives the client secret to another site",
    why="Otherwise any site that the token endpoint, or an old domain of it, redirects to gets the "
    "client's secret.",
    fix="Do not follow redirects of the token endpoint (`allow_redirects=False`), and raise.",
)
FILES = Clause(
    id="secrecy.files",
    level=Level.SHOULD,
    impact=Impact.SECURITY,
    title="leaves no file with a secret or token that others can read (working directory, HOME, "
    "TMPDIR; umask 022)",
    sources=(rfc(6750, "5.3"),),
    consequence="other users of the machine can read the secret or the token",
    why="Other users of the machine can read files that have the usual permissions.",
    fix="Create the file with mode 0600 (`os.open(…, 0o600)`), in a folder of the user's own, or "
    "keep the token in memory.",
)

CLAUSES = (SECRET, TOKEN, REDIRECT, FILES)
