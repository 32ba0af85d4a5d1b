"""What dead runs left on the engine: found by label and by ledger, removed by id."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from harness.core.errors import EnvironmentFailure
from harness.runtime import ledger
from harness.runtime.docker import images, programs
from harness.runtime.docker.attached import agent_container, ask
from harness.runtime.docker.cluster import table_name
from harness.runtime.docker.engine import Engine, EngineFailure, Found
from harness.runtime.docker.owner import IMAGE, ON, ROLE, RUN, Owner, is_dead, labels

_ANSWER_S = 20.0
_REPOSITORIES = (programs.REPOSITORY, images.NODE_REPOSITORY, images.BASE_REPOSITORY)


@dataclass(slots=True)
class Remains:
    """What is there of one run."""

    containers: list[Found] = field(default_factory=list)
    networks: list[Found] = field(default_factory=list)

    @property
    def dead(self) -> bool:
        """Is the run over?"""
        agent_runs = any(
            it.labels.get(ROLE) == "agent" and it.state == "running" for it in self.containers
        )
        return all(is_dead(it.labels, agent_runs) for it in (*self.containers, *self.networks))

    @property
    def words(self) -> list[str]:
        """One phrase for each thing."""
        return [
            *(f"container {it.name} ({it.state})" for it in self.containers),
            *(f"network {it.name}" for it in self.networks),
        ]


def dead_runs(engine: Engine) -> Mapping[str, Remains]:
    """What is there of runs that are over, by run id."""
    runs: dict[str, Remains] = {}
    for container in engine.containers(RUN):
        runs.setdefault(container.labels[RUN], Remains()).containers.append(container)
    for network in engine.networks(RUN):
        runs.setdefault(network.labels[RUN], Remains()).networks.append(network)
    for entry in ledger.entries():
        # Somebody may have removed what had labels; a firewall table has none.
        owner = Owner.parse(entry.owner)
        if entry.run_id not in runs and entry.where == engine.where and owner and owner.is_gone():
            runs[entry.run_id] = Remains()
    return {run_id: remains for run_id, remains in sorted(runs.items()) if remains.dead}


def remove(engine: Engine, run_id: str, remains: Remains) -> list[str]:
    """Removes a dead run's things, the network last: while it is there, the run can be found.

    Returns what was removed, in words.

    Raises:
        EngineFailure: something cannot be removed; what was before it is gone.
    """
    words = []
    for container in remains.containers:
        engine.remove(container.id)
    dropped = _drop_table(engine, run_id)
    if dropped:
        words.append(f"firewall table {table_name(run_id)}")
    for network in remains.networks:
        try:
            engine.remove_network(network.id)
        except EngineFailure as error:
            if error.status != 404:
                raise
    if dropped is not None:
        ledger.forget(run_id)
    return [*remains.words, *words]


def remove_old_images(engine: Engine) -> list[str]:
    """Removes images of ours that the present version would not use; those in use stay.

    Images without a name are what is left of one that two runs made at the same time.
    """
    files = images.project_files()
    wanted = {base.reference for base in images.bases()}
    wanted |= {images.name(files, base.kind) for base in images.bases()}
    words = []
    # Targets' images first, then nodes': a base cannot go before what stands on it.
    found = sorted(engine.images(IMAGE), key=lambda it: it.name, reverse=True)
    for image in found:
        ours = image.name.startswith((*_REPOSITORIES, image.id))
        if not wanted.isdisjoint((image.name, image.labels.get(ON))) or not ours:
            continue
        with suppress(EngineFailure):
            engine.remove_image(image.name)
            words.append(f"image {image.name[:40]} (not of this version)")
    return words


def _drop_table(engine: Engine, run_id: str) -> bool | None:
    """Removes the firewall table of a run whose agent was killed; False when there is none, None
    without an image that has the tools: until there is one, the run's ledger stays."""
    image = images.existing(engine)
    if image is None:
        # No image of this version: the run's own may be there, and then tools are in it too.
        image = next((it.name for it in engine.images(f"{IMAGE}=node")), None)
    if image is None:
        return None
    command = ("nft", "delete", "table", "bridge", table_name(run_id))
    named = labels(f"{run_id}-clean", Owner.here(), "cleaner")
    spec = agent_container(f"harness-{run_id}-clean", image, named, command)
    try:
        _, errors = ask(engine, spec, b"", _ANSWER_S)
    except TimeoutError:
        raise EnvironmentFailure(f"removing the firewall table of run {run_id} hangs") from None
    return not errors
