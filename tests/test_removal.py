"""Folders are removed however deep they are, and nothing that they link to."""

from __future__ import annotations

import os

import pytest

from mockbroker_contract.drivers.removal import remove, remove_tree


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_a_deep_folder_is_removed(root, monkeypatch):
    os.chdir(root)
    for _ in range(2000):
        os.mkdir("folder")  # noqa: PTH102 - a Path would be longer than the system takes
        os.chdir("folder")
    os.chdir(root.parent)
    remove_tree(root)
    assert not root.exists()


def test_links_are_not_followed(root):
    kept = root.parent / "kept"
    kept.mkdir(mode=0o700)
    (kept / "file").write_text("kept")
    (root / "below").mkdir()
    (root / "link").symlink_to(kept)
    (root / "below" / "link").symlink_to(kept)
    remove_tree(root)
    assert not root.exists()
    assert (kept / "file").read_text() == "kept"


def test_a_locked_folder_is_removed(root):
    (root / "locked" / "below").mkdir(parents=True)
    (root / "locked" / "below").chmod(0)
    (root / "locked").chmod(0)
    remove_tree(root)
    assert not root.exists()


def test_a_folder_that_is_gone_is_no_error(root):
    remove_tree(root / "gone")


def test_a_file_a_link_and_a_folder_are_removed_alike(root):
    (root / "file").write_text("x")
    (root / "link").symlink_to(root)
    (root / "folder" / "below").mkdir(parents=True)
    for name in ("file", "link", "folder", "gone"):
        remove(root / name)
    assert list(root.iterdir()) == []
