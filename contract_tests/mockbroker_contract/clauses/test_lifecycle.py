"""Chapter ``lifecycle``: every clause, over any interleaving of events."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis.reporting import with_reporter
from hypothesis.stateful import run_state_machine_as_test

from mockbroker.contract import clauses
from mockbroker_contract.harness.endings import ContractBreached
from mockbroker_contract.harness.run import OWN_SCENARIO_ONLY, ContractRun
from mockbroker_contract.harness.scenario import Scenario
from mockbroker_contract.harness.state_machine import (
    is_step_list,
    play_stories,
    replay_steps,
    state_machine_for,
    steps_from,
    without_idle_steps,
)

# Enough for an outage, an expiry and a recovery; longer sequences take longer to simplify.
_STEPS = 14
# A client with more defects has enough to fix; the next run shows the others.
_MAX_BREACHES = 6


@pytest.mark.contract_clause(clauses.lifecycle.LIFECYCLE)
def test_lifecycle(scenario: Scenario) -> None:
    """Check every clause over random sequences of uses, time, revocations and outages.

    Lifetimes and secrets change as well, and several clients share the broker. A breach of another
    clause is noted for that clause. The state machine then looks for further breaches.
    """
    run = scenario.run
    run.needs_working_client()
    _replay_known_failures(scenario)
    # Not those that other clauses' test cases found broken: a worker that judges only some of the
    # clauses would come to another report.
    ignored = set(OWN_SCENARIO_ONLY)
    for _ in range(_MAX_BREACHES):
        breached = _first_breach(run, ignored)
        if breached is None:
            return
        if breached.clause_id == scenario.clause.id:
            raise breached
        run.note(breached)
        ignored.add(breached.clause_id)


def _replay_known_failures(scenario: Scenario) -> None:
    """Replay the examples of known failures that are sequences of this state machine.

    A breach of another clause is noted, so that it is found again although Hypothesis might not
    find it.
    """
    run = scenario.run
    for clause_id, plain in run.replays.examples.items():
        # Examples of other scenarios are tried by the clauses that they belong to.
        if not is_step_list(plain):
            continue
        try:
            run.replays.try_example(
                clause_id, lambda plain: replay_steps(run, steps_from(plain, run))
            )
        except ContractBreached as breached:
            if breached.clause_id == scenario.clause.id:
                raise
            run.note(breached)


def _first_breach(run: ContractRun, ignored: set[str]) -> ContractBreached | None:
    """Return the first breach of a clause that is not ignored; None if there is none.

    Its steps are as few as the search for a simpler sequence has made them.
    """
    try:
        play_stories(run, ignored)
        _run_state_machine(run, ignored)
    except ContractBreached as breached:
        # Hypothesis removes steps too, but its limit of attempts may have been reached.
        return without_idle_steps(run, breached, ignored) if run.settings.shrinks else breached
    return None


def _run_state_machine(run: ContractRun, ignored: set[str]) -> None:
    """Run the state machine with the settings of the run. Raises ContractBreached."""
    limit = run.explorer.shrink_limit()
    machine = state_machine_for(run, limit, ignored)
    machine = hypothesis.seed(run.explorer.seed_for(clauses.lifecycle.LIFECYCLE.id))(machine)
    settings = hypothesis.settings(
        run.explorer.hypothesis_settings(is_wide=True), stateful_step_count=_STEPS
    )
    # Hypothesis prints the steps of a failing example as Python code of the kit, which means
    # nothing to a user.
    with with_reporter(_discard), limit.in_force():
        run_state_machine_as_test(machine, settings=settings)


def _discard(_: object) -> None:
    """Discard the steps that Hypothesis would print; the breach carries its own steps."""
