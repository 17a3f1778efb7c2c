"""Replay of test cases that are stored as plain data, before any other case.

A stored example is data of a file that a user may have edited, from a run of another version. So
its shape is checked before a test case sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import hypothesis
from hypothesis import strategies as st

from mockbroker.report.plain_examples import ExampleError, from_plain
from mockbroker_contract.drivers.failures import ScenarioEnded
from mockbroker_contract.drivers.target import TargetError
from mockbroker_contract.isolation.draws import without_constants_of_modules

__all__ = [
    "Replays",
    "attach_example",
    "fits",
    "fitting",
    "samples_of",
]

Drawn = TypeVar("Drawn")
CaseResult = TypeVar("CaseResult")
# Enough to see every kind of value that a strategy draws; fewer than a user would notice.
_ENOUGH_SAMPLES = 20


def attach_example(run_case: Callable[[Drawn], CaseResult]) -> Callable[[Drawn], CaseResult]:
    """Wrap a test case so that its exceptions carry the example that led to them.

    The exception is changed, not replaced, so that its traceback and steps stay.
    """

    def run_and_attach(drawn: Drawn) -> CaseResult:
        try:
            return run_case(drawn)
        except ScenarioEnded as ended:
            ended.drawn = drawn
            raise

    return run_and_attach


def samples_of(strategy: st.SearchStrategy[Drawn]) -> list[Drawn]:
    """Return a few examples of the strategy, the same in every run.

    About twenty. They are drawn only if there is an example to compare.
    """
    drawn: list[Drawn] = []
    settings = hypothesis.settings(
        max_examples=_ENOUGH_SAMPLES,
        phases=[hypothesis.Phase.generate],
        # The shape is compared only, so the same samples in every run are best.
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def keep(example: Drawn) -> None:
        drawn.append(example)

    with without_constants_of_modules():
        settings(hypothesis.given(strategy)(keep))()
    return drawn


def fits(example: Any, samples: Sequence[Any], operations: Collection[str]) -> bool:
    """Return whether the example has the shape of the samples.

    If the samples contain only operations that the client offers, the example must be one of those.
    """
    alike = [sample for sample in samples if type(sample) is type(example)]
    if isinstance(example, tuple):
        alike = [sample for sample in alike if len(sample) == len(example)]
        # Each part is compared with the same part of all samples, as a tuple has a type for each
        # place.
        columns = zip(*alike, strict=True)
        return bool(alike) and all(
            fits(part, column, operations) for part, column in zip(example, columns, strict=True)
        )
    if isinstance(example, list):
        # A list may have any length, so the parts of all samples together show what it may contain.
        inside = [part for sample in alike for part in sample]
        return bool(alike) and (
            not inside or all(fits(part, inside, operations) for part in example)
        )
    # A client that has lost an operation since then cannot be used by it.
    if isinstance(example, str) and alike and set(alike) <= set(operations):
        return example in operations
    return bool(alike)


def fitting(plain: object, samples: Sequence[Any], operations: Collection[str]) -> Any:
    """Return the example. Raises ExampleError if it does not have the shape of the samples.

    ``plain`` is JSON data of a known-failures file or a report.
    """
    example = from_plain(plain)
    if not fits(example, samples, operations):
        raise ExampleError("its scenario now draws others")
    return example


class Replays:
    """Plain examples, one for a clause, each of which is tried before any other.

    ``outcomes`` has, for each clause so far, why its example was not tried; empty if it was. An
    outdated example that no scenario can use is skipped: the clause is judged without it.
    """

    def __init__(self, examples: Mapping[str, Any]) -> None:
        self.examples = examples
        self.outcomes: dict[str, str] = {}

    def try_example(self, clause_id: str, attempt: Callable[[Any], None]) -> None:
        """Try the example of that clause, if there is one.

        ``attempt`` takes the plain example, and raises ExampleError if it cannot use it.
        """
        if clause_id not in self.examples:
            return
        try:
            attempt(self.examples[clause_id])
        # These are verdicts, and not a mismatch: the example was tried.
        except (ScenarioEnded, TargetError):
            self.outcomes[clause_id] = ""
            raise
        except ExampleError as error:
            # Not overwritten: the lifecycle and the clause itself may both have looked at the
            # example.
            self.outcomes.setdefault(clause_id, str(error))
        except Exception as error:  # noqa: BLE001 - whatever an outdated example leads to
            why = f"its scenario cannot run it any more ({type(error).__name__})"
            self.outcomes.setdefault(clause_id, why)
        else:
            self.outcomes[clause_id] = ""
