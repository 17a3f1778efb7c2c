"""The registry of the formats in which a report is written to a file.

pytest makes options from it at every start, so the writers are imported only when used.

What stands in a report is decided in `mockbroker.report.report`; a writer only arranges it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

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
    """A failure to write reports; the message is one line with each file and the reason.

    The other files have been written by then.
    """


# Not a dataclass: making one costs each start of pytest more than the rest of this module.
class Format:
    """A format of reports: the name of its option, the option's help, and its writer.

    ``write`` returns the text of the file.

    It may raise any exception: `write_outputs` turns it into a message.
    """

    __slots__ = ("help", "name", "write")

    def __init__(self, name: str, help: str, write: Callable[[Report], str]) -> None:  # noqa: A002 - as in `Option`
        self.name = name
        self.help = help
        self.write = write


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


def _sarif_of(report: Report) -> str:
    from mockbroker.report.sarif import sarif_of  # noqa: PLC0415 - only if wanted

    return sarif_of(report)


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
        Format("sarif", "Write the report as SARIF 2.1.0, for code scanning.", _sarif_of),
        Format("badge", "Write the verdict as an SVG badge.", _badge_of),
    )
}
"""Every format, by the name of its option. A new format is one more line here."""


def problem_with_output(file: str) -> str:
    """Return why the file cannot be written; empty if it can.

    Called before a run: a check takes minutes, and its report must not be lost at the end.

    The answer may change until the file is written, so `write_outputs` handles errors as well.
    """
    try:
        if not Path(file).resolve().parent.is_dir():
            return "the folder does not exist; make it first"
        if Path(file).is_dir():
            return "this is a folder; give the name of a file"
        # Asked, not tried: opening the file for writing would empty an earlier report before the
        # run.
        if not os.access(file if Path(file).exists() else Path(file).resolve().parent, os.W_OK):
            return "permission denied"
    except OSError as error:  # such as a name that is too long
        return _reason(error)
    return ""


def problem_with_outputs(files: Mapping[str, str], read: Mapping[str, str]) -> str:
    """Return one sentence about the first file that cannot be written; empty without any.

    ``files`` has the files to write, by their option as the user wrote it. ``read`` has the files
    that the run reads, by a description.
    """
    # Resolved, because two names may lead to one file by a link or by "..".
    # The files that are read come first: `--json known.toml` would destroy the user's own file.
    taken = {Path(file).resolve(): what for what, file in read.items() if file}
    for option, file in files.items():
        if not file:
            continue
        problem = problem_with_output(file)
        other = taken.setdefault(Path(file).resolve(), option)
        if not problem and other != option and not _takes_several(file):
            problem = f"it would overwrite {other}; give the name of another file"
        if problem:
            return f"{option} {file}: {problem}"
    return ""


def _takes_several(file: str) -> bool:
    """Return whether several reports can be written there, as to a device or a pipe.

    ``--json /dev/stdout --markdown /dev/stdout`` is an example. A file that does not exist yet will
    be a regular one.
    """
    return Path(file).exists() and not Path(file).is_file()


def write_outputs(report: Report, files: Mapping[str, str]) -> None:
    """Write the report in each format for which a file is named.

    Raises OutputError after every other file has been written.
    """
    # All of them are tried: one full disk or one wrong folder must not cost the other reports.
    problems = [_write(report, name, file) for name, file in files.items() if file]
    if any(problems):
        raise OutputError("; ".join(filter(None, problems)))


def _write(report: Report, name: str, file: str) -> str:
    """Write the report in one format; return the problem, empty without one."""
    from mockbroker.model.escaping import printable  # noqa: PLC0415 - only if a report is written

    try:
        # Lone surrogates are escaped already. If one is left, this keeps JSON valid.
        text = FORMATS[name].write(report)
        Path(file).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        return f"the report cannot be written to {printable(file)}: {_reason(error)}"
    except Exception as error:  # noqa: BLE001 - an error in one format must not prevent the others
        reason = printable(f"the kit failed: {type(error).__name__}: {error}")
        return f"the report cannot be written to {printable(file)}: {reason}"
    return ""


def _reason(error: OSError) -> str:
    """Return what the system says about an error, without the path, which the caller names."""
    from mockbroker.model.escaping import printable  # noqa: PLC0415 - only for an error

    return printable(error.strerror or type(error).__name__)
