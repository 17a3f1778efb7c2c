"""The page clients.md: the behaviour of real clients, each checked at a pinned version.

`tox -e clients` installs the clients that pip and npm provide, and runs this module. The README of
examples/drivers says how to install the others. Name clients to check only those; the page keeps
the stored reports on the rest. Without names, all are checked. `python -m evidence` writes the page
from the stored reports, without a check.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from evidence.files import CHECKOUT, DOCS, write_json, write_text
from evidence.pages.client_breaches import WHY_IT_COUNTS
from evidence.verdicts import StoredVerdicts, clauses_of
from mockbroker.contract import clauses
from mockbroker.contract.catalogue import CATALOGUE, CATALOGUE_VERSION
from mockbroker.contract.clause import Clause
from mockbroker.model.profile import AUTOGRAB, PROFILES, RFC6749
from mockbroker.report.document import ReportDocument, read_document
from mockbroker.report.finding import Verdict

__all__ = ["CLIENTS", "PAGE", "ClientReport", "main", "page", "read_reports"]

PAGE = DOCS / "clients.md"
_REPORTS = Path(__file__).with_name("client_reports.json")
_EXAMPLES = 25
_BUDGET_SECONDS = 1800
_JAVA = 'java -cp "examples/drivers/java/target/dependency/*" examples/drivers/java/Driver.java'


@dataclass(frozen=True)
class CheckedClient:
    """A client to check: the target of its factory, or the command of its driver.

    ``profile`` is the one whose encoding of credentials the client has; all are shipped.
    ``examples`` is smaller for a client whose operations are slow.
    """

    language: str
    target: str = ""
    command: str = ""
    distribution: str = ""
    profile: str = AUTOGRAB.name
    examples: int = _EXAMPLES

    def arguments(self) -> list[str]:
        """Return the arguments of `mockbroker check` that name the client and how to check it."""
        client = ["--exec", self.command] if self.command else [self.target]
        limits = ["--examples", str(self.examples), "--budget", str(_BUDGET_SECONDS)]
        return [*client, "--profile", self.profile, *limits]


CLIENTS: dict[str, CheckedClient] = {
    "requests-oauthlib": CheckedClient(
        "Python", "examples/third_party/requests_oauthlib_client.py", "", "requests-oauthlib"
    ),
    "Authlib, requests": CheckedClient(
        "Python", "examples/third_party/authlib_client.py", "", "authlib"
    ),
    "Authlib, httpx": CheckedClient(
        "Python", "examples/third_party/authlib_httpx_client.py", "", "authlib"
    ),
    "requests_oauth2client": CheckedClient(
        "Python",
        "examples/third_party/requests_oauth2client_client.py",
        "",
        "requests_oauth2client",
    ),
    "requests-auth": CheckedClient(
        "Python", "examples/third_party/requests_auth_client.py", "", "requests-auth"
    ),
    "httpx-auth": CheckedClient(
        "Python", "examples/third_party/httpx_auth_client.py", "", "httpx-auth"
    ),
    "openfga-sdk": CheckedClient(
        "Python", "examples/third_party/openfga_sdk_client.py", "", "openfga-sdk"
    ),
    "mcp": CheckedClient(
        "Python", "examples/third_party/mcp_client.py", "", "mcp", profile=RFC6749.name
    ),
    "@badgateway/oauth2-client": CheckedClient(
        "Node.js", command="node examples/drivers/node/badgateway_oauth2_client.mjs"
    ),
    "openid-client": CheckedClient(
        "Node.js", command="node examples/drivers/node/openid_client.mjs"
    ),
    "simple-oauth2": CheckedClient(
        "Node.js", command="node examples/drivers/node/simple_oauth2.mjs"
    ),
    "golang.org/x/oauth2": CheckedClient("Go", command="examples/drivers/go/driver"),
    "oauth2": CheckedClient("Ruby", command="ruby examples/drivers/ruby/driver.rb"),
    "google-oauth-client": CheckedClient("Java", command=_JAVA),
    "LWP::Authen::OAuth2": CheckedClient("Perl", command="perl examples/drivers/perl/driver.pl"),
    # Each operation starts several programs: 25 examples take more than half an hour.
    "curl in a script": CheckedClient(
        "bash", command="bash examples/drivers/curl/driver.sh", examples=5
    ),
}
"""The clients of the page, in its order."""


class ClientReport(StoredVerdicts, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The stored report on a client. ``measured`` is that of the JSON report."""

    measured: dict[str, Any]

    @property
    def failed(self) -> list[Clause]:
        """The clauses of the current catalogue that make a check fail, in order."""
        return self.clauses_with(_FATAL)

    def clauses_with(self, verdicts: Collection[Verdict]) -> list[Clause]:
        """Return the clauses of the current catalogue with one of these verdicts, in order."""
        return [clause for clause in CATALOGUE if self.verdicts.get(clause.id) in verdicts]


def read_reports() -> dict[str, ClientReport]:
    """Return the stored report on each client, by its name, in the order of the page."""
    stored = msgspec.json.decode(_REPORTS.read_bytes(), type=dict[str, ClientReport])
    return {name: stored[name] for name in CLIENTS if name in stored}


