"""The forms in which a report is written to a file, each with its option."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from mockbroker.model.escaping import printable
from mockbroker.report.badge import badge_of
from mockbroker.report.document import document_of, json_text
from mockbroker.report.junit_xml import junit_xml_of
from mockbroker.report.markdown import markdown_of
from mockbroker.report.report import Report

__all__ = ["OUTPUTS", "OutputError", "problem_with_output", "problem_with_outputs", "write_outputs"]


class OutputError(Exception):
    """A report cannot be written; the message is one line that names each file and the reason."""


def _json_of(report: Report) -> str:
    return json_text(document_of(report))


def _html_of(report: Report) -> str:
    from mockbroker.report.html_page import html_of  # noqa: PLC0415 - Jinja only if wanted

    return html_of([document_of(report)])


OUTPUTS: Mapping[str, Callable[[Report], str]] = {
    "json": _json_of,
    "html": _html_of,
    "junit_xml": junit_xml_of,
    "markdown": markdown_of,
    "badge": badge_of,
}
"""What makes each form of the report, by the name of its option."""


def problem_with_output(file: str) -> str:
    """Why that file cannot be written; empty if it can."""
    try:
        if not Path(file).resolve().parent.is_dir():
            return "there is no such folder"
        if Path(file).is_dir():
            return "this is a folder; name a file"
        if not os.access(file if Path(file).exists() else Path(file).resolve().parent, os.W_OK):
            return "permission denied"
    except OSError as error:  # such as a name that is too long
        return _reason(error)
    return ""


def problem_with_outputs(files: Mapping[str, str], read: Mapping[str, str], prefix: str) -> str:
    """In one sentence, why these files cannot all be written; empty if they can.

    ``files`` are those to write, by the name of their option; ``read`` are those that are read, by
    what they are. ``prefix`` is how the options' names begin where the user has written them.
    """
    taken = {Path(file).resolve(): what for what, file in read.items() if file}
    for name, file in files.items():
        if not file:
            continue
        option = f"{prefix}{name.replace('_', '-')}"
        problem = problem_with_output(file)
        other = taken.setdefault(Path(file).resolve(), option)
        if not problem and other != option and not _takes_several(file):
            problem = f"this is {other} as well, which it would overwrite; name another file"
        if problem:
            return f"{option} {file}: {problem}"
    return ""


def _takes_several(file: str) -> bool:
    """Whether a report that is written there leaves what was written before it, as to /dev/null."""
    return Path(file).exists() and not Path(file).is_file()


def write_outputs(report: Report, files: Mapping[str, str]) -> None:
    """Write the report in each form for which a file is named.

    Raises OutputError once all that can be written are.
    """
    troubles = [_trouble_with(report, name, file) for name, file in files.items() if file]
    if any(troubles):
        raise OutputError("; ".join(filter(None, troubles)))


def _trouble_with(report: Report, name: str, file: str) -> str:
    try:
        # What is no Unicode is escaped already; if something slips through, JSON stays JSON.
        text = OUTPUTS[name](report)
        Path(file).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        return f"the report cannot be written to {printable(file)}: {_reason(error)}"
    except Exception as error:  # noqa: BLE001 - no form may take the others along
        reason = printable(f"the kit failed: {type(error).__name__}: {error}")
        return f"the report cannot be written to {printable(file)}: {reason}"
    return ""


def _reason(error: OSError) -> str:
    return printable(error.strerror or type(error).__name__)
