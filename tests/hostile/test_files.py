"""No write of a client reaches a file of the user's, whatever it opens."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLIENT = """
import os, pathlib, shutil, sqlite3, subprocess, sys, tempfile
from examples.model_client import TokenManager, make_client as model

HERE = pathlib.Path(__file__).parent
USER = pathlib.Path(os.environ["HOME_OF_THE_USER"])


def attempt(act):
    try:
        act()
    except Exception as error:
        print(type(error).__name__, error, file=sys.stderr)


def spoil():
    for place in (
        pathlib.Path.home() / ".azure" / "tokens.json",
        pathlib.Path.home() / "plain.json",
        pathlib.Path("data/tokens.json"),
        pathlib.Path("settings.toml"),
        HERE / "settings.toml",
        HERE / "data" / "tokens.json",
        USER / "plain.json",
        USER / ".azure" / "tokens.json",
        USER / "new.json",
    ):
        attempt(lambda: place.write_text("SPOILT"))
        attempt(lambda: place.open("a").write("SPOILT"))
        attempt(lambda: os.truncate(place, 0))
        attempt(lambda: os.close(os.open(place, os.O_RDWR | os.O_TRUNC)))
        attempt(lambda: os.chmod(place, 0o777))
        attempt(lambda: os.utime(place, (0, 0)))
        attempt(lambda: place.rename(place.with_suffix(".moved")))
        attempt(lambda: os.link(place, HERE / "link"))
        attempt(lambda: place.unlink())
        attempt(lambda: sqlite3.connect(place).execute("create table t (x)"))
        attempt(lambda: subprocess.run(["sh", "-c", f"echo SPOILT > '{place}'; rm -f '{place}'"]))
        attempt(lambda: shutil.copy(__file__, place))
        attempt(lambda: shutil.rmtree(place.parent))
        attempt(lambda: (place.parent / "folder").mkdir())
        attempt(lambda: os.symlink("/", place.parent / "symlink"))
    attempt(lambda: tempfile.NamedTemporaryFile(delete=False, dir=HERE))


def make_client(config):
    spoil()
    client = model(config)
    get_token = client.tokens.get_token
    client.tokens.get_token = lambda: (spoil(), get_token())[1]
    return client
"""


def contents(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Mode, time of change and hash of everything below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (stat.S_IMODE(status.st_mode), status.st_mtime_ns, digest)
    return found


@pytest.fixture
def user(tmp_path):
    """A home and a project, each with files that a client may find."""
    home, project = tmp_path / "home", tmp_path / "project"
    for folder in (home / ".azure", project / "data"):
        folder.mkdir(parents=True)
        (folder / "tokens.json").write_text("REAL")
    (home / "plain.json").write_text("REAL")
    (project / "settings.toml").write_text('name = "REAL"')
    (project / "client.py").write_text(CLIENT)
    return home, project


def run(user, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    home, project = user
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", *arguments],
        cwd=project,
        env={
            **os.environ,
            "HOME": str(home),
            "HOME_OF_THE_USER": str(home),
            "PYTHONPATH": str(ROOT),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


ONLY = ("--only", "response.documented,secrecy.files", "--examples", "1")


def test_a_client_that_writes_everywhere_changes_nothing(user, tmp_path):
    before = contents(tmp_path)
    done = run(user, "check", "client.py", *ONLY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(tmp_path) == before


def test_a_driver_that_writes_everywhere_changes_nothing(user, tmp_path):
    _, project = user
    driver = (ROOT / "examples" / "drivers" / "model_client.py").read_text()
    driver = driver.replace("parents[2]", "parent").replace(
        "from examples.model_client import TokenError, make_client",
        "from examples.model_client import TokenError\nfrom client import make_client",
    )
    (project / "driver.py").write_text(driver)
    before = contents(tmp_path)
    done = run(user, "check", "--exec", f"{sys.executable} driver.py", *ONLY)
    assert done.returncode == 0, done.stdout + done.stderr
    # Landlock leaves modes and times alone; Python's audit hook is not there for programs.
    kept = {path: digest for path, (_, _, digest) in before.items()}
    assert {path: digest for path, (_, _, digest) in contents(tmp_path).items()} == kept


READS = """
import pathlib
from examples.model_client import make_client as model


def make_client(config):
    assert "REAL" in pathlib.Path("settings.toml").read_text()
    assert "REAL" in pathlib.Path("data/tokens.json").read_text()
    assert "REAL" in (pathlib.Path.home() / "plain.json").read_text()
    for place in ("settings.toml", "data/tokens.json"):
        pathlib.Path(place).write_text("REAL, and changed")
    return model(config)
"""


def test_what_a_client_reads_is_copied_if_it_is_named(user, tmp_path):
    home, project = user
    (project / "client.py").write_text(READS)
    before = contents(tmp_path)
    without = run(user, "check", "client.py", *ONLY)
    assert without.returncode == 4
    assert "--copy" in without.stderr
    named = ("--copy", "settings.toml", "--copy", "data", "--copy", str(home / "plain.json"))
    done = run(user, "check", "client.py", *ONLY, *named)
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(tmp_path) == before


def test_what_cannot_be_copied_is_one_sentence(user):
    done = run(user, "check", "client.py", *ONLY, "--copy", "gone.toml")
    assert done.returncode == 4
    assert "'gone.toml', to be copied, does not exist" in done.stderr
    assert "Traceback" not in done.stderr


LINKS = """
import os, pathlib, shutil, tempfile
from examples.model_client import make_client as model


def make_client(config):
    for place in (pathlib.Path.home(), pathlib.Path(tempfile.gettempdir())):
        if not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
            place.symlink_to(os.environ["PRIVATE_FOLDER"])
    return model(config)
"""


def test_what_a_clients_folders_are_replaced_by_is_left_alone(user, tmp_path):
    home, project = user
    private = home / ".ssh"
    private.mkdir(mode=0o700)
    (project / "client.py").write_text(LINKS)
    before = contents(tmp_path)
    done = run(user, "check", "client.py", *ONLY, PRIVATE_FOLDER=str(private))
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(tmp_path) == before
