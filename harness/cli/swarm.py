"""Swarm testing: each seed draws what it is made of (Groce et al., "Swarm Testing", ISSTA 2012).

A run that has everything switched on often finds less than many that each lack something: what is
always there hides what happens only without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.cli import registry
from harness.core.plan import RunSpec
from harness.core.protocols import HasHarmlessChoices
from harness.core.rng import derive

NODES = (3, 3, 4, 5, 5, 7)
CONCURRENCY = (4, 8, 10, 10, 20)
RATES = (20.0, 50.0, 100.0, 100.0, 300.0)
ELECTIONS = ((100, 300), (100, 300), (150, 300), (100, 150), (300, 600))
INTENSITIES = ("calm", "normal", "brutal", "brutal")
WORKLOADS = (
    *("register", "register", "set", "append", "counter"),
    *("cas-register", "queue", "lock", "bank", "unique-ids"),
)
SHARES = (0.15, 0.3, 0.5)
"""Of the nemeses. With all of them at once little is answered, and little can be broken."""


def swarm(spec: RunSpec, *, nemeses: bool = True) -> RunSpec:
    """The spec with its own subset of nemeses, size, rates and time-outs, drawn from its seed.

    At least one of its nemeses stays (if it has any), and what is not drawn stays as it is: so do
    options of the target that are given and, without ``nemeses``, all of them and their intensity.

    Raises:
        UsageError: there is no such target.
    """
    rng = derive(spec.seed, "swarm")
    # Whatever is drawn is drawn always: one choice must not shift the next.
    nodes, concurrency = rng.choice(NODES), rng.choice(CONCURRENCY)
    rate, election, workload = rng.choice(RATES), rng.choice(ELECTIONS), rng.choice(WORKLOADS)
    intensity = rng.choice(INTENSITIES)
    share = rng.choice(SHARES)
    kept = tuple(name for name in spec.nemeses if rng.random() < share)
    if not kept and spec.nemeses:
        kept = (rng.choice(spec.nemeses),)
    if not nemeses:
        kept, intensity = spec.nemeses, spec.intensity
    options = tuple(_options(spec))
    return replace(
        spec,
        nodes=nodes,
        concurrency=concurrency,
        rate=rate,
        election_timeout_ms=election,
        workload=workload,
        nemeses=kept,
        intensity=intensity,
        options=(*spec.options, *options),
    )


def _options(spec: RunSpec) -> Iterator[str]:
    """Values for the target's options that change nothing of what it promises."""
    target = registry.load("targets", spec.target)
    if not isinstance(target, HasHarmlessChoices):
        return
    given = {option.partition("=")[0] for option in spec.options}
    for name, values in target.choices.items():
        # A stream for each: an option more must not change what the others are.
        drawn = derive(spec.seed, f"swarm/{name}").choice((values[0], *values))
        if name in target.harmless and name not in given and drawn != values[0]:
            yield f"{name}={drawn}"