def check(client: CheckedClient) -> ClientReport:
    """Check a client and return the report. Raises RuntimeError if it cannot be checked here."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "report.json")
        command = [sys.executable, "-m", "mockbroker", "check", *client.arguments()]
        command += ["--json", str(file)]
        done = subprocess.run(  # noqa: S603 - our own program
            command, cwd=CHECKOUT, capture_output=True, text=True, check=False
        )
        if not file.is_file() or done.returncode not in {0, 1}:
            raise RuntimeError(f"{shlex.join(command)}\n{done.stdout[-2000:]}{done.stderr}")
        return _stored(client, read_document(file))


def _stored(client: CheckedClient, document: ReportDocument) -> ClientReport:
    released = version(client.distribution) if client.distribution else document.client.version
    return ClientReport(
        version=released,
        catalogue=CATALOGUE_VERSION,
        measured=document.measured,
        verdicts={row.id: row.verdict for row in document.clauses},
    )


def page(reports: Mapping[str, ClientReport]) -> str:
    """Return the page, in Markdown."""
    parts = [_heading(), _habits(reports), _clauses(reports), _why(reports), _how()]
    return "\n".join(line for part in parts for line in part) + "\n"


def _heading() -> Iterator[str]:
    yield "# Real clients"
    yield ""
    yield "This page has the behaviour of widely used clients at the versions below, as"
    yield f"`mockbroker check --examples {_EXAMPLES}` reports it. A library leaves much to its"
    yield "user. Some breaches come from the code around the library; the"
    yield "[notes on each client](#where-the-notes-are) say which. A breach does not make a library"
    yield "a bad one: the profile is that of one vendor, except for `mcp`. That client encodes its"
    yield "credentials as RFC 6749 says, and is checked with `--profile rfc6749`. The script with"
    yield f"curl is slow, and is checked with `--examples {CLIENTS['curl in a script'].examples}`."


def _habits(reports: Mapping[str, ClientReport]) -> Iterator[str]:
    columns = ["client", "Basic encoding", "leeway", "requests in a burst of 8"]
    columns += ["attempts on 503", "gives up after (configured 0.2 s)", "secret when redirected"]
    yield from ("", "## Habits", "")
    yield f"| {' | '.join(columns)} |"
    yield "|-" * len(columns) + "|"
    for name, report in reports.items():
        facts = report.measured
        cells = [
            f"{name} {report.version} ({CLIENTS[name].language})",
            _authentication(facts),
            _leeway(facts),
            str(facts.get("burst_token_requests", "-")),
            str(facts.get("attempts_on_503", "-")),
            _timeout(report),
            _when_redirected(report),
        ]
        yield f"| {' | '.join(cells)} |"


def _authentication(facts: Mapping[str, Any]) -> str:
    if facts.get("client_authentication") == "post":
        return "none: in the body"
    return str(facts.get("basic_encoding", "-"))


def _leeway(facts: Mapping[str, Any]) -> str:
    if facts.get("leeway_kind") == "none":
        return "none"
    ends = [f"{end:g}" for end in dict.fromkeys(facts.get("leeway_seconds", ()))]
    return f"{' to '.join(ends)} s, {facts['leeway_kind']}" if ends else "-"


def _timeout(report: ClientReport) -> str:
    if "timeout_seconds" in report.measured:
        return f"{report.measured['timeout_seconds']:g} s"
    return "never" if report.breaches(clauses.errors.TIMEOUT) else "-"


def _when_redirected(report: ClientReport) -> str:
    if report.breaches(clauses.secrecy.REDIRECT):
        return "sent to the other origin"
    passed = report.verdicts.get(clauses.secrecy.REDIRECT.id) is Verdict.PASSED
    return "not sent" if passed else "-"


_FATAL = (Verdict.FAILED, Verdict.HANG, Verdict.CRASH)
_NOT_JUDGED = (Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE)


def _clauses(reports: Mapping[str, ClientReport]) -> Iterator[str]:
    yield from ("", "## What does not pass", "")
    yield "A client passes every other clause that applies to its profile. *Never tried* are the"
    yield "clauses that were added to the catalogue after the client was checked; now it has"
    yield f"{len(CATALOGUE)}, of which {len(clauses_of(AUTOGRAB))} apply to `{AUTOGRAB.name}`."
    yield from ("", "| client | fails | advice | not judged | never tried |", "|-|-|-|-|-|")
    for name, report in reports.items():
        profile = PROFILES[CLIENTS[name].profile]
        not_judged = report.clauses_with(_NOT_JUDGED)
        columns = [
            report.failed,
            report.clauses_with((Verdict.ADVICE,)),
            [clause for clause in not_judged if not clause.applies_to(profile)],
            report.never_tried(profile),
        ]
        yield f"| {name} | {' | '.join(map(_listed, columns))} |"


def _why(reports: Mapping[str, ClientReport]) -> Iterator[str]:
    yield from ("", "## Why the failures count", "")
    yield "What the maintainers of each client would have to fix, and where the profile's vendor is"
    yield "the cause."
    yield from ("", "| client | clause | why |", "|-|-|-|")
    for name, report in reports.items():
        for clause in report.failed:
            # A breach that a check has just found has no sentence yet; a test asks for it.
            why = WHY_IT_COUNTS.get(name, {}).get(clause, "-")
            yield f"| {name} | {_listed([clause])} | {why} |"


def _listed(chosen: Collection[Clause]) -> str:
    return ", ".join(f"[`{clause.id}`](clauses/{clause.id}.md)" for clause in chosen) or "-"


def _how() -> Iterator[str]:
    yield from ("", "## Where the notes are", "")
    yield "The notes describe each client and the causes of its breaches: the"
    yield "[clients in Python](examples.md) and [the others](example-drivers.md)."
    yield "`tox -e clients` checks them all and writes this page."


def main() -> None:
    """Check the named clients, or all, and write the reports and the page after each."""
    reports = read_reports()
    for name in sys.argv[1:] or CLIENTS:
        reports[name] = check(CLIENTS[name])
        write_json(_REPORTS, reports)
        write_text(PAGE, page(read_reports()))


if __name__ == "__main__":
    main()
