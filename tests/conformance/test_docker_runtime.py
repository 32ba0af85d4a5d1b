"""What the docker runtime alone promises: it leaves nothing, however it ends, and spares others."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.core.cluster import Cluster, Provision, ServerSpec
from harness.core.errors import EnvironmentFailure
from harness.runtime.docker import DockerRuntime, images, subnets
from harness.runtime.docker.cluster import Builder, provisioned, table_name
from harness.runtime.docker.engine import ContainerSpec, Engine, EngineFailure
from harness.runtime.docker.leftovers import dead_runs, remove
from harness.runtime.docker.owner import RUN
from tests.conftest import unavailable
from tests.unit.docker.parts import collect_sdk_garbage

pytestmark = pytest.mark.docker

PORT = 8080
SOCKET = "/var/run/docker.sock"
ECHO = """
import os, socket
listening = socket.create_server(("0.0.0.0", 8080))
print("started as", os.getuid(), flush=True)
open("written", "w").close()
while True:
    made, _ = listening.accept()
    with made:
        made.sendall(made.recv(100).upper())
"""
HARNESS = """
import asyncio, sys
from pathlib import Path
from harness.core.cluster import Provision, ServerSpec
from harness.runtime.docker import DockerRuntime

async def main():
    run_id, folder, echo = sys.argv[1:]
    async with DockerRuntime().provision(Provision(run_id, ("n1", "n2"), Path(folder))) as cluster:
        for node in cluster.nodes:
            place = cluster.place(node)
            await cluster.processes.launch(node, ServerSpec((place.python, "-c", echo)))
        await cluster.network.cut("one", {"n1": frozenset({"n2"})})
        print("up", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def engine() -> Iterator[Engine]:
    missing = DockerRuntime().missing()
    if missing:
        unavailable(missing)
    engine = Engine.connect()
    yield engine
    engine.close()


@pytest.fixture
def run_id(engine: Engine) -> Iterator[str]:
    """A run's id; whatever a failed test left of it is removed."""
    run_id = secrets.token_hex(4)
    yield run_id
    for container in engine.containers(f"{RUN}={run_id}"):
        engine.remove(container.id)
    for network in engine.networks(f"{RUN}={run_id}"):
        engine.remove_network(network.id)


def eventually(true: Callable[[], bool], limit_s: float = 10.0) -> bool:
    """Polls until it is so, or the time is over."""
    deadline = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def of_run(engine: Engine, run_id: str) -> tuple[list[str], list[str]]:
    """Names of a run's (containers, networks)."""
    mine = f"{RUN}={run_id}"
    return (
        [it.name for it in engine.containers(mine)],
        [it.name for it in engine.networks(mine)],
    )


def echo(cluster: Cluster, node: str) -> ServerSpec:
    return ServerSpec((cluster.place(node).python, "-c", ECHO))


async def answers(cluster: Cluster, node: str, limit_s: float = 10.0) -> bytes:
    """What the node's echo says, however long it takes to come up."""
    async with asyncio.timeout(limit_s):
        while True:
            with suppress(OSError):
                reader, writer = await cluster.dial(node, PORT, 1.0)
                writer.write(b"hello")
                answer = await reader.read(100)
                writer.close()
                return answer
            await asyncio.sleep(0.01)


def host_rules() -> set[str]:
    """The host's firewall rules, without counters and without what belongs to runs of ours."""
    rules: set[str] = set()
    for command in (["nft", "-s", "list", "ruleset"], ["iptables-save"]):
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            printed = re.sub(r"(?ms)^table bridge harness_.*?^}$", "", done.stdout)
            rules |= {line for line in printed.splitlines() if not re.search("^[:#]|qh-", line)}
    return rules


@dataclass
class Harness:
    """Another harness process, with a cluster that is up."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, run_id: str, folder: Path) -> Harness:
        argv = [sys.executable, "-c", HARNESS, run_id, str(folder), ECHO]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        if process.stdout.readline() != "up\n":
            process.kill()
            process.wait()
            pytest.fail("the other harness did not come up")
        return cls(process)

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_a_killed_harness_leaves_nothing_that_runs(
    engine: Engine, run_id: str, tmp_path: Path
) -> None:
    rules = host_rules()
    harness = Harness.start(run_id, tmp_path)
    containers, networks = of_run(engine, run_id)
    assert len(containers) == 3
    assert not [words for words in DockerRuntime().leftovers() if run_id in words]
    assert not [words for words in DockerRuntime().clean() if run_id in words]
    assert of_run(engine, run_id) == (containers, networks)

    harness.end(signal.SIGKILL)
    assert eventually(lambda: of_run(engine, run_id)[0] == [])
    left = [words for words in DockerRuntime().leftovers() if run_id in words]
    assert left == [f"network harness-{run_id}-net"]
    assert [words for words in DockerRuntime().clean() if run_id in words] == left
    assert of_run(engine, run_id) == ([], [])
    assert rules <= host_rules()
    assert table_name(run_id) not in tables()


def test_a_killed_agent_leaves_what_clean_removes(
    engine: Engine, run_id: str, tmp_path: Path
) -> None:
    harness = Harness.start(run_id, tmp_path)
    mine = engine.containers(f"{RUN}={run_id}")
    agent = next(it for it in mine if it.name == f"harness-{run_id}-agent")
    # SIGKILL to the agent itself: nothing of its own can heal any more.
    engine.remove(agent.id)
    harness.end(signal.SIGKILL)
    assert eventually(lambda: of_run(engine, run_id)[0] == [])
    removed = [words for words in DockerRuntime().clean() if run_id in words]
    assert removed == [f"network harness-{run_id}-net", f"firewall table {table_name(run_id)}"]
    assert of_run(engine, run_id) == ([], [])
    assert table_name(run_id) not in tables()


def tables() -> str:
    """The host's firewall tables, where we may look."""
    if os.getuid() or not shutil.which("nft"):
        return ""
    return subprocess.run(
        ["nft", "list", "tables"], capture_output=True, text=True, check=True
    ).stdout


def test_an_interrupted_harness_removes_everything(
    engine: Engine, run_id: str, tmp_path: Path
) -> None:
    harness = Harness.start(run_id, tmp_path)
    harness.end(signal.SIGINT)
    assert of_run(engine, run_id) == ([], [])


@pytest.mark.parametrize("after_s", [0.0, 0.15, 0.3, 0.6])
def test_cancelled_while_building(
    engine: Engine, run_id: str, tmp_path: Path, after_s: float
) -> None:
    images.ensure(engine, lambda _: None)

    async def go() -> None:
        async def provision() -> None:
            request = Provision(run_id, ("n1", "n2", "n3"), tmp_path)
            async with DockerRuntime().provision(request):
                await asyncio.sleep(60)

        task = asyncio.create_task(provision())
        await asyncio.sleep(after_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert of_run(engine, run_id) == ([], [])


def test_a_name_that_is_taken(engine: Engine, run_id: str, tmp_path: Path) -> None:
    image = images.ensure(engine, lambda _: None)
    foreign = engine.create(ContainerSpec(f"harness-{run_id}-n2", image, ("cat",), {"not": "ours"}))
    try:

        async def go() -> None:
            async with DockerRuntime().provision(Provision(run_id, ("n1", "n2"), tmp_path)):
                pass

        with pytest.raises(EnvironmentFailure, match=f"harness-{run_id}-n2") as caught:
            asyncio.run(go())
        assert "\n" not in str(caught.value)
        assert of_run(engine, run_id) == ([], [])
        assert [it.id for it in engine.containers("not=ours")] == [foreign]
    finally:
        engine.remove(foreign)


def test_a_subnet_that_somebody_took_meanwhile(
    engine: Engine, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = f"{run_id}x"
    free = subnets.candidates(run_id, [*engine.subnets(), *subnets.host_routes()])
    taken, following = next(free), next(free)
    network = engine.create_network(
        f"harness-{theirs}-net", taken, subnets.gateway(taken), f"x{run_id}", {"not": "ours"}
    )
    try:
        # As if it had been free when we looked.
        monkeypatch.setattr(subnets, "candidates", lambda *_: iter([taken, following]))

        async def go() -> str:
            async with DockerRuntime().provision(Provision(run_id, ("n1",), tmp_path)) as cluster:
                return cluster.addresses["n1"]

        assert asyncio.run(go()) == subnets.addresses(following, ("n1",))["n1"]
        assert [it.id for it in engine.networks("not=ours")] == [network]
    finally:
        engine.remove_network(network)


class Relay:
    """An engine that can die: a socket whose connections lead to the real one's, until cut.

    Requests that contain ``swallowed`` get no answer.
    """

    swallowed: bytes | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(64)
        self._threads = [self._thread(self._accept)]

    def cut(self) -> None:
        self._path.unlink(missing_ok=True)
        for made in (self._listening, *self._open):
            with suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for made in (self._listening, *self._open):
            made.close()

    def _thread(self, what: Callable[..., None], *arguments: socket.socket) -> threading.Thread:
        thread = threading.Thread(target=what, args=arguments, daemon=True)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                engine = socket.socket(socket.AF_UNIX)
                self._open += [client, engine]
                engine.connect(SOCKET)
                self._threads.append(self._thread(self._pump, client, engine))
                self._threads.append(self._thread(self._pump, engine, client))

    def _pump(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if self.swallowed is None or self.swallowed not in data:
                    to.sendall(data)
            to.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    if engine.where != "http+docker://localhost" or not Path(SOCKET).exists():
        unavailable("the engine is not behind its usual socket")
    relay = Relay(tmp_path / "docker.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    yield relay
    relay.cut()
    collect_sdk_garbage()


def test_an_engine_that_dies(engine: Engine, run_id: str, tmp_path: Path, relay: Relay) -> None:
    """One line, no hanging; and the containers end all the same, as nobody holds them."""
    images.ensure(engine, lambda _: None)

    async def go() -> None:
        async with DockerRuntime().provision(Provision(run_id, ("n1",), tmp_path)) as cluster:
            await cluster.processes.launch("n1", echo(cluster, "n1"))
            assert await answers(cluster, "n1") == b"HELLO"
            await asyncio.to_thread(relay.cut)
            with pytest.raises(EnvironmentFailure, match="the agent has ended"):
                await cluster.processes.kill("n1")

    with pytest.raises(EnvironmentFailure, match=r"left behind.*harness clean") as caught:
        asyncio.run(go())
    assert "\n" not in str(caught.value)
    assert eventually(lambda: of_run(engine, run_id)[0] == [])


def test_a_pull_that_hangs(relay: Relay) -> None:
    """As behind a firewall that swallows packets: it ends after the silence that is allowed."""
    relay.swallowed = b"/images/create"
    through = Engine.connect()
    try:
        begun = time.monotonic()
        with pytest.raises(EngineFailure, match="pulling nobody/nothing:1"):
            through.pull("nobody/nothing", "1", silence_s=0.3, limit_s=60)
        assert time.monotonic() - begun < 10
    finally:
        through.close()


def test_clients_through_published_ports(run_id: str, tmp_path: Path) -> None:
    async def go() -> None:
        runtime = DockerRuntime(publish=True)
        async with runtime.provision(Provision(run_id, ("n1", "n2"), tmp_path)) as cluster:
            with pytest.raises(ConnectionRefusedError):
                await cluster.dial("n1", PORT, 2.0)
            await cluster.processes.launch("n1", echo(cluster, "n1"))
            assert await answers(cluster, "n1") == b"HELLO"
            with pytest.raises(ConnectionRefusedError):
                await cluster.dial("n2", PORT, 2.0)
            await cluster.processes.kill("n1")
            with pytest.raises(ConnectionRefusedError):
                await cluster.dial("n1", PORT, 2.0)
            await cluster.processes.start("n1")
            assert await answers(cluster, "n1") == b"HELLO"

    asyncio.run(go())


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder to another user")
def test_servers_of_an_ordinary_user(engine: Engine, run_id: str, tmp_path: Path) -> None:
    """What a user without privileges sees: the files are theirs, and every fault works."""
    user = 65534
    for node in ("n1", "n2"):
        (tmp_path / node).mkdir()
        os.chown(tmp_path / node, user, user)
    image = images.ensure(engine, lambda _: None)

    async def go() -> None:
        request = Provision(run_id, ("n1", "n2"), tmp_path)
        async with provisioned(Builder(engine, request, image, f"{user}:{user}", [])) as cluster:
            await cluster.processes.launch("n1", echo(cluster, "n1"))
            assert await answers(cluster, "n1") == b"HELLO"
            assert (cluster.home("n1") / "written").stat().st_uid == user
            assert (cluster.home("n1") / "log.txt").read_text() == f"started as {user}\n"
            await cluster.processes.pause("n1")
            assert (await cluster.processes.state("n1")).state == "stopped"
            await cluster.processes.kill("n1")
            assert (await cluster.processes.state("n1")).state == "gone"

    asyncio.run(go())


def test_the_notes_say_what_was_picked(run_id: str, tmp_path: Path) -> None:
    async def go() -> tuple[str, ...]:
        async with DockerRuntime().provision(Provision(run_id, ("n1",), tmp_path)) as cluster:
            return cluster.notes

    notes = asyncio.run(go())
    assert any(note.startswith("firewall: ") for note in notes)
    assert any(note.startswith("shaping: ") for note in notes)
    assert json.dumps(notes)


def test_a_table_that_nothing_points_to_any_more_is_found(
    engine: Engine, run_id: str, tmp_path: Path
) -> None:
    """Harness and agent were killed, and somebody removed the containers and the network."""
    harness = Harness.start(run_id, tmp_path)
    mine = f"{RUN}={run_id}"
    (agent,) = [it for it in engine.containers(mine) if it.name.endswith("-agent")]
    harness.process.kill()
    engine.remove(agent.id)
    harness.end(signal.SIGKILL)
    for container in engine.containers(mine):
        engine.remove(container.id)
    for network in engine.networks(mine):
        engine.remove_network(network.id)
    found = dead_runs(engine)
    assert run_id in found
    words = remove(engine, run_id, found[run_id])
    assert table_name(run_id) not in tables()
    assert run_id not in dead_runs(engine)
    # The agent may have had the time to undo it: then there was nothing to be removed.
    assert words in ([], [f"firewall table {table_name(run_id)}"])
