"""Swarm testing: each seed draws what it is made of (Groce et al., "Swarm Testing", ISSTA 2012).

A run that has everything switched on often finds less than many that each lack something: what is
always there hides what happens only without it.
"""

from __future__ import annotations

from dataclasses import replace

from harness.core.plan import RunSpec
from harness.core.rng import derive

NODES = (3, 4, 5, 5, 7)
CONCURRENCY = (4, 8, 10, 10, 20)
RATES = (20.0, 50.0, 100.0, 100.0, 300.0)
ELECTIONS = ((100, 300), (100, 300), (150, 300), (100, 150), (300, 600))
WORKLOADS = ("register", "register", "set", "append", "counter")


def swarm(spec: RunSpec) -> RunSpec:
    """The spec with its own subset of nemeses, size, rates and time-outs, drawn from its seed.

    At least one of its nemeses stays (if it has any), and what is not drawn stays as it is.
    """
    rng = derive(spec.seed, "swarm")
    # Whatever is drawn is drawn always: one choice must not shift the next.
    nodes, concurrency = rng.choice(NODES), rng.choice(CONCURRENCY)
    rate, election, workload = rng.choice(RATES), rng.choice(ELECTIONS), rng.choice(WORKLOADS)
    kept = tuple(name for name in spec.nemeses if rng.random() < 0.5)
    if not kept and spec.nemeses:
        kept = (rng.choice(spec.nemeses),)
    return replace(
        spec,
        nodes=nodes,
        concurrency=concurrency,
        rate=rate,
        election_timeout_ms=election,
        workload=workload,
        nemeses=kept,
    )
