"""Known failures: the entries of a user's list, and their effect on a verdict. Pure values.

A list lets a team adopt the contract before its client is fixed. It must not rot: an entry fails
the run once its clause passes, once it has expired, and without a reason.

`mockbroker.report.known_file` reads and writes the list. Nothing here asks for today's date, so a
test can choose it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mockbroker.report.finding import BREACHES, Finding, Verdict

__all__ = ["NOTHING_KNOWN", "KnownFailure", "KnownFailures", "Listing", "Standing", "examples_of"]

# A list of failures without reasons only hides them, so words such as TODO do not count.
# The word must end there: "Todoist rejects it" is a reason.
_PLACEHOLDER = re.compile(r"\W*(todo|fixme|tbd|tbc|xxx|n/?a)(\W|$)", re.IGNORECASE)


class Standing(str, enum.Enum):
    """The state of a listed failure after a run.

    ``KNOWN`` still fails and ``STALE`` passes. ``EXPIRED`` still fails after the date until which
    the failure was accepted. ``NO_REASON`` fails and has no reason yet. ``UNMATCHED`` neither
    failed nor passed in this run.

    The values stand in JSON reports. Only ``KNOWN`` changes a breach into something that does not
    fail the run.
    """

    KNOWN = "known"
    STALE = "stale"
    EXPIRED = "expired"
    NO_REASON = "no-reason"
    UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailure:
    """A clause that is expected to fail, and why.

    ``issue`` is an id or a URL, or empty. ``expires`` is the last day on which the failure is
    accepted, or None. ``example`` is the plain example that showed the failure, or None.
    """

    clause_id: str
    reason: str
    issue: str = ""
    expires: date | None = None
    example: Any = field(default=None, repr=False)

    @property
    def is_explained(self) -> bool:
        """Whether the reason is more than a placeholder such as TODO.

        A reason without any letter, such as "-", counts as a placeholder too.
        """
        return any(map(str.isalpha, self.reason)) and not _PLACEHOLDER.match(self.reason)

    @property
    def in_words(self) -> str:
        """The reason and the issue."""
        return f"{self.reason} ({self.issue})" if self.issue else self.reason


@dataclass(frozen=True, slots=True)
class Listing:
    """A known failure and the finding of the run.

    ``file`` is the file that lists it; ``note`` says why its example was ignored, if it was.
    """

    failure: KnownFailure
    standing: Standing
    found: Finding
    file: str = ""
    note: str = ""

    @property
    def finding(self) -> Finding:
        """The finding that the report shows for the clause."""
        failure, found = self.failure, self.found
        if self.standing is Standing.KNOWN:
            reason = f"{failure.in_words}; found ({found.verdict.value}): {found.in_words}"
            # What was found stays in the reason: a known failure may hide a second, new one.
            return replace(found, verdict=Verdict.KNOWN, reason=reason)
        if self.standing is Standing.STALE:
            reason = f"listed as known ({failure.reason}), but it passes; remove its entry"
            return replace(found, verdict=Verdict.STALE, reason=reason)
        if self.standing is Standing.EXPIRED:
            # The verdict stays: an entry that has expired no longer counts.
            past = f"the known failure expired on {failure.expires}: {failure.in_words}"
            return replace(found, reason=f"{found.reason}; {past}")
        if self.standing is Standing.NO_REASON:
            return replace(found, reason=f"{found.reason}; {self.wants_reason}")
        return found

    @property
    def wants_reason(self) -> str:
        """The message for an entry without a reason: what to write, and where."""
        name, clause_id = Path(self.file).name, self.failure.clause_id
        return (
            f"{name} has no reason why {clause_id} may fail; "
            f"replace {self.failure.reason!r} in {name} with a reason"
        )


@dataclass(frozen=True, slots=True)
class KnownFailures:
    """The known failures that a file lists, by clause id; ``today`` decides which have expired.

    An empty ``file`` and no entries stand for a run without such a list.
    """

    file: str = ""
    # By default nothing has expired, because no date is earlier than this one.
    today: date = date.min
    entries: Mapping[str, KnownFailure] = field(default_factory=dict)

    def listing(self, found: Finding, replays: Mapping[str, str] | None = None) -> Listing | None:
        """Return the entry for the clause of a finding, with its state; None without an entry.

        ``replays`` has, for each clause whose example was tried, why it was ignored; empty if it
        was used.

        The finding itself is not changed; `Listing.finding` is the one to report.
        """
        failure = self.entries.get(found.clause_id)
        if failure is None:
            return None
        standing = self._standing(failure, found.verdict)
        note = _note(failure, standing, replays or {})
        return Listing(failure, standing, found, self.file, note)

    def _standing(self, failure: KnownFailure, verdict: Verdict) -> Standing:
        """Return the state of a listed failure for a verdict."""
        # A pass comes first: the entry must go, whether or not it has expired or has a reason.
        if verdict is Verdict.PASSED:
            return Standing.STALE
        if verdict not in BREACHES:
            return Standing.UNMATCHED
        if not failure.is_explained:
            return Standing.NO_REASON
        # The date is the last day on which the failure is accepted, so that day itself still
        # counts.
        expired = failure.expires is not None and failure.expires < self.today
        return Standing.EXPIRED if expired else Standing.KNOWN

    @property
    def replays(self) -> dict[str, Any]:
        """The plain examples to run first, by clause id."""
        return examples_of(self.entries)


NOTHING_KNOWN = KnownFailures()


def examples_of(entries: Mapping[str, KnownFailure]) -> dict[str, Any]:
    """Return the plain examples of the failures that have one, by clause id."""
    # None is not an example: the example None is stored as a table, ``{none = true}``.
    kept = {name: failure.example for name, failure in entries.items()}
    return {name: example for name, example in kept.items() if example is not None}


def _note(failure: KnownFailure, standing: Standing, replays: Mapping[str, str]) -> str:
    """Return why the example of an entry was ignored; empty if it was used or not needed."""
    # A clause that was not judged has a reason of its own.
    if failure.example is None or standing is Standing.UNMATCHED:
        return ""
    why = replays.get(failure.clause_id, "no scenario drew examples for it")
    return f"its example was ignored: {why}" if why else ""
