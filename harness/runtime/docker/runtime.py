"""The runtime: what an engine can do here, clusters of containers, and what dead runs left."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from harness.core.cluster import Cluster, Provision
from harness.core.errors import EnvironmentFailure
from harness.core.protocols import Program, programs_of
from harness.runtime.docker import images, leftovers, programs
from harness.runtime.docker.attached import agent_container, ask
from harness.runtime.docker.cluster import Builder, node_user, provisioned
from harness.runtime.docker.engine import Engine, EngineFailure
from harness.runtime.docker.owner import Owner, labels
from harness.runtime.hands import lacking

_LOOK_S = 3
_PROBE_S = 20.0
_MEANS = ("nft", "iptables", "netem", "nfqueue", "disks", "limits", "prlimit")


class DockerRuntime:
    """See :class:`~harness.core.cluster.Runtime`. Nothing is asked of an engine until needed.

    ``publish`` says whether clients go through ports published on this host's loopback; by
    default only where the engine keeps its containers in a virtual machine.
    """

    name = "docker"

    def __init__(self, publish: bool | None = None) -> None:
        self._publish = publish
        self._abilities: Mapping[str, str | None] | None = None

    def missing(self) -> str | None:
        """See the protocol."""
        try:
            engine = Engine.connect(_LOOK_S)
        except EngineFailure as error:
            return str(error)
        try:
            return _unfit(engine)
        except EngineFailure as error:
            return str(error)
        finally:
            engine.close()

    def lacks(self, capability: str) -> str | None:
        """See the protocol.

        The kernel is asked through a throw-away agent when the nodes' image is there. Before the
        first run it is not: then what is lacking shows when the cluster is built.
        """
        unasked = dict.fromkeys(_MEANS)
        reason = lacking(capability, unasked)
        if reason is not None or lacking(capability, dict.fromkeys(_MEANS, "x")) is None:
            return reason
        if self._abilities is None:
            engine = Engine.connect()
            try:
                self._abilities = _probe(engine)
                if self._abilities and not node_user(engine.about().rootless):
                    # The servers are the agent's user: it may limit them without being asked to.
                    self._abilities = {**self._abilities, "prlimit": None}
            finally:
                engine.close()
        return lacking(capability, self._abilities or unasked)

    def lacks_program(self, program: Program) -> str | None:
        """See :class:`~harness.core.protocols.BringsPrograms`."""
        return self._asked(programs.lacking, program)

    def program_version(self, program: Program) -> str | None:
        """See :class:`~harness.core.protocols.BringsPrograms`."""
        return self._asked(programs.version, program)

    def _asked(self, ask: Callable[[Engine, Program], str | None], program: Program) -> str | None:
        engine = Engine.connect()
        try:
            return ask(engine, program)
        finally:
            engine.close()

    def provision(self, request: Provision) -> AbstractAsyncContextManager[Cluster]:
        """See the protocol."""
        return self._provision(request)

    @asynccontextmanager
    async def _provision(self, request: Provision) -> AsyncIterator[Cluster]:
        engine = await asyncio.to_thread(Engine.connect)
        try:
            unfit = await asyncio.to_thread(_unfit, engine)
            if unfit:
                raise EnvironmentFailure(f"runtime docker: {unfit}")
            notes: list[str] = []
            notes += await asyncio.to_thread(_sweep, engine)
            image = await asyncio.to_thread(images.ensure, engine, notes.append)
            needed = programs_of(request.target)
            if needed:
                image = await asyncio.to_thread(
                    programs.ensure, engine, image, needed, notes.append
                )
            about = await asyncio.to_thread(engine.about)
            hidden = about.system == "Docker Desktop" or sys.platform != "linux"
            if hidden:
                notes.append(f"the nodes' traces carry the clock of the machine of {about.system}")
            publish = hidden if self._publish is None else self._publish
            builder = Builder(engine, request, image, node_user(about.rootless), notes, publish)
            async with provisioned(builder) as cluster:
                yield cluster
        finally:
            engine.close()

    def leftovers(self) -> Sequence[str]:
        """See the protocol."""
        engine = Engine.connect()
        try:
            found = leftovers.dead_runs(engine)
            return [words for remains in found.values() for words in remains.words]
        finally:
            engine.close()

    def clean(self) -> Sequence[str]:
        """See the protocol. Also removes images that only other versions of this would use."""
        engine = Engine.connect()
        try:
            return [*_clear(engine), *leftovers.remove_old_images(engine)]
        finally:
            engine.close()


def _unfit(engine: Engine) -> str | None:
    if not engine.is_here:
        return (
            f"the engine at {engine.where} is on another host, but the nodes' homes are folders "
            "of this one: use an engine here, or --runtime netns"
        )
    about = engine.about()
    if about.kind != "linux":
        return f"the engine runs {about.kind} containers: switch it to Linux containers"
    return None


def _clear(engine: Engine) -> list[str]:
    removed = []
    for run_id, remains in leftovers.dead_runs(engine).items():
        removed += leftovers.remove(engine, run_id, remains)
    return removed


def _sweep(engine: Engine) -> list[str]:
    """Removes what dead runs left before a new one; what cannot be removed must not stop it."""
    try:
        removed = _clear(engine)
    except EnvironmentFailure as error:
        return [f"dead runs left something that cannot be removed: {error}"]
    return [f"removed what dead runs left: {', '.join(removed)}"] if removed else []


def _probe(engine: Engine) -> Mapping[str, str | None] | None:
    """What the engine's kernel can do; None when there is no image to ask with."""
    image = images.existing(engine)
    if image is None:
        return None
    probe = f"probe-{secrets.token_hex(4)}"
    spec = agent_container(
        f"harness-{probe}", image, labels(probe, Owner.here(), "probe"), disks=True
    )
    request = json.dumps({"id": 1, "op": "hello", "probe": True}) + "\n"
    try:
        answer, errors = ask(engine, spec, request.encode(), _PROBE_S)
    except TimeoutError:
        raise EngineFailure("the agent's container does not answer") from None
    if not answer:
        raise EngineFailure(f"the agent does not run in a container here: {errors}")
    abilities: Mapping[str, str | None] = json.loads(answer)["ok"]["lacks"]
    return abilities
