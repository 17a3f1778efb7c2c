"""Scenario of one clause: how it is explored and judged."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st

from mockbroker.contract import clauses
from mockbroker.contract.authentication import accepted_methods
from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.clause import Clause
from mockbroker.model.credentials import Credentials, TokenState
from mockbroker_contract.drivers.driver import REQUEST
from mockbroker_contract.drivers.failures import NotApplicable, NotTested
from mockbroker_contract.harness.client_session import ClientSession
from mockbroker_contract.harness.endings import ClientHung
from mockbroker_contract.harness.run import OWN_SCENARIO_ONLY, ContractRun
from mockbroker_contract.harness.shared_cases import ON_AUTHENTICATION
from mockbroker_contract.harness.situation import Situation
from mockbroker_contract.harness.strategies import lifetimes, plain_credentials

__all__ = ["Scenario", "scenario_of"]

Drawn = TypeVar("Drawn")
_UNAUTHORIZED = 401
_REVOKED = TokenState.REVOKED


@dataclass(frozen=True, slots=True)
class Scenario:
    """A clause that is judged in a run.

    It connects three parts that know nothing of one another: the clause, the run with its client,
    and the exploration of examples.
    """

    run: ContractRun
    clause: Clause

    def session(self, **options: Any) -> ClientSession:
        """Return a session that judges this clause; see ClientSession for the options.

        Use it as a context manager: the breaches are judged when the context ends.
        """
        return ClientSession(self.run, self.clause, **options)

    def operations(self) -> st.SearchStrategy[str]:
        """Return a strategy for the operations that the client offers."""
        return st.sampled_from(self.run.capabilities)

    def for_all(
        self,
        strategy: st.SearchStrategy[Drawn],
        case_of: Callable[[Drawn], Situation],
        *,
        first: Sequence[Drawn] = (),
    ) -> None:
        """Run the case for the ``first`` examples and those that Hypothesis draws.

        Raises the ending of the simplest failing example. Raises NotTested if no example met the
        precondition of the clause, or if the client does not work at all.
        """
        self.run.needs_working_client()
        self._try_all(strategy, case_of, first)

    def for_each(
        self,
        cases: Iterable[Drawn],
        case_of: Callable[[Drawn, str], Situation],
        *,
        operations: Sequence[str] = (),
    ) -> None:
        """Run each case with each of the operations, by default all that the client offers.

        Raises NotTested if, for one of the operations, no case met the precondition of the clause.
        """
        self.run.needs_working_client()
        chosen = operations or self.run.capabilities
        self.run.explorer.try_each(itertools.product(cases, chosen), case_of)

    def cause_among(self, *possible: Clause) -> Clause | None:
        """Return the first of these clauses that the client is known to break, or None."""
        return next((each for each in possible if each.id in self.run.findings.broken), None)

    def needs_control(self) -> None:
        """Raise NotTested unless the client succeeds while no fault is scripted.

        A clause that expects an error proves nothing for a client that always fails. Two new
        clients in a row must each get a token. This also excludes a client that fails at every
        second use of the process.
        """
        for operation in self.run.capabilities * 2:
            with self.session(
                credentials=Credentials("control-client", "c0ntrol-s3cret")
            ) as session:
                session.use_well(operation)

    def for_each_in_time(
        self, cases: Iterable[Drawn], case_of: Callable[[Drawn, str], Situation]
    ) -> None:
        """Run the cases as `for_each` does; in real time, wait for all of them concurrently.

        The cases must only wait, because they run in threads then.
        """
        if self.run.time.is_virtual:
            self.for_each(cases, case_of)
            return
        self.run.needs_working_client()
        both = list(itertools.product(cases, self.run.capabilities))
        self.run.explorer.try_side_by_side(both, case_of)

    def needs_expiry_control(self, operation: str, lifetime: float, after: float = 0) -> None:
        """Run the control for a late use: the same lifetime without a fault.

        Raises NotTested if the client presents an expired token even then, ``after`` seconds after
        its expiry, or if it raises without a token request. In real time the token's lifetime is
        one second.
        """
        honours = clauses.refresh.HONOURS_EXPIRES_IN
        if not self.run.time.is_virtual:
            # Each second is waited for, so the control is as short as whole seconds allow.
            lifetime, after = min(lifetime, 1), min(after, 1)
        with self.session(
            credentials=Credentials("control-client", "control-s3cret"),
            expires_in=lifetime,
            # The control only asks: refresh.honours-expires-in has test cases of its own.
            elsewhere=[honours],
        ) as session:
            session.use_well(operation)
            session.advance(lifetime + after)
            outcome = session.use(operation)
            if outcome.is_after_expiry:
                raise NotTested(
                    "the client presents an expired token even without a fault", blocked_by=honours
                )
            if outcome.error is not None and not outcome.token_requests:
                raise NotTested(
                    "the client raises after the expiry of its first token in any case",
                    blocked_by=clauses.refresh.SAME_GRANT,
                )

    def needs_recovery_from_refusal(self) -> None:
        """Raise NotTested if a client does not survive the refusal of a single call.

        The control for cases with many refusals. A client that repeats no call survives it.
        """
        results = self.run.shared.results
        if Scenario.needs_recovery_from_refusal not in results:
            results[Scenario.needs_recovery_from_refusal] = self._survives_a_refusal()
        if not results[Scenario.needs_recovery_from_refusal]:
            raise NotTested(
                "the client does not survive one refused call", blocked_by=clauses.signing.REVOKED
            )

    def _survives_a_refusal(self) -> bool:
        with self.session(credentials=Credentials("control-client", "control-s3cret")) as session:
            session.use_well(REQUEST)
            session.broker.revoke_tokens()
            try:
                outcome = session.use(REQUEST)
            except ClientHung:
                return False
            repeated = len(outcome.api_calls) > 1
            # A client may throw away the answer to the repeated call.
            is_refused = (
                outcome.token_state is TokenState.REVOKED or outcome.status == _UNAUTHORIZED
            )
            return outcome.error is None and not (repeated and is_refused)

    def share(self, explore: Callable[[Scenario], None]) -> None:
        """Explore cases that other clauses explore as well.

        Every clause is judged during an exploration. So a shared exploration is not repeated for a
        clause that was not broken meanwhile.
        """
        run = self.run
        # A replayed example must be tried in the clause's own exploration, whatever was explored
        # before.
        is_judged = explore in run.shared.explored and self.clause.id not in OWN_SCENARIO_ONLY
        if is_judged and self.clause.id not in run.findings.broken | run.replays.examples.keys():
            self._needs_its_situation()
            return
        explore(self)
        # Only if it did not raise: an exploration that ended early has not judged the other
        # clauses.
        run.shared.explored.add(explore)

    def judge_token_requests(
        self,
        credentials: st.SearchStrategy[Credentials] | None = None,
        first: Sequence[Credentials] = (),
        *,
        must_answer: str = "",
        is_wide: bool = False,
    ) -> None:
        """Have tokens requested, expire them, have new ones requested; judge the requests.

        If ``must_answer`` states an expectation, a client that raises is in breach of the clause.
        More credentials are drawn if ``is_wide``.
        """
        self.run.needs_returning_client()
        drawn = st.tuples(
            plain_credentials() if credentials is None else credentials,
            # A short lifetime could be the reason why a client raises, and not the credentials.
            st.just(3599) if must_answer else lifetimes(),
            self.operations(),
        )
        chosen = [(pair, 3599, op) for pair in first for op in self.run.capabilities]

        def case_of(example: tuple[Credentials, int, str]) -> Situation:
            pair, lifetime, operation = example
            with self.session(credentials=pair, expires_in=lifetime) as session:
                if credentials is not None:
                    session.show_credentials()
                outcome = session.use(operation)
                # A client that does not even work with ordinary credentials breaks
                # `response.documented` instead.
                must_not_raise = must_answer and not self.run.preflight.blocked
                if outcome.error is not None and must_not_raise and not outcome.is_issued:
                    session.breach(
                        f"the client raised {session.masked(outcome.error)}", must_answer
                    )
                # The broken request is the proof. Going on could end in an error that hides it.
                if session.has_broken_request:
                    return Situation.MET
                # The second request counts as well: some clients build a refresh in another place
                # than the first request.
                session.advance(lifetime + 1 if self.run.time.is_virtual else 0)
                session.use(operation)
                if not session.trace.token_requests:
                    # A client that fails before its first request breaks nothing but that clause.
                    preflight = self.run.preflight
                    raise NotTested(
                        "the client sent no token request",
                        blocked_by=preflight.blocked_by if preflight.blocked else None,
                    )
                profile = self.run.settings.profile
                self.run.shared.note_authentication(session.trace, profile)
                return Situation.MET

        self._try_all(drawn, case_of, chosen, is_wide=is_wide)
        self.run.needs_working_client()
        self._needs_its_situation()

    def _try_all(
        self,
        strategy: st.SearchStrategy[Drawn],
        case_of: Callable[[Drawn], Situation],
        first: Sequence[Drawn],
        *,
        is_wide: bool = False,
    ) -> None:
        self.run.explorer.try_all(
            strategy,
            case_of,
            first=first,
            clause_id=self.clause.id,
            operations=self.run.capabilities,
            is_wide=is_wide,
        )

    def _needs_its_situation(self) -> None:
        """Raise NotTested if no token request had credentials that show the clause.

        Raises NotApplicable if the client uses another method that the profile accepts as well.
        """
        if self.clause not in ON_AUTHENTICATION:
            return
        used = self.run.shared.chapters
        if used and self.clause.chapter not in used:
            profile = self.run.settings.profile
            places = (m.place for m in accepted_methods(profile) if m.chapter in used)
            raise NotApplicable(
                f"the client authenticates {' and '.join(places)}, which profile {profile.name} "
                "accepts"
            )
        if self.clause not in self.run.shared.clauses_met and self.clause.precondition is not None:
            # The clause is blocked by a breach of the same chapter if there is one, such as
            # credentials in the wrong place.
            culprits = sorted(self.run.findings.broken & {c.id for c in ON_AUTHENTICATION})
            blocked_by = clause_named(culprits[0]) if culprits else None
            raise NotTested(self.clause.precondition.lack, blocked_by=blocked_by)


def scenario_of(run: ContractRun, clause: Clause) -> Scenario:
    """Return the scenario of a clause. Raises NotApplicable if the profile excludes it.

    A clause that does not apply is never tried, so no exchange of the client can break it.
    """
    why_not = clause.applies_to(run.settings.profile)
    if why_not:
        raise NotApplicable(why_not)
    return Scenario(run, clause)
