"""What the chapters on client authentication share: the profiles and the requests they judge.

A chapter has the clauses of one kind of method, and judges the requests that use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from mockbroker.contract.authentication import (
    AuthenticationMethod,
    accepted_methods,
    method_in,
    where_profile_authenticates,
)
from mockbroker.contract.authentication.problem import Problem
from mockbroker.contract.clause import Flaw, TokenRequestJudge
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.profile import Profile
from mockbroker.model.token_request import TokenRequest

__all__ = ["applies_with", "judge_of_part", "judged_by"]

MethodT = TypeVar("MethodT", bound=AuthenticationMethod)


def applies_with(kind: type[AuthenticationMethod]) -> Callable[[Profile], str]:
    """Make the function `applies_to` of clauses for profiles that accept a kind of method."""

    def applies_to(profile: Profile) -> str:
        if any(isinstance(method, kind) for method in accepted_methods(profile)):
            return ""
        return f"profile {profile.name} authenticates {where_profile_authenticates(profile)}"

    return applies_to


def judged_by(
    kind: type[MethodT], request: TokenRequest, expected: TokenExpectation
) -> MethodT | None:
    """Return the method by which a request is judged if it is of that kind, or None."""
    method = method_in(request, expected.profile)
    return method if isinstance(method, kind) else None


def judge_of_part(
    kind: type[AuthenticationMethod],
    problems_in: Callable[[TokenRequest, TokenExpectation], Iterable[Problem]],
    part: object,
) -> TokenRequestJudge:
    """Make the judge that reports the problems of one part of the credentials."""

    def flaws(request: TokenRequest, expected: TokenExpectation) -> Iterator[Flaw]:
        if judged_by(kind, request, expected) is None:
            return
        for problem in problems_in(request, expected):
            if problem.part is part:
                yield Flaw(problem.what, problem.expected)

    return TokenRequestJudge(flaws)
