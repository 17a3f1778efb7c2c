"""The catalogue holds every clause, and what is passive has a judge."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

import pytest

import mockbroker
from mockbroker.contract.catalogue import CATALOGUE, CHAPTERS, clause_named
from mockbroker.contract.clause import Level
from mockbroker.contract.judging import PASSIVE_CLAUSES, TRACE_CLAUSES
from tests.broker import test_client_certificates, wrong_assertions
from tests.contract import test_judges


def test_clauses_are_unique_and_grouped_by_chapter():
    ids = [entry.id for entry in CATALOGUE]
    assert len(ids) == len(set(ids))
    chapters = [entry.chapter for entry in CATALOGUE]
    assert [c for n, c in enumerate(chapters) if c not in chapters[:n]] == list(CHAPTERS)
    assert chapters == sorted(chapters, key=CHAPTERS.index)


def test_what_a_document_demands_has_a_source():
    by_experience = {"signing.no-retry-storm", "errors.transport", "errors.not-cached"}
    by_experience |= {"errors.no-hammering", "errors.timeout", "cache.huge-lifetime"}
    without = {entry.id for entry in CATALOGUE if not entry.sources}
    assert without - by_experience == {
        entry.id for entry in CATALOGUE if not entry.sources and entry.level is Level.PRACTICE
    }


def test_every_clause_says_why_it_is_there_and_how_to_fix_a_client():
    for entry in CATALOGUE:
        assert entry.why.endswith(".")
        assert entry.fix.endswith(".")


def test_every_passive_clause_is_judged():
    shown = set().union(*(ids for _, ids in test_judges.DEFECTS.values()))
    shown = shown.union(*(ids for _, ids in test_judges.CALLS.values()))
    shown = shown.union(*(ids for _, ids in test_judges.POSTED.values()))
    shown = shown.union(wrong.clause for wrong in wrong_assertions.WRONG)
    shown = shown.union(clause for _, _, clause, _ in test_client_certificates.WRONG.values())
    judged_alone = {clause.id for clause in set(PASSIVE_CLAUSES) - set(TRACE_CLAUSES)}
    elsewhere = {"request.accept", "request.parameters", "request.scope", "basic.utf8"}
    elsewhere |= {"assertion.clock"}  # tests/broker/test_assertions.py
    elsewhere |= {"certificate.api"}  # tests/broker/test_client_certificates.py
    assert shown | elsewhere == judged_alone


def test_a_judge_without_a_precondition_is_an_error():
    passive = clause_named("request.method")
    with pytest.raises(ValueError, match=r"^request\.method: a judge needs a precondition"):
        dataclasses.replace(passive, precondition=None)


def test_unknown_clause_is_named():
    with pytest.raises(KeyError, match=r"request\.nothing"):
        clause_named("request.nothing")


def modules(package):
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not info.name.endswith("__main__"):
            yield importlib.import_module(info.name)


def test_public_names_are_sorted():
    def rank(name):
        return not name.isupper(), not name[0].isupper(), name

    for module in modules(mockbroker):
        names = getattr(module, "__all__", [])
        assert list(names) == sorted(names, key=rank), module.__name__
