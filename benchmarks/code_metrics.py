"""Figures on the size of the code and on how much of it explains, one row for each package.

    python benchmarks/code_metrics.py [FOLDER …]

Comments and docstring lines are counted per 100 lines of the modules. A comment that only switches
a linter off does not count.
"""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Metrics", "measure"]

_PACKAGES = ("mockbroker", "contract_tests/mockbroker_contract", "pytest_plugin/pytest_mockbroker")
_SWITCHES = ("# noqa", "# type:", "# pragma")
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Metrics:
    """Counts over the modules of a folder; all lengths are in lines."""

    module_lines: list[int] = field(default_factory=list)
    body_lines: list[int] = field(default_factory=list)
    functions: int = 0
    with_return_type: int = 0
    comments: int = 0
    docstring_lines: int = 0

    def row(self, name: str) -> str:
        """Return the figures as a row of a Markdown table."""
        bodies = sorted(self.body_lines)
        p90 = bodies[int(0.9 * (len(bodies) - 1))]
        median = statistics.median_low
        return (
            f"| {name} | {len(self.module_lines)} | {median(self.module_lines)} / "
            f"{max(self.module_lines)} | {median(bodies)} / {p90} | {bodies[-1]} | "
            f"{100 * self.with_return_type // self.functions} % | "
            f"{100 * self.comments / sum(self.module_lines):.1f} | "
            f"{100 * self.docstring_lines / sum(self.module_lines):.0f} |"
        )


def measure(folder: Path) -> Metrics:
    """Measure every module below a folder."""
    metrics = Metrics()
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        metrics.module_lines.append(len(text.splitlines()))
        metrics.comments += sum(1 for _ in _comments(text))
        metrics.docstring_lines += sum(map(_docstring_lines, ast.walk(tree)))
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                metrics.functions += 1
                metrics.with_return_type += node.returns is not None
                metrics.body_lines.append(_body_lines(node))
    return metrics


def _comments(text: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith(_SWITCHES):
            yield token.string


def _docstring_lines(node: ast.AST) -> int:
    if not isinstance(node, _WITH_DOCSTRING) or ast.get_docstring(node, clean=False) is None:
        return 0
    docstring = node.body[0]
    return (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if _docstring_lines(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def main() -> None:
    """Print the table."""
    print("| | modules | module lines median / largest | body median / p90 | longest body", end="")
    print(" | return types | comments per 100 lines | docstring lines per 100 |")
    print("|-|-|-|-|-|-|-|-|")
    for name in sys.argv[1:] or _PACKAGES:
        print(measure(Path(name)).row(name))


if __name__ == "__main__":
    main()
