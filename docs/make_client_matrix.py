"""Writes clients.md: what real clients do, each checked at the version that is pinned.

`tox -e clients` installs those that pip and npm install, and runs this; the README of
examples/drivers says how the others are installed. Clients that are named as arguments are checked
and the others kept as the page has them; without arguments, all are.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mockbroker.contract import clauses
from mockbroker.contract.catalogue import CATALOGUE

__all__ = ["CLIENTS", "main", "page"]

ROOT = Path(__file__).parents[1]
REPORTS = Path(__file__).with_name("client_reports.json")
EXAMPLES = "25"
_JAVA = 'java -cp "examples/drivers/java/target/dependency/*" examples/drivers/java/Driver.java'


@dataclass(frozen=True)
class Checked:
    """A client that is checked: by its factory, or by the command of its driver."""

    language: str
    target: str = ""
    command: str = ""
    distribution: str = ""

    def arguments(self) -> list[str]:
        """What `mockbroker check` is told."""
        return ["--exec", self.command] if self.command else [self.target]


CLIENTS: dict[str, Checked] = {
    "requests-oauthlib": Checked(
        "Python", "examples/third_party/requests_oauthlib_client.py", "", "requests-oauthlib"
    ),
    "Authlib, requests": Checked("Python", "examples/third_party/authlib_client.py", "", "authlib"),
    "Authlib, httpx": Checked(
        "Python", "examples/third_party/authlib_httpx_client.py", "", "authlib"
    ),
    "requests_oauth2client": Checked(
        "Python",
        "examples/third_party/requests_oauth2client_client.py",
        "",
        "requests_oauth2client",
    ),
    "requests-auth": Checked(
        "Python", "examples/third_party/requests_auth_client.py", "", "requests-auth"
    ),
    "httpx-auth": Checked("Python", "examples/third_party/httpx_auth_client.py", "", "httpx-auth"),
    "openfga-sdk": Checked(
        "Python", "examples/third_party/openfga_sdk_client.py", "", "openfga-sdk"
    ),
    "@badgateway/oauth2-client": Checked(
        "Node.js", command="node examples/drivers/node/badgateway_oauth2_client.mjs"
    ),
    "openid-client": Checked("Node.js", command="node examples/drivers/node/openid_client.mjs"),
    "simple-oauth2": Checked("Node.js", command="node examples/drivers/node/simple_oauth2.mjs"),
    "golang.org/x/oauth2": Checked("Go", command="examples/drivers/go/driver"),
    "oauth2": Checked("Ruby", command="ruby examples/drivers/ruby/driver.rb"),
    "google-oauth-client": Checked("Java", command=_JAVA),
    "LWP::Authen::OAuth2": Checked("Perl", command="perl examples/drivers/perl/driver.pl"),
    "curl in a script": Checked("bash", command="bash examples/drivers/curl/driver.sh"),
}
"""The clients of the page, in its order."""


def check(client: Checked) -> dict[str, Any]:
    """The report on a client. Raises RuntimeError if it cannot be checked here."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = ["--examples", EXAMPLES, "--json", str(report)]
        command = [sys.executable, "-m", "mockbroker", "check", *client.arguments(), *options]
        done = subprocess.run(  # noqa: S603 - our own program
            command, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if not report.is_file() or done.returncode not in {0, 1}:
            raise RuntimeError(f"{shlex.join(command)}\n{done.stdout[-2000:]}{done.stderr}")
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    told = found["client"]["version"]
    return {
        "version": version(client.distribution) if client.distribution else told,
        "measured": found["measured"],
        "verdicts": {
            row["id"]: row["verdict"] for row in found["clauses"] if row["verdict"] != "passed"
        },
    }


def page(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """The page, in Markdown."""
    return "\n".join([*_heading(), *_habits(reports), *_clauses(reports), *_how()]) + "\n"


def _heading() -> Iterator[str]:
    yield "# Real clients"
    yield ""
    yield "What clients do that the world uses, as `mockbroker check` saw it with `--examples"
    yield f"{EXAMPLES}`, at the versions told. A library leaves much to its user: where the lines"
    yield "around it are at fault, the [notes on each client](#where-the-notes-are) say so. None"
    yield "of this makes a library a bad one; the profile is one vendor's."


def _habits(reports: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    columns = ["client", "Basic encoding", "leeway", "requests in a burst of 8"]
    columns += ["attempts on 503", "gives up after (told 0.2 s)", "redirected, the secret"]
    yield from ("", "## Habits", "")
    yield f"| {' | '.join(columns)} |"
    yield "|-" * len(columns) + "|"
    for name, report in reports.items():
        facts, verdicts = report["measured"], report["verdicts"]
        cells = [
            f"{name} {report['version']} ({CLIENTS[name].language})",
            _authentication(facts),
            _leeway(facts),
            str(facts.get("burst_token_requests", "-")),
            str(facts.get("attempts_on_503", "-")),
            f"{facts['timeout_seconds']:g} s" if "timeout_seconds" in facts else _never(verdicts),
            {"failed": "goes along"}.get(verdicts.get(clauses.secrecy.REDIRECT.id, ""), "stays"),
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


def _never(verdicts: Mapping[str, str]) -> str:
    return (
        "never" if verdicts.get(clauses.errors.TIMEOUT.id) in {"advice", "failed", "hang"} else "-"
    )


def _clauses(reports: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield from ("", "## What does not pass", "", "| client | fails | advice | not judged |")
    yield "|-|-|-|-|"
    for name, report in reports.items():
        kinds = [("failed", "hang", "crash"), ("advice",), ("not-tested", "not-applicable")]
        cells = (_listed(report["verdicts"], kind) for kind in kinds)
        yield f"| {name} | {' | '.join(cells)} |"


def _listed(verdicts: Mapping[str, str], kinds: tuple[str, ...]) -> str:
    ids = [clause.id for clause in CATALOGUE if verdicts.get(clause.id) in kinds]
    return ", ".join(f"[`{each}`](clauses/{each}.md)" for each in ids) or "-"


def _how() -> Iterator[str]:
    yield from ("", "## Where the notes are", "")
    yield "What each client does, and whose fault it is, is told [for those in Python](examples.md)"
    yield "and [for the others](example-drivers.md). `tox -e clients` writes this page anew."


def main() -> None:
    """Check the clients that are named, or all, and write the page after each."""
    known = json.loads(REPORTS.read_text(encoding="utf-8")) if REPORTS.is_file() else {}
    for name in sys.argv[1:] or CLIENTS:
        known[name] = check(CLIENTS[name])
        reports = {each: known[each] for each in CLIENTS if each in known}
        _write(REPORTS, json.dumps(reports, indent=1, ensure_ascii=False) + "\n")
        _write(Path(__file__).with_name("clients.md"), page(reports))


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
