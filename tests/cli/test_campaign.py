"""Many runs: in order, over several processes, and nothing goes on when nobody asks any more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest

from harness.cli.campaign import campaign
from harness.cli.swarm import WORKLOADS, swarm
from harness.core.plan import RunSpec
from harness.core.verdict import ExitCode
from tests.cli.attempts import sevens_fail, sevens_hang, sevens_raise


def specs(count: int) -> Iterator[RunSpec]:
    return (replace(RunSpec(), seed=seed) for seed in range(count))


@pytest.mark.parametrize("jobs", [1, 3])
def test_in_order_whoever_ran_it(jobs: int) -> None:
    done = list(campaign(specs(40), sevens_fail, jobs))
    assert [item.spec.seed for item in done] == list(range(40))
    failed = [item.spec.seed for item in done if item.exit_code is ExitCode.VIOLATION]
    assert failed == [7, 17, 27, 37]
    mine = {item.word for item in done} == {str(os.getpid())}
    assert mine is (jobs == 1)


def test_it_ends_when_nobody_asks_any_more() -> None:
    """One of the runs would hang for ever; whoever ran it is gone afterwards."""
    told = campaign(specs(1000), sevens_hang, 2)
    done = list(islice(told, 5))
    told.close()
    assert [item.spec.seed for item in done] == [0, 1, 2, 3, 4]
    for process in {int(item.word) for item in done}:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_an_error_in_a_run_is_not_lost() -> None:
    with pytest.raises(RuntimeError, match="seven"):
        list(campaign(specs(20), sevens_raise, 2))


def test_swarm_draws_from_the_seed_alone() -> None:
    every = ("partition", "kill", "pause")
    drawn = [swarm(replace(RunSpec(), nemeses=every, seed=seed)) for seed in range(200)]
    assert drawn == [swarm(replace(RunSpec(), nemeses=every, seed=seed)) for seed in range(200)]
    assert all(item.nemeses and set(item.nemeses) <= set(every) for item in drawn)
    assert len({item.nemeses for item in drawn}) == 7
    assert {item.nodes for item in drawn} == {3, 4, 5, 7}
    assert {item.workload for item in drawn} == set(WORKLOADS)
    assert swarm(replace(RunSpec(), nemeses=())).nemeses == ()
    options = {option for item in drawn for option in item.options}
    assert {"snapshot-entries=5", "batch-entries=1", "sessions=no"} <= options
    given = swarm(replace(RunSpec(), options=("sessions=yes",), seed=3)).options
    assert [option for option in given if option.startswith("sessions")] == ["sessions=yes"]
