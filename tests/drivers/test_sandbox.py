"""The folders and the environment of a client, and what is copied into them."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mockbroker_contract.drivers.failures import NotTested
from mockbroker_contract.drivers.sandbox import CA_VARIABLES, Sandbox
from mockbroker_contract.drivers.target import TargetError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the kit needs POSIX")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """The working directory, below the home directory of the user."""
    home = tmp_path / "home"
    project = home / "project"
    project.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def sandbox(project) -> Iterator[Callable[..., Sandbox]]:
    made: list[Sandbox] = []

    def make(*copies: str) -> Sandbox:
        made.append(Sandbox(copies))
        return made[-1]

    yield make
    for each in made:
        each.close()


def written(path: Path, text: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def files_below(folder: Path) -> set[str]:
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if not each.is_dir()}


def test_a_copy_is_where_its_original_is(sandbox, project, tmp_path):
    written(project / "settings" / "a.toml")
    written(project.parent / ".acme" / "b.toml")
    elsewhere = written(tmp_path / "elsewhere" / "c.toml")

    box = sandbox("settings/a.toml", "~/.acme", str(elsewhere))

    work, home, temporary = box.folders
    assert files_below(work) == {"settings/a.toml", "c.toml"}
    assert files_below(home) == {".acme/b.toml"}
    assert files_below(temporary) == set()
    assert (work / "c.toml").read_text() == "text"


def test_a_folder_is_copied_without_tools_and_without_links_that_lead_out_of_it(sandbox, project):
    data = project / "data"
    written(data / "a" / "file")
    for tool in (".git", "__pycache__", "venv"):
        written(data / tool / "file")
    outside = written(project / "outside" / "secret").parent
    (data / "inside").symlink_to("a")
    (data / "leads-out").symlink_to(outside)
    (data / "up").symlink_to("../outside")
    (data / "to-a-file").symlink_to(outside / "secret")
    (data / "dangling").symlink_to("gone")

    copy = sandbox("data").work / "data"

    assert files_below(copy) == {"a/file", "to-a-file"}
    assert not (copy / "to-a-file").is_symlink()
    assert (copy / "inside").readlink() == Path("a")


def test_a_user_without_a_home_directory_has_a_sandbox(sandbox, project, monkeypatch):
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    written(project / "a")
    monkeypatch.setattr(Path, "home", fail)
    assert files_below(sandbox("a").work) == {"a"}


def folders_left() -> set[Path]:
    return set(Path(os.environ["TMPDIR"]).iterdir())


@pytest.mark.parametrize(
    ("copied", "message"),
    [
        ("gone", "'gone', to be copied, does not exist; check --copy"),
        ("many", "'many' has more than 64 MiB or 2 files; name only what the client reads"),
        ("locked", "'locked' cannot be copied for the client: Permission denied"),
    ],
)
def test_what_cannot_be_copied_is_one_sentence_and_leaves_nothing(
    project, tmp_path, monkeypatch, copied, message
):
    def copy(source: Path, target: Path) -> None:
        if source.name == "locked":  # root may read anything
            raise PermissionError(13, "Permission denied")
        shutil.copyfile(source, target)

    for name in ("many/1", "many/2", "many/3", "locked"):
        written(project / name)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("mockbroker_contract.drivers.sandbox._MAX_COPIED_FILES", 2)
    monkeypatch.setattr(shutil, "copy2", copy)
    with pytest.raises(TargetError) as raised:
        Sandbox([copied])
    assert str(raised.value).startswith(message)
    assert folders_left() == set()


def test_folders_that_the_client_has_spoilt_are_made_again(sandbox, tmp_path):
    box = sandbox()
    work, home, temporary = box.folders
    work.rmdir()
    home.rmdir()
    written(home, "a file in its place")
    temporary.rmdir()
    temporary.symlink_to(tmp_path)

    box.restore()

    assert all(each.is_dir() and not each.is_symlink() for each in box.folders)
    assert [oct(each.stat().st_mode & 0o777) for each in box.folders] == ["0o755"] * 3
    assert tmp_path.is_dir()


def test_the_environment_names_the_sandbox_and_nothing_of_the_user(sandbox, monkeypatch):
    for name in ("XDG_CONFIG_HOME", "NETRC", "REQUESTS_CA_BUNDLE", "KEPT"):
        monkeypatch.setenv(name, "of the user")
    box = sandbox()
    environment = box.environment("/ca.pem")
    assert environment["HOME"] == str(box.folders[1])
    assert environment["PWD"] == str(box.work)
    assert environment["KEPT"] == "of the user"
    assert {environment[name] for name in CA_VARIABLES} == {"/ca.pem"}
    assert not environment.keys() & {"XDG_CONFIG_HOME", "NETRC"}
    assert not box.environment().keys() & {"REQUESTS_CA_BUNDLE"}


def test_a_file_in_home_is_private_and_leaves_what_was_there():
    with contextlib.closing(Sandbox()) as sandbox:
        netrc, own = sandbox.folders[1] / ".netrc", sandbox.folders[1] / ".own"
        own.write_text("copied", encoding="utf-8")
        with sandbox.file_in_home(".netrc", "x"), sandbox.file_in_home(".own", "x"):
            assert stat.S_IMODE(netrc.stat().st_mode) == 0o600
            assert (netrc.read_text(encoding="utf-8"), own.read_text(encoding="utf-8")) == (
                "x",
                "x",
            )
        assert not netrc.exists()
        assert own.read_text(encoding="utf-8") == "copied"


def test_a_file_in_home_that_a_client_blocks_leaves_the_clause_untested():
    with contextlib.closing(Sandbox()) as sandbox:
        (sandbox.folders[1] / ".netrc").mkdir()
        with (
            pytest.raises(NotTested, match=r"~/.netrc could not be written"),
            sandbox.file_in_home(".netrc", "x"),
        ):
            pytest.fail("the file was not in the way")
