"""The guard of a client's writes, in processes of their own: it cannot be removed again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mockbroker_contract.drivers.host.guard import has_landlock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guards are those of Linux")

START = """
import json, os, shutil, sys, subprocess
from pathlib import Path
from mockbroker_contract.drivers.host.guard import WriteGuard, restrict_writes
own, other, coverage = map(Path, sys.argv[1:4])
add_hook = sys.addaudithook

def add_traced_hook(hook):
    def traced_hook(*event):
        hook(*event)

    # Without this attribute Python traces no audit hook, and coverage sees nothing of it.
    traced_hook.__cantrace__ = True
    add_hook(traced_hook)

sys.addaudithook = add_traced_hook

def tries(*actions):
    outcomes = []
    for action in actions:
        try:
            action()
            outcomes.append("done")
        except OSError as error:
            outcomes.append(os.strerror(error.errno))
    print(json.dumps(outcomes))
"""


def run(code: str, folder: Path) -> list[str]:
    """What became of each action; ``own`` and ``other`` are folders below ``folder``."""
    own, other = folder / "own", folder / "other"
    for each in (own, other):
        each.mkdir(exist_ok=True)
        (each / "file").write_text("text")
    # Coverage may be measured in the process, and writes its data at the end.
    coverage = Path(os.environ.get("COVERAGE_FILE", folder / "coverage" / "data")).parent
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", START + code, own, other, coverage],
        cwd=other,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    outcomes: list[str] = json.loads(done.stdout)
    return outcomes


DENIED = "Permission denied"
GUARD = (
    "measured = (str(coverage), str(other / 'measured'))\n"
    "guard = WriteGuard([own], lambda path: path.startswith(measured)); guard.install()\n"
)


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        ("(own / 'new').write_text('x')", "done"),
        ("Path('/dev/null').write_text('x')", "done"),
        ("(other / 'file').read_text()", "done"),
        ("(other / 'file').write_text('x')", DENIED),
        ("Path('new').write_text('x')", DENIED),
        ("open(b'new', 'ab')", DENIED),
        ("(own / '..' / 'other' / 'file').chmod(0o600)", DENIED),
        ("(other / 'made').mkdir()", DENIED),
        ("(other / 'file').unlink()", DENIED),
        ("(own / 'file').rename(other / 'moved')", DENIED),
        ("(own / 'link').symlink_to(other / 'file')", "done"),
        ("(other / 'link').symlink_to(own)", DENIED),
        ("os.link(own / 'file', other / 'hard')", DENIED),
        ("os.utime(other)", DENIED),
        ("os.utime(f'{other}/.')", DENIED),
        ("(other / 'measured').write_text('x')", "done"),
        ("os.truncate(other / 'file', 0)", DENIED),
        ("os.truncate(os.open(other / 'file', os.O_RDONLY), 0)", DENIED),
        ("os.chmod('file', 0o600, dir_fd=os.open(own, os.O_RDONLY))", "done"),
        ("os.chmod('file', 0o600, dir_fd=os.open(other, os.O_RDONLY))", DENIED),
        ("(other / 'no' / 'such' / 'file').write_text('x')", "No such file or directory"),
    ],
)
def test_python_code_may_change_its_own_folders_only(tmp_path, action, outcome):
    assert run(f"{GUARD}tries(lambda: {action})", tmp_path) == [outcome]


def test_a_link_is_judged_by_where_it_leads(tmp_path):
    actions = "lambda: (own / 'l').symlink_to(other / 'file'), lambda: (own / 'l').write_text('x')"
    assert run(f"{GUARD}tries({actions})", tmp_path) == ["done", DENIED]


def test_a_folder_whose_path_is_too_long_for_the_kernel_has_its_own_errors(tmp_path):
    code = (
        "def write():\n"
        "    os.chdir(own)\n"
        "    for _ in range(20):\n"
        "        os.mkdir('x' * 250)\n"
        "        os.chdir('x' * 250)\n"
        "    Path('file').write_text('x')\n"
        "tries(write, lambda: (other / 'file').write_text('x'))\n"
    )
    assert run(GUARD + code, tmp_path) == ["done", DENIED]


def test_what_was_rejected_is_recorded_once_and_bounded(tmp_path):
    code = (
        "for number in [*range(50), 0]:\n"
        "    try: (other / str(number)).write_text('x')\n"
        "    except PermissionError: pass\n"
        "print(json.dumps([len(guard.refused), guard.refused[0] == str(other / '0')]))"
    )
    assert run(GUARD + code, tmp_path) == [20, True]


def test_a_process_without_descriptors_is_guarded_all_the_same(tmp_path):
    code = (
        "import resource\n"
        "limit = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, limit[1]))\n"
        "tries(lambda: os.chmod(other / 'file', 0o600), lambda: os.chmod(own / 'file', 0o600))\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, limit)\n"
    )
    assert run(GUARD + code, tmp_path) == [DENIED, "done"]


@pytest.mark.skipif(not has_landlock(), reason="the kernel has no Landlock")
def test_landlock_binds_programs_too(tmp_path):
    code = (
        "assert restrict_writes([own, coverage])\n"
        "def touch(path): \n"
        "    if subprocess.run(['sh', '-c', f'echo x > {path}'], stderr=-3).returncode:\n"
        "        raise PermissionError(13, 'no')\n"
        "tries(lambda: touch(own / 'new'), lambda: touch(other / 'new'),\n"
        "      lambda: touch('/dev/null'), lambda: (own / 'new').rename(own / 'newer'))\n"
    )
    assert run(code, tmp_path) == ["done", DENIED, "done", "done"]
