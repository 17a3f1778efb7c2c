"""Test cases that are kept as plain data, played again before any other."""

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
    "fits",
    "fitting",
    "remembering",
    "samples_of",
]

Drawn = TypeVar("Drawn")
Played = TypeVar("Played")
_ENOUGH_SAMPLES = 20


def remembering(play: Callable[[Drawn], Played]) -> Callable[[Drawn], Played]:
    """The same play, whose ends carry the example that led to them."""

    def play_and_remember(drawn: Drawn) -> Played:
        try:
            return play(drawn)
        except ScenarioEnded as ended:
            ended.drawn = drawn
            raise

    return play_and_remember


def samples_of(strategy: st.SearchStrategy[Drawn]) -> list[Drawn]:
    """A few examples that the strategy draws, always the same."""
    drawn: list[Drawn] = []
    settings = hypothesis.settings(
        max_examples=_ENOUGH_SAMPLES,
        phases=[hypothesis.Phase.generate],
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
    """Whether the example has the shape that the samples have.

    Where they name nothing but operations that the client offers, it must name one of those.
    """
    alike = [sample for sample in samples if type(sample) is type(example)]
    if isinstance(example, tuple):
        alike = [sample for sample in alike if len(sample) == len(example)]
        columns = zip(*alike, strict=True)
        return bool(alike) and all(
            fits(part, column, operations) for part, column in zip(example, columns, strict=True)
        )
    if isinstance(example, list):
        inside = [part for sample in alike for part in sample]
        return bool(alike) and (
            not inside or all(fits(part, inside, operations) for part in example)
        )
    if isinstance(example, str) and alike and set(alike) <= set(operations):
        return example in operations
    return bool(alike)


def fitting(plain: object, samples: Sequence[Any], operations: Collection[str]) -> Any:
    """The example, if it has the shape of the samples; see `fits`. Raises ExampleError if not."""
    example = from_plain(plain)
    if not fits(example, samples, operations):
        raise ExampleError("its scenario now draws others")
    return example


class Replays:
    """Plain examples, one for a clause, each of which is played before any other.

    ``outcomes`` says of each clause whose turn came why its example was not played; nothing if it
    was. One that no scenario can play any more is left alone: the clause is judged without it.
    """

    def __init__(self, examples: Mapping[str, Any]) -> None:
        self.examples = examples
        self.outcomes: dict[str, str] = {}

    def play(self, clause_id: str, attempt: Callable[[Any], None]) -> None:
        """Attempt the example of that clause, if there is one.

        The attempt takes it plain, and raises ExampleError if it can do nothing with it.
        """
        if clause_id not in self.examples:
            return
        try:
            attempt(self.examples[clause_id])
        except (ScenarioEnded, TargetError):
            self.outcomes[clause_id] = ""
            raise
        except ExampleError as error:
            self.outcomes.setdefault(clause_id, str(error))
        except Exception as error:  # noqa: BLE001 - whatever an outdated example leads to
            why = f"its scenario cannot play it any more ({type(error).__name__})"
            self.outcomes.setdefault(clause_id, why)
        else:
            self.outcomes[clause_id] = ""
