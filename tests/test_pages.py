"""Every block of shell and Python on a page runs as it is pasted, in a fresh environment."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from mockbroker.broker.profiles import profile_named
from tests.environments import clean_environment, environment_with_wheel, run

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "docs" / "findings" / "README.md",
    ROOT / "examples" / "README.md",
    ROOT / "examples" / "drivers" / "README.md",
]
FIRST_PAGES = ("README.md", "docs/offline.md", "docs/control-api.md")
"""What every newcomer pastes."""
NOT_TO_BE_RUN = {"eval-rst", "toctree", "literalinclude", "include", "text"}
"""Sphinx's directives, and what is shown only."""
PORT_OF_SERVE = 8080

ACME = "from examples.model_client import make_client\n"
SYNC = 'import os; print("the app has", os.environ["AUTH_URL"])\n'


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the page and line where it begins."""

    language: str
    text: str
    page: str
    line: int


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```\{?([a-z-]+)\}?.*\n((?:.*\n)*?)```$", text, re.MULTILINE):
        line = text[: found.start()].count("\n") + 1
        yield Block(found[1], found[2], page.relative_to(ROOT).as_posix(), line)


@dataclass(frozen=True)
class Place:
    """A folder in which a page's blocks run one after the other, with programs found first."""

    folder: Path
    programs: Path | None = None

    def environment(self) -> dict[str, str]:
        clean = clean_environment()
        if self.programs is None:
            return clean
        return {**clean, "PATH": os.pathsep.join([str(self.programs), clean["PATH"]])}

    @property
    def python(self) -> str:
        return str((self.programs or self.folder / ".venv" / "bin") / "python")

    def shell(self, text: str, status: int = 0) -> str:
        # In a file each, as a terminal would: a broker in the background holds no pipe of ours.
        output = self.folder / "output.txt"
        with output.open("w", encoding="utf-8") as file:
            done = subprocess.run(  # noqa: S603 - our own pages
                ["bash", "-c", text],  # noqa: S607
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=600,
                check=False,
            )
        shown = output.read_text(encoding="utf-8")
        assert done.returncode == status, shown
        return shown


class Step(Protocol):
    """What is done with a block in its place."""

    def __call__(self, place: Place, text: str) -> None: ...


def pasted(place: Place, text: str, *, status: int = 0, shows: tuple[str, ...] = ()) -> None:
    shown = place.shell(text, status)
    for words in shows:
        assert words in shown


def script(place: Place, text: str) -> None:
    (place.folder / "pasted.py").write_text(text, encoding="utf-8")
    place.shell(f"{place.python} pasted.py")


def saved(place: Place, text: str, *, name: str, then: str = "") -> None:
    (place.folder / name).write_text(text, encoding="utf-8")
    if then:
        place.shell(then)


def as_tests(place: Place, text: str) -> None:
    saved(place, text, name="test_pasted.py", then=f"{place.python} -m pytest test_pasted.py")


def as_unapplied(place: Place, text: str) -> None:
    """Run tests that script faults and send no request, without the warning about that."""
    options = "-W ignore::mockbroker.UnappliedFaultWarning"
    then = f"{place.python} -m pytest {options} test_pasted.py"
    saved(place, text, name="test_pasted.py", then=then)


def in_a_fleet(place: Place, text: str) -> None:
    """Run a test of an app that reads its settings when it is imported, with that ini file."""
    (place.folder / "fleet").mkdir()
    app = 'import os\nTOKEN_URL = os.environ["FLEET_TOKEN_URL"]\n'
    test = (
        "import fleet\ndef test_it(auth_broker): assert fleet.TOKEN_URL == auth_broker.token_url\n"
    )
    for name, content in {"pytest.ini": text, "fleet.py": app, "test_fleet.py": test}.items():
        (place.folder / "fleet" / name).write_text(content, encoding="utf-8")
    place.shell(f"cd fleet && {place.python} -m pytest")


