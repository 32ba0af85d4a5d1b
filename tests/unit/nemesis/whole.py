"""One fault from beginning to end on a cluster of the imagination."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from harness.core.faults import FaultSpec, Proof
from harness.core.protocols import Nemesis, Resolved
from harness.core.values import Value
from tests.fakes import FakeCluster, FakeTarget, context


@dataclass(frozen=True)
class Course:
    """What a fault said of itself."""

    resolved: Resolved
    bit: Proof
    healed: Proof


async def course(
    nemesis: Nemesis,
    params: dict[str, Value],
    cluster: FakeCluster,
    target: FakeTarget | None = None,
    lasts_s: float = 3.0,
) -> Course:
    """Begins, waits, proves and ends."""
    where = context(cluster, target)
    fault = nemesis.fault(FaultSpec(nemesis.name, params))
    resolved = await fault.begin(where)
    await asyncio.sleep(lasts_s)
    bit = await fault.prove(where)
    healed = await fault.end(where)
    again = await fault.end(where)
    assert again.holds == healed.holds, "a second end says the same"
    return Course(resolved, bit, healed)
