"""The report as JUnit XML, as CI servers read it: a test case for each clause.

CI servers differ in what they read; the elements and attributes used are common to all.

Each test case has the id of a clause as its name, and the chapter as its class. A CI server can
therefore compare runs, and show since when a clause fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree import ElementTree as ET

from mockbroker.report.document import document_of
from mockbroker.report.evidence import evidence_lines
from mockbroker.report.finding import Verdict
from mockbroker.report.headline import advice_on, link_of, overview_of
from mockbroker.report.provenance_text import provenance_of
from mockbroker.report.report import Conclusion, Report, Row

__all__ = ["junit_xml_of"]

# In JUnit a failure is an assertion that does not hold; an error is an unexpected end of a test.
# PASSED and ADVICE have no element, so their test cases pass.
_ELEMENTS = {
    Verdict.FAILED: "failure",
    Verdict.STALE: "failure",
    Verdict.HANG: "error",
    Verdict.CRASH: "error",
    Verdict.ERROR: "error",
    Verdict.NOT_TESTED: "skipped",
    Verdict.NOT_APPLICABLE: "skipped",
    Verdict.KNOWN: "skipped",
}
# These fail a run at any level: a stale entry is the user's to remove, an error is the kit's.
_AT_ANY_LEVEL = (Verdict.STALE, Verdict.ERROR)


def junit_xml_of(report: Report) -> str:
    """Return the report as one ``testsuite`` with a test case for each clause.

    Level, verdict and sources are properties of the case. A breach of a clause that is not binding
    passes; ``system-out`` describes it. A problem of the run itself is an error in a case of its
    own. Otherwise a CI server would show a partial report as complete.
    """
    provenance = report.facts.provenance
    suite = ET.Element(
        "testsuite",
        name=f"contract: {report.facts.client.target}",
        time=f"{provenance.duration_seconds:.3f}",
    )
    if provenance.created:
        suite.set("timestamp", provenance.created)
    properties = ET.SubElement(suite, "properties")
    _add_properties(
        properties,
        [
            ("overview", overview_of(report)),
            ("conclusion", report.conclusion.value),
            ("partial", str(report.is_partial).lower()),
            ("interrupted", str(report.facts.interrupted).lower()),
            *provenance_of(document_of(report)),
        ],
    )
    results = [_add_case(suite, report, row) for row in report.rows]
    results += [_add_problem(suite, *problem) for problem in _problems(report)]
    # Counted from the elements that were added, so that the totals always match the test cases.
    suite.set("tests", str(len(results)))
    for name, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(results.count(name)))
    # Some readers expect this root, even around a single suite.
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


_CUT_SHORT = {"interrupted": Conclusion.INTERRUPTED, "out of time": Conclusion.OUT_OF_TIME}


def _problems(report: Report) -> Iterator[tuple[str, str, str]]:
    """Yield the kind, the message and the details of each problem of the run itself.

    ``details`` is empty or has several lines.
    """
    for kind, conclusion in _CUT_SHORT.items():
        if report.conclusion is conclusion:
            yield kind, conclusion.value, ""
    for error in report.facts.errors:
        yield Verdict.ERROR.value, error.reason, error.traceback


def _add_problem(suite: ET.Element, kind: str, message: str, details: str) -> str:
    """Add a test case for a problem of the run; return the name of its element."""
    case = ET.SubElement(suite, "testcase", classname="contract", name=f"run: {kind}", time="0")
    ET.SubElement(case, "error", message=message, type=kind).text = details
    return "error"


def _add_properties(parent: ET.Element, pairs: Iterable[tuple[str, str]]) -> None:
    """Add pairs of a name and a value as ``property`` elements; names may occur twice."""
    for name, value in pairs:
        ET.SubElement(parent, "property", name=name, value=value)


def _add_case(suite: ET.Element, report: Report, row: Row) -> str:
    """Add the test case of a clause; return the name of its result element, empty without one."""
    # Test cases of one clause also judge others; the time counts for the clause that drew them.
    seconds = report.facts.provenance.clause_seconds.get(row.clause.id, 0.0)
    case = ET.SubElement(
        suite,
        "testcase",
        classname=f"contract.{row.clause.chapter}",
        name=row.clause.id,
        time=f"{seconds:.3f}",
    )
    properties = ET.SubElement(case, "properties")
    _add_properties(
        properties,
        [
            ("level", row.clause.level.value),
            ("impact", row.clause.impact.value),
            ("verdict", row.verdict.value),
            ("title", row.clause.title),
            *(("source", str(source)) for source in row.clause.sources),
            *([("link", link)] if (link := link_of(row.clause)) else []),
        ],
    )
    element = _ELEMENTS.get(row.verdict, "")
    # CI servers count any failure as a broken build, whatever the exit status is.
    if (
        element in {"failure", "error"}
        and not report.is_binding(row.clause)
        and row.verdict not in _AT_ANY_LEVEL
    ):
        element = ""
    if element:
        result = ET.SubElement(case, element, message=_message(row))
        # In JUnit's format, skipped has a message only.
        if element != "skipped":
            result.set("type", row.verdict.value)
            # XML has no form for control characters; the strings of a finding are printable
            # already.
            result.text = _details(report, row)
    elif row.verdict is not Verdict.PASSED:
        ET.SubElement(case, "system-out").text = f"{_message(row)}\n{_details(report, row)}"
    return element


def _message(row: Row) -> str:
    """Return the verdict and the reason, which CI servers show in their list of failures."""
    return f"{row.verdict.value}: {row.finding.in_words}"


def _details(report: Report, row: Row) -> str:
    """Return what the breach leads to, its fix and a link, then the evidence and a command."""
    lines = [f"{label}: {text}" for label, text in advice_on(row) if text]
    return "\n".join((*lines, *evidence_lines(row.finding, command=report.reproduce(row))))
