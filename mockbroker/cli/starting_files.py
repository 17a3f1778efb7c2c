"""The files that `mockbroker init` writes, and which of them fits a project. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PROJECT_FILES", "STARTING_FILES", "Choice", "StartingFile", "choose"]


@dataclass(frozen=True)
class StartingFile:
    """File to begin with: its name, its template, what it is, and the steps that come next."""

    name: str
    template: str
    what: str
    steps: tuple[str, ...]


_CHECK = "mockbroker check mockbroker_client.py"
STARTING_FILES = {
    "requests": StartingFile(
        "mockbroker_client.py",
        "requests.py.txt",
        "a complete token client on requests, and make_client() for a check",
        (_CHECK,),
    ),
    "httpx": StartingFile(
        "mockbroker_client.py",
        "httpx.py.txt",
        "a complete asynchronous token client on httpx, and make_client() for a check",
        ("pip install httpx", _CHECK),
    ),
    "class": StartingFile(
        "mockbroker_client.py",
        "class.py.txt",
        "make_client() for a client of your own",
        ("edit the lines below each EDIT in mockbroker_client.py", _CHECK),
    ),
    "node": StartingFile(
        "mockbroker_driver.mjs",
        "node.mjs.txt",
        "a complete token client for Node.js, and its driver",
        ('mockbroker check --exec "node mockbroker_driver.mjs"',),
    ),
    "go": StartingFile(
        "mockbroker_driver/main.go",
        "go.txt",
        "a driver for golang.org/x/oauth2; put your client in its place",
        (
            "go get golang.org/x/oauth2",
            "go build -o driver ./mockbroker_driver",
            'mockbroker driver-test --exec "./driver"',
            'mockbroker check --exec "./driver"',
        ),
    ),
    "java": StartingFile(
        "MockbrokerDriver.java",
        "java.txt",
        "a driver for google-oauth-client; put your client in its place",
        (
            "add google-oauth-client and google-http-client-gson to the dependencies of your build",
            "mvn dependency:copy-dependencies",
            'mockbroker driver-test --exec "java -cp target/dependency/* MockbrokerDriver.java"',
            'mockbroker check --exec "java -cp target/dependency/* MockbrokerDriver.java"',
        ),
    ),
}
"""What can follow `--for`, and the file that it stands for."""

PROJECT_FILES = (
    "pyproject.toml",
    "requirements.txt",
    "requirements-dev.txt",
    "setup.cfg",
    "setup.py",
    "Pipfile",
    "package.json",
    "go.mod",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
)
"""The files by which a project shows what it is made with, the first that decides coming first."""
_LANGUAGES = {
    "package.json": "node",
    "go.mod": "go",
    "pom.xml": "java",
    "build.gradle": "java",
    "build.gradle.kts": "java",
}


@dataclass(frozen=True)
class Choice:
    """What fits a project: a key of `STARTING_FILES`, and the reason."""

    kind: str
    reason: str


def choose(project: Mapping[str, str]) -> Choice:
    """Return what fits a project, given the names and texts of its `PROJECT_FILES`.

    A library that a file of a Python project names decides, then the language.
    """
    python = [name for name in PROJECT_FILES if name in project and name not in _LANGUAGES]
    for library in ("requests", "httpx"):
        for name in python:
            if _names(project[name], library):
                return Choice(library, f"{name} names {library}")
    if python:
        return Choice("class", f"{python[0]} names neither requests nor httpx")
    for name, language in _LANGUAGES.items():
        if name in project:
            return Choice(language, f"there is a {name}")
    return Choice("requests", "no file says what the project is made with")


def _names(text: str, library: str) -> bool:
    """Return whether a requirement in the text is that library, not one that its name begins."""
    return bool(re.search(rf"(?:^\s*|[\"'])(?i:{library})(?![\w.-])", text, re.MULTILINE))
