"""Removal of folders that a client has filled, at any depth."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

__all__ = ["remove", "remove_tree"]


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with its contents; skip what cannot be removed."""
    if _is_folder(path):
        remove_tree(path)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def remove_tree(root: Path) -> None:
    """Remove a folder and its contents without following links; skip what cannot be removed.

    `shutil.rmtree` calls itself for each level and fails at a thousand. Here the folders in a
    folder move up to the root, so that no path is longer than two names.

    Errors are suppressed, because the folder is temporary and a client may have changed anything in
    it. Not safe while a process of the client still runs.
    """
    names = map("{}.removed".format, itertools.count())
    with contextlib.suppress(OSError):
        while folders := [each for each in root.iterdir() if _is_folder(each)]:
            # A list, because every one of them must be tried.
            if not any([_dissolve(each, root, names) for each in folders]):  # noqa: C419
                return
        for each in root.iterdir():
            each.unlink()
        root.rmdir()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _dissolve(folder: Path, root: Path, names: Iterator[str]) -> bool:
    """Remove a folder and move its subfolders to the root; return whether that worked."""
    try:
        folder.chmod(0o700)  # a client may have locked it
        for each in folder.iterdir():
            if _is_folder(each):
                each.chmod(0o700)  # a folder that cannot be written cannot be moved either
                each.rename(root / next(names))
            else:
                # Files and links; of a link the link itself is removed, never its target.
                each.unlink()
        folder.rmdir()
    except OSError:
        return False
    return True
