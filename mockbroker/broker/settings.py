"""Settings of a broker that a test may change while the broker runs.

The constructor's values are those of the broker; the others change the form of its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mockbroker.broker.answers import TokenAnswer
from mockbroker.broker.clock import Clock, SupportsClock
from mockbroker.model.profile import TokenPolicy, lifetime_problem

__all__ = ["Settings"]


class Settings:
    """The values that the endpoints of one broker read for each request.

    ``expires_in`` is in seconds. ``own_clock`` is the broker's clock unless the test gives
    another one as ``clock``. `reset` restores the values given here. Each request reads the
    settings without a lock. If a test changes a setting while a request is answered, either value
    may apply to that request.
    """

    def __init__(
        self,
        *,
        expires_in: float,
        strict: bool,
        clock: SupportsClock | None,
        own_clock: Clock,
        token_policy: TokenPolicy = "new",  # noqa: S107 - a policy, not a password
    ) -> None:
        self._initial = (expires_in, strict, clock, token_policy)
        # Kept even if a clock is given, so that `reset` needs no other code for it.
        self._own_clock = own_clock
        self._restore()

    def reset(self) -> None:
        """Restore the initial settings and time. A clock that was passed in keeps its time."""
        self._own_clock.reset()
        self._restore()

    def _restore(self) -> None:
        """Restore the initial settings; the clock keeps its time, which other brokers may share."""
        # By the setter, so that the lifetime given to the constructor is checked as well.
        self.expires_in, self.strict, clock, self.token_policy = self._initial
        self.clock: SupportsClock = clock or self._own_clock
        self.scope = ""
        # What follows has no constructor argument: a test sets it for a single case, and `reset`
        # undoes it.
        self.token_answer = TokenAnswer()
        self.token_values: Callable[[], str] | None = None
        # The whole API is agreed unless a test sets other prefixes.
        self.agreed_paths: Sequence[str] = ("/",)
        self.current_use: int | None = None

    @property
    def expires_in(self) -> float:
        """The lifetime, in seconds, of tokens issued from now on.

        Setting it raises ValueError unless it is a finite number >= 0.
        """
        return self._expires_in

    @expires_in.setter
    def expires_in(self, seconds: float) -> None:
        problem = lifetime_problem(seconds)
        if problem:
            raise ValueError(problem)
        self._expires_in = seconds
