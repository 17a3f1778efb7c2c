"""The report as JUnit XML, as CI servers read it: a test case for each clause."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from contract_tests.verdicts import Verdict
from pytest_plugin.report import Report, Row

__all__ = ["junit_xml_of"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {
    Verdict.FAILED: "failure",
    Verdict.STALE: "failure",
    Verdict.HANG: "error",
    Verdict.CRASH: "error",
    Verdict.NOT_TESTED: "skipped",
    Verdict.NOT_APPLICABLE: "skipped",
    Verdict.KNOWN: "skipped",
}


def junit_xml_of(report: Report) -> str:
    """One ``testsuite``; level, verdict and sources of a clause are properties of its case.

    A breach that does not bind passes, and is told in ``system-out``.
    """
    suite = ET.Element("testsuite", name=f"contract: {_legal(report.client.target)}", time="0")
    told = [_add_case(suite, row, is_binding=report.is_binding(row.clause)) for row in report.rows]
    suite.set("tests", str(len(told)))
    for name, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(told.count(name)))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(suite: ET.Element, row: Row, *, is_binding: bool) -> str:
    """Add the clause's case; the name of the element that tells the verdict, if there is one."""
    case = ET.SubElement(
        suite, "testcase", classname=f"contract.{row.clause.chapter}", name=row.clause.id, time="0"
    )
    properties = ET.SubElement(case, "properties")
    for name, value in (
        ("level", row.clause.level.value),
        ("verdict", row.verdict.value),
        ("title", row.clause.title),
        *(("source", str(source)) for source in row.clause.sources),
    ):
        ET.SubElement(properties, "property", name=name, value=_legal(value))
    element = _ELEMENTS.get(row.verdict, "")
    if element in {"failure", "error"} and not is_binding and row.verdict is not Verdict.STALE:
        element = ""
    if element:
        told = ET.SubElement(case, element, message=_legal(_message(row)))
        if element != "skipped":
            told.set("type", row.verdict.value)
            told.text = _legal(_details(row))
    elif row.verdict is not Verdict.PASSED:
        ET.SubElement(case, "system-out").text = _legal(f"{_message(row)}\n{_details(row)}")
    return element


def _message(row: Row) -> str:
    return f"{row.verdict.value}: {row.finding.reason}"


def _details(row: Row) -> str:
    finding = row.finding
    return "\n".join(filter(None, (finding.example, *finding.exchanges, finding.curl)))


def _legal(text: str) -> str:
    """The text without what XML has no way to say."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