def served(place: Place, text: str) -> None:
    """Run it until it prints its curl command; that works; then Ctrl-C ends it."""
    process = subprocess.Popen(  # noqa: S603 - our own pages
        ["bash", "-c", f"exec {text}"],  # noqa: S607
        cwd=place.folder,
        env=place.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with contextlib.closing(process.stdout):
        command = next(line for line in process.stdout if "curl" in line)
        try:
            assert "access_token" in place.shell(command)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def beside_serve(place: Place, text: str, *, shows: tuple[str, ...] = ()) -> None:
    """Run it while the broker of the page's first block runs."""
    process = subprocess.Popen(
        ["bash", "-c", "exec mockbroker serve --client shop:s3cret"],  # noqa: S607
        cwd=place.folder,
        env=place.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with contextlib.closing(process.stdout):
        try:
            assert any("curl" in line for line in process.stdout)
            pasted(place, text, shows=shows)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def configured(place: Place, text: str, *, profile: str) -> None:
    saved(place, text, name="pyproject.toml")
    assert profile_named(profile, directory=place.folder).name == profile


def recipe(place: Place, text: str) -> None:
    """Run the commands of ours that a file for another program holds, with few examples."""
    joined = re.sub(r"\n +(?=--)", " ", text)
    commands = re.findall(r"mockbroker check .*", joined)
    assert commands
    for command in commands:
        few = f"{command.replace('{posargs}', '')} --examples 2"
        place.shell(f"GITHUB_STEP_SUMMARY=summary.md; {few}")


@dataclass(frozen=True)
class NotRun:
    """Why a block cannot be run."""

    why: str


def check(*shows: str) -> Step:
    return partial(pasted, shows=("✓ CONFORMS at level MUST", *shows))


OWN_CLIENT = ".venv/bin/mockbroker check acme.py:make_client"
"""What the README tells beside the block that holds a client, in full there."""
PLANS: dict[str, list[Step | NotRun]] = {
    "README.md": [
        check(),
        partial(saved, name="acme.py", then=f"{OWN_CLIENT} --examples 10"),
        NotRun("CI runs it, word for word, and this test in it"),
        partial(saved, name="test_sync.py", then=".venv/bin/python -m pytest test_sync.py"),
    ],
    "docs/index.md": [
        pasted,
        partial(pasted, shows=("invalid_client", "line feed")),
        partial(saved, name="test_expiry.py"),
        partial(pasted, shows=("1 passed",)),
        check(),
    ],
    "docs/in-tests.md": [as_tests, as_tests, in_a_fleet, as_unapplied, script],
    "docs/judging.md": [
        partial(pasted, status=1, shows=("✗ DOES NOT CONFORM",)),
        partial(pasted, shows=("NOTHING FAILED",)),
    ],
    "docs/ci.md": [
        recipe,
        NotRun("GitHub runs it; tests/test_shared_files.py runs the steps of the action"),
        recipe,
        recipe,
        recipe,
        NotRun("pre-commit runs it; tests/test_shared_files.py reads the hook that it names"),
        partial(pasted, shows=("CONFORMS at level MUST",)),
        partial(saved, name="pytest.ini", then="pytest --pyargs mockbroker_contract"),
        partial(pasted, shows=("Wrote known.toml",)),
    ],
    "docs/offline.md": [
        served,
        partial(pasted, status=1, shows=("request.grant-type",)),
        partial(pasted, status=5, shows=("the app has http://127.0.0.1", "NOTHING WAS TESTED")),
        partial(configured, profile="acme"),
    ],
    "docs/workers.md": [
        NotRun("it needs a Redis; tests/broker/test_workers.py runs the same command"),
        NotRun("it needs a Redis; tests/broker/test_workers.py runs the same command"),
        NotRun("it needs Docker"),
        NotRun("it needs a Redis; tests/broker/test_shared_state.py does the same"),
        NotRun("it shows a response"),
    ],
    "docs/control-api.md": [
        served,
        partial(beside_serve, shows=("503", '"times":1', '"description":"reset"')),
        partial(beside_serve, shows=('"state":"expired"', '"seconds_left":0.0')),
        partial(
            beside_serve,
            shows=('"fits":1', '"error":"unmet"', "the method is POST, not GET", "no violation"),
        ),
        partial(beside_serve, shows=("event: hello",)),
        partial(pasted, shows=('"iso":',)),
    ],
    "docs/drivers.md": [NotRun("it needs a driver that the reader has yet to write, for Node.js")],
    "examples/README.md": [script],
}
WITHIN_A_CLONE = ("README.md", "docs/index.md")
"""Pages that begin with an empty clone and set up the rest themselves."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_there_is_a_plan_for_every_block(page):
    blocks = [block for block in blocks_of(page) if block.language not in NOT_TO_BE_RUN]
    plan = PLANS.get(page.relative_to(ROOT).as_posix(), [])
    assert len(plan) == len(blocks), [f"{block.page}:{block.line}" for block in blocks]


def clone(folder: Path) -> Path:
    """The files that a clone of the repository as it is now would have."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def programs(distributions, tmp_path_factory) -> Path:
    """The programs of an environment with the wheel, in which pages may install more."""
    # One for each worker: pip must not install into the same environment twice at a time.
    name = f"pages-{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}"
    return environment_with_wheel(distributions, name, tmp_path_factory)


def place_for(page: str, folder: Path, programs: Path) -> Place:
    if page in WITHIN_A_CLONE:
        return Place(clone(folder))
    shutil.copytree(ROOT / "examples", folder / "examples")
    for name, text in {"acme/tokens.py": ACME, "acme/sync.py": SYNC}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return Place(folder, programs)


def is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="there is no repository to clone")
@pytest.mark.parametrize(
    "page",
    [
        # Several pages run whole checks: minutes that are spent in the whole proof.
        name if name in FIRST_PAGES else pytest.param(name, marks=pytest.mark.whole_proof)
        for name, plan in PLANS.items()
        if plan
    ],
)
def test_every_block_runs_as_pasted(page, tmp_path, programs):
    place = place_for(page, tmp_path, programs)
    blocks = [block for block in blocks_of(ROOT / page) if block.language not in NOT_TO_BE_RUN]
    for block, step in zip(blocks, PLANS[page], strict=True):
        if isinstance(step, NotRun):
            continue
        if str(PORT_OF_SERVE) in block.text or "mockbroker serve" in block.text:
            assert is_free(PORT_OF_SERVE), f"port {PORT_OF_SERVE}, which pages name, is taken"
        step(place, block.text)
