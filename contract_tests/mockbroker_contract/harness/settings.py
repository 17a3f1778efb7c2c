"""Settings of a contract run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mockbroker.contract.clause import Level
from mockbroker.model.profile import AUTOGRAB, Profile
from mockbroker.report.defaults import DEFAULT_EXAMPLES

__all__ = ["RunSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Settings that a user may choose.

    ``seed`` draws other examples than the default ones. ``deadline`` is how many seconds of real
    time one operation of the client may take before it is stopped. ``client_timeout`` is the
    timeout, in seconds, in the configuration of clients. ``patience`` is how many seconds of real
    time a client may wait for a broker that never answers.

    ``shrinks`` is how many more test cases are tried to find a simpler one once one has failed.
    ``copies`` are paths of files and folders that the client reads; it sees copies of them.
    ``replays`` has plain examples, by clause id, that are tried before any other. ``budget`` is how
    many seconds of real time the whole run may take; 0 means unlimited. If ``shows_output``, the
    client's output is printed on standard error. If ``shows_tracebacks``, findings have the
    traceback of the client's exception. With ``tls`` all brokers speak TLS, for clients
    that insist on https.

    A run needs no option: with the defaults it gives the same verdicts each time.
    """

    profile: Profile = AUTOGRAB
    # Three times Hypothesis's default: an example takes milliseconds, because the virtual clock
    # needs no waiting.
    examples: int = DEFAULT_EXAMPLES
    seed: int | None = None
    fail_on: Level = Level.MUST
    target: str = ""
    deadline: float = 10.0
    # Shorter than the deadline, so that a client that observes its timeout returns in time.
    client_timeout: float = 5.0
    # Longer than a timeout of 30 s, a usual default, which a client may have in place of the
    # configured one.
    patience: float = 31.0
    # Nothing shows whether a program waits without end, so it is always waited for. A client whose
    # timeout is configured, as 0.2 s, and that waits for this long does not observe it.
    program_patience: float = 15.0
    shrinks: int = 100
    copies: tuple[str, ...] = ()
    shows_output: bool = False
    shows_tracebacks: bool = False
    tls: bool = False
    budget: float = 0.0
    replays: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def stall_limit(self, *, in_python: bool) -> float:
        """Seconds of real time after which a client has not given up on a broker that stalls."""
        return self.patience if in_python else min(self.patience, self.program_patience)

    @property
    def patient_deadline(self) -> float:
        """Limit in seconds of real time for one operation while the broker fails or is slow."""
        return 2 * self.patience
