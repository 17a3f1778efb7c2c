"""The formats in which a report is written to a file, each with its option.

Options are made from this registry when pytest starts, so the writers are imported when used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mockbroker.model.escaping import printable

if TYPE_CHECKING:
    from mockbroker.report.report import Report

__all__ = [
    "FORMATS",
    "Format",
    "OutputError",
    "problem_with_output",
    "problem_with_outputs",
    "write_outputs",
]


class OutputError(Exception):
    """A report cannot be written; the message is one line that names each file and the reason."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format of reports: the name of its option, the option's help, and its writer.

    ``write`` returns the text of the file.
    """

    name: str
    help: str
    write: Callable[[Report], str]


def _json_of(report: Report) -> str:
    from mockbroker.report.document import document_of, json_text  # noqa: PLC0415 - only if wanted

    return json_text(document_of(report))


def _html_of(report: Report) -> str:
    from mockbroker.report.document import document_of  # noqa: PLC0415 - only if wanted
    from mockbroker.report.html_page import html_of  # noqa: PLC0415 - Jinja only if wanted

    return html_of([document_of(report)])


def _junit_xml_of(report: Report) -> str:
    from mockbroker.report.junit_xml import junit_xml_of  # noqa: PLC0415 - only if wanted

    return junit_xml_of(report)


def _markdown_of(report: Report) -> str:
    from mockbroker.report.markdown import markdown_of  # noqa: PLC0415 - only if wanted

    return markdown_of(report)


def _badge_of(report: Report) -> str:
    from mockbroker.report.badge import badge_of  # noqa: PLC0415 - only if wanted

    return badge_of(report)


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("json", "Write the report as JSON.", _json_of),
        Format("html", "Write the report as an HTML page in one file.", _html_of),
        Format(
            "junit-xml", "Write the report as JUnit XML, one test case per clause.", _junit_xml_of
        ),
        Format("markdown", "Write the report as Markdown, for a job summary.", _markdown_of),
        Format("badge", "Write the verdict as an SVG badge.", _badge_of),
    )
}
"""Every format, by the name of its option. A new format is one more line here."""


def problem_with_output(file: str) -> str:
    """Return why that file cannot be written; empty if it can."""
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


def problem_with_outputs(files: Mapping[str, str], read: Mapping[str, str]) -> str:
    """Return in one sentence, why these files cannot all be written; empty if they can.

    ``files`` are those to write, by their option as the user has written it; ``read`` are those
    that are read, by what they are.
    """
    taken = {Path(file).resolve(): what for what, file in read.items() if file}
    for option, file in files.items():
        if not file:
            continue
        problem = problem_with_output(file)
        other = taken.setdefault(Path(file).resolve(), option)
        if not problem and other != option and not _takes_several(file):
            problem = f"this is {other} as well, which it would overwrite; name another file"
        if problem:
            return f"{option} {file}: {problem}"
    return ""


def _takes_several(file: str) -> bool:
    """Return whether a report that is written there leaves what was written before it, as to /dev/null."""
    return Path(file).exists() and not Path(file).is_file()


def write_outputs(report: Report, files: Mapping[str, str]) -> None:
    """Write the report in each format for which a file is named.

    Raises OutputError once all that can be written are.
    """
    troubles = [_trouble_with(report, name, file) for name, file in files.items() if file]
    if any(troubles):
        raise OutputError("; ".join(filter(None, troubles)))


def _trouble_with(report: Report, name: str, file: str) -> str:
    try:
        # What is no Unicode is escaped already; if something slips through, JSON stays JSON.
        text = FORMATS[name].write(report)
        Path(file).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        return f"the report cannot be written to {printable(file)}: {_reason(error)}"
    except Exception as error:  # noqa: BLE001 - an error in one format must not cost the others
        reason = printable(f"the kit failed: {type(error).__name__}: {error}")
        return f"the report cannot be written to {printable(file)}: {reason}"
    return ""


def _reason(error: OSError) -> str:
    return printable(error.strerror or type(error).__name__)
