"""Examples kept as plain data, so that what was drawn once can be played again.

Plain are the values that TOML knows. An array stands for a tuple; whatever else has no form of its
own there is a table with one key that names it, as in ``{credentials = ["id", "secret"]}``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import hypothesis
from hypothesis import strategies as st

from contract_tests.draws import without_constants_of_modules
from contract_tests.target import TargetError
from contract_tests.verdicts import ScenarioEnded
from mockbroker.spec.credentials import Credentials

__all__ = [
    "ExampleError",
    "Replays",
    "fits",
    "fitting",
    "from_plain",
    "remembering",
    "samples_of",
    "to_plain",
]

Drawn = TypeVar("Drawn")
_ENOUGH_SAMPLES = 20


class ExampleError(ValueError):
    """An example cannot be kept or read; the message says why, and shows nothing of it."""


def to_plain(example: object) -> Any:
    """The example as plain data. Raises ExampleError if something in it has no such form."""
    kind = type(example)
    if isinstance(example, str) and not _is_unicode(example):
        raise ExampleError("it has half a surrogate pair")
    if kind in {str, int, float, bool}:
        return example
    if isinstance(example, tuple):
        return [to_plain(part) for part in example]
    if isinstance(example, list):
        return {"list": [to_plain(part) for part in example]}
    if isinstance(example, dict) and all(type(name) is str for name in example):
        return {"dict": {to_plain(name): to_plain(part) for name, part in example.items()}}
    if isinstance(example, Credentials):
        return {"credentials": [to_plain(example.client_id), to_plain(example.client_secret)]}
    if isinstance(example, bytes):
        return {"bytes": example.hex()}
    if example is None:
        return {"none": True}
    raise ExampleError(f"{kind.__name__!r} has no form in TOML")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def from_plain(plain: object) -> Any:
    """The example that `to_plain` made plain. Raises ExampleError if it is something else."""
    if type(plain) in {str, int, float, bool}:
        return plain
    if isinstance(plain, list):
        return tuple(from_plain(part) for part in plain)
    if not isinstance(plain, dict) or len(plain) != 1:
        raise ExampleError(f"{type(plain).__name__!r} is no part of an example")
    [(name, content)] = plain.items()
    if name not in _READERS:
        raise ExampleError(f"{name!r} names no kind of value; known are {', '.join(_READERS)}")
    try:
        return _READERS[name](content)
    except (AttributeError, TypeError, ValueError):
        raise ExampleError(f"{name!r} holds what it cannot hold") from None


def _credentials(pair: list[str]) -> Credentials:
    client_id, client_secret = pair
    if not isinstance(client_id, str) or not isinstance(client_secret, str):
        raise TypeError("credentials are two texts")
    return Credentials(client_id, client_secret)


_READERS: dict[str, Callable[[Any], object]] = {
    "list": lambda parts: [from_plain(part) for part in parts],
    "dict": lambda pairs: {name: from_plain(part) for name, part in pairs.items()},
    "credentials": _credentials,
    "bytes": bytes.fromhex,
    "none": lambda _: None,
}


def remembering(play: Callable[[Drawn], None]) -> Callable[[Drawn], None]:
    """The same play, whose ends carry the example that led to them."""

    def play_and_remember(drawn: Drawn) -> None:
        try:
            play(drawn)
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
