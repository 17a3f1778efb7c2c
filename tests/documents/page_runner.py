"""Running the blocks of a page one after the other, as a reader who pastes them would."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import yaml

from mockbroker.broker.profiles import profile_named
from tests.documents.blocks import Block, HiddenFile, Item, Place, Plan, plan_of
from tests.environments import clean_environment, run
from tests.processes import MARK, left_behind, new_mark

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["PageRunner"]

ROOT = Path(__file__).parents[2]
BLOCK_SECONDS = 300
NO_FAULT_IS_APPLIED = "-W ignore::mockbroker.UnappliedFaultWarning"


@dataclass
class _Server:
    """A block that runs until the end of its page, and what it has printed."""

    process: subprocess.Popen[str]
    reader: threading.Thread = field(init=False)
    lines: list[str] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        assert self.process.stdout is not None
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self.reader.start()

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self.lines.append(line)
                if "curl" in line:
                    self.ready.set()
        self.ready.set()

    def curl_command(self) -> str:
        assert self.ready.wait(30), "the server prints no curl command"
        found = [line for line in self.lines if "curl" in line]
        assert found, "".join(self.lines)
        return found[0]

    def stop(self) -> None:
        """End it as Ctrl-C does, and then what it started in the background."""
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            self.process.wait(30)
        self.reader.join(30)


class PageRunner:
    """The folders of a page, and the programs that its blocks find first.

    Use it as a context manager. At the end it stops the page's servers, and fails if a process of
    the page still runs.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder, self._programs = folder, programs
        self._place = "project"
        self._mark = new_mark()
        self._servers: list[_Server] = []
        self._output = ""
        (folder / "project").mkdir()

    def __enter__(self) -> PageRunner:
        return self

    def __exit__(self, *_: object) -> None:
        for server in reversed(self._servers):
            server.stop()
        assert left_behind(self._mark) == [], "processes that the page leaves behind"

    def do(self, item: Item) -> None:
        """Enter a place, write a hidden file, or do with a block what its plan is."""
        if isinstance(item, Place):
            self._enter(item.name)
        elif isinstance(item, HiddenFile):
            self._write(item.name, item.text)
        else:
            self._do_block(item)

    def _do_block(self, block: Block) -> None:
        steps: dict[Plan, Callable[[Block], None]] = {
            Plan.SAVE: self._save,
            Plan.OUTPUT: self._compare_output,
            Plan.SERVER: self._serve,
            Plan.COMMANDS: self._run_commands,
            Plan.SHELL: lambda block: self._shell(block.text, block),
            Plan.SCRIPT: self._run_script,
            Plan.TESTS: self._run_tests,
            Plan.PARSE: self._parse,
        }
        if "../mockbroker" in block.text:
            self._clone()
        if step := steps.get(plan_of(block)):
            try:
                step(block)
            except AssertionError as error:
                raise AssertionError(f"the block at line {block.line}: {error}") from error

    @property
    def _cwd(self) -> Path:
        return self._folder / ("mockbroker" if self._place == "clone" else "project")

    def _enter(self, name: str) -> None:
        self._place = name
        (self._folder / "state.sh").unlink(missing_ok=True)
        if name == "clone":
            self._clone()
        if name == "examples":
            shutil.copytree(ROOT / "examples", self._cwd / "examples", ignore=_is_installed)

    def _clone(self) -> None:
        """Copy the files that a clone of the repository as it is now would have."""
        target = self._folder / "mockbroker"
        if target.exists():
            return
        listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT)
        for name in listed.splitlines():
            if (ROOT / name).is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target / name)

    def _environment(self) -> dict[str, str]:
        clean = clean_environment()
        if self._place != "clone":
            clean["PATH"] = os.pathsep.join([str(self._programs), clean["PATH"]])
        # Pages show output of this width, whatever the terminal of the tests has.
        width = {"COLUMNS": "100"}
        return {**clean, **width, MARK: self._mark, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def _write(self, name: str, text: str) -> None:
        file = self._cwd / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def _shell(self, text: str, block: Block) -> None:
        """Run commands with what earlier blocks have exported, and check status and output."""
        state = self._folder / "state.sh"
        before = f". '{state}'\n" if state.exists() else ""
        script = f"{before}trap 'export -p > \"{state}\"' EXIT\n{_with_selection(text, block)}"
        # To a file, as a terminal would: a server in the background holds no pipe of ours.
        output = self._folder / "output.txt"
        with output.open("w", encoding="utf-8") as file:
            done = subprocess.run(  # noqa: S603 - our own pages
                ["bash", "-euc", script],  # noqa: S607
                cwd=self._cwd,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=BLOCK_SECONDS,
                check=False,
            )
        self._output = output.read_text(encoding="utf-8")
        assert done.returncode == int(block.value("exit status") or 0), self._output
        for words in block.values("shows"):
            assert words in self._output, f"no {words!r} in: {self._output}"

    def _save(self, block: Block) -> None:
        self._write(str(block.value("save as")), block.text)
        if block.language in {"toml", "ini"}:
            self._parse(block)
        for command in block.values("then"):
            self._shell(command, block)

    def _run_script(self, block: Block) -> None:
        self._write("pasted.py", block.text)
        self._shell("python3 pasted.py", block)

    def _run_tests(self, block: Block) -> None:
        self._write("test_pasted.py", block.text)
        self._shell(f"python3 -m pytest {NO_FAULT_IS_APPLIED} test_pasted.py", block)

    def _run_commands(self, block: Block) -> None:
        """Run the commands of ours that a file for another program has."""
        joined = re.sub(r"\n +(?=--)", " ", block.text)
        commands = re.findall(r"mockbroker check .*", joined)
        assert commands, "the block has no command of mockbroker"
        for command in commands:
            text = command.replace("{posargs}", "")
            self._shell(f"GITHUB_STEP_SUMMARY=summary.md; {text}", block)

    def _serve(self, block: Block) -> None:
        """Start a server; the curl command that it prints gets a token."""
        process = subprocess.Popen(  # noqa: S603 - our own pages
            ["bash", "-euc", block.text],  # noqa: S607
            cwd=self._cwd,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        server = _Server(process)
        self._servers.append(server)
        self._shell(server.curl_command(), Block("sh", "", block.line))
        assert "access_token" in self._output, self._output

    def _parse(self, block: Block) -> None:
        """Read a file of settings with the reader that it is for."""
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "yaml":
            yaml.safe_load(block.text)
        elif block.language == "ini":
            configparser.ConfigParser(interpolation=None).read_string(block.text)
        else:
            self._parse_toml(block.text)

    def _parse_toml(self, text: str) -> None:
        values = tomllib.loads(text)
        profiles = values.get("tool", {}).get("mockbroker", values).get("profiles", {})
        file = self._folder / ("pyproject.toml" if "tool" in values else "pasted.toml")
        file.write_text(text, encoding="utf-8")
        for name in profiles:
            assert profile_named(name, config=file).name == name

    def _compare_output(self, block: Block) -> None:
        """Look for the lines of a block in the last output, in their order; … is anything."""
        wanted = ".*".join(re.escape(line) for line in block.text.splitlines())
        pattern = wanted.replace("…", ".*?")
        assert re.search(pattern, self._output, re.DOTALL), self._output


def _with_selection(text: str, block: Block) -> str:
    """Return commands that judge fewer clauses, if the page asks for that."""
    only = block.value("only")
    if only is None:
        return text
    checks = re.sub(r"(mockbroker check)\b", rf"\1 --only {only}", text)
    return re.sub(r"(--pyargs mockbroker_contract)\b", rf"\1 --contract-only {only}", checks)


def _is_installed(_folder: str, names: list[str]) -> set[str]:
    return {"node_modules", "target", "__pycache__"}.intersection(names)
