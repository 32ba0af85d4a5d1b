"""A real system that nobody here wrote: right where it promises to be, caught where it does not."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from harness.core.cluster import Cluster, Provision
from harness.core.operations import Call, Completion, Outcome
from harness.core.protocols import FaultContext, TargetOptions
from harness.core.values import Value
from harness.runtime.netns import NetnsRuntime
from harness.runtime.programs import find
from harness.store.load import load_run
from target.adapters.etcd import EtcdTarget
from tests.cli.commands import RUNTIMES, harness, last_json, need
from tests.conformance.conftest import until
from tests.conftest import CI, unavailable
from tests.packages import install

pytestmark = pytest.mark.timeout(240)

NODES = ("n1", "n2", "n3")
SYSTEMD = Path("/run/systemd/system")
ETCD = EtcdTarget.programs[0]
TARGET = EtcdTarget(TargetOptions())


@cache
def _lacking() -> str | None:
    if find(ETCD):
        return None
    if SYSTEMD.exists() and not CI:
        # The package starts a service there: that is for the machine's owner to decide.
        return f"etcd is not installed: apt-get install {ETCD.package}"
    why = install(ETCD.package)
    return None if find(ETCD) else f"no etcd ({why}): apt-get install {ETCD.package}"


def need_etcd(runtime: str) -> None:
    """The runtime and the program: a skip with the reason, or a failure under CI."""
    need(runtime)
    lacking = _lacking()
    if lacking:
        unavailable(lacking)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_linearizable_reads_are(runtime: str, tmp_path: Path) -> None:
    need_etcd(runtime)
    done = harness(
        *("run", "--target", "etcd", "--runtime", runtime, "--nemesis", "partition,kill"),
        *("--nodes", "3", "--time-limit", "15", "--seed", "7", "--json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = last_json(done)
    assert answer["verdict"] == "valid"
    assert answer["stats"]["faults"]["proven"] == answer["stats"]["faults"]["planned"] >= 2
    # No trace, no word about traces.
    assert set(answer["checkers"]) == {"linearizable", "liveness"}
    folder = tmp_path / "runs" / "latest"
    for node in NODES:
        assert {path.name for path in (folder / "nodes" / node).iterdir()} == {
            *("log.txt", "files.txt")
        }
    assert not (folder / "nodes" / "n1" / "trace.jsonl").exists()
    assert "in the traces of" not in (folder / "report.html").read_text()
    record = load_run(folder)
    assert record.plan is not None
    assert record.plan.versions["etcd"][0].isdigit() or runtime == "docker"
    assert {role.role for role in record.roles} >= {"leader", "follower"}
    again = harness("check", str(folder), "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert set(last_json(again)["checkers"]) == {"linearizable", "liveness"}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_serializable_reads_are_stale_at_a_leader_that_was_cut_off(
    runtime: str, tmp_path: Path
) -> None:
    need_etcd(runtime)
    for attempt in range(3):
        done = harness(
            *("run", "--target", "etcd", "--runtime", runtime, "--nemesis", "partition:leader"),
            *("--option", "reads=serializable", "--nodes", "3", "--time-limit", "30"),
            *("--seed", str(attempt), "--json"),
            cwd=tmp_path,
        )
        if done.returncode == 1:
            break
    assert done.returncode == 1, done.stdout + done.stderr
    assert last_json(done)["checkers"]["linearizable"]["verdict"] == "invalid"
    assert "--option reads=serializable" in done.stdout


@pytest.mark.netns
def test_clocks_that_cannot_be_skewed_are_refused(tmp_path: Path) -> None:
    need_etcd("netns")
    done = harness(
        *("run", "--target", "etcd", "--runtime", "netns", "--nemesis", "clock,kill"), cwd=tmp_path
    )
    assert done.returncode == 5
    assert "nemesis clock cannot work here" in done.stderr
    assert done.stderr.strip().endswith("--nemesis kill")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.netns
def test_without_the_program_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("netns")
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ("run", "--target", "etcd", "--runtime", "netns", "--nemesis", "kill")
    done = harness(*arguments, cwd=tmp_path)
    assert done.returncode == 5
    assert done.stderr.strip().splitlines() == [
        "harness: target etcd: etcd is not installed here: apt-get install etcd-server"
    ]
    assert list(tmp_path.iterdir()) == []
    # In lines of a terminal's width, wherever those break.
    doctor = " ".join(harness("doctor", cwd=tmp_path).stdout.split())
    assert "apt-get install etcd-server" in doctor


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[asyncio.Runner, Cluster]]:
    """Three nodes that serve, and the loop that they live on."""
    need_etcd("netns")
    context = NetnsRuntime().provision(Provision(secrets.token_hex(4), NODES, tmp_path))

    async def launch() -> Cluster:
        cluster = await context.__aenter__()
        for node in NODES:
            await cluster.processes.launch(node, TARGET.server(cluster.place(node)))
        await TARGET.await_ready(cluster, 30.0)
        return cluster

    with asyncio.Runner() as runner:
        try:
            yield runner, runner.run(launch())
        finally:
            runner.run(context.__aexit__(None, None, None))


async def call(cluster: Cluster, node: str, call: Call, timeout_s: float = 10.0) -> Completion:
    client = TARGET.client(cluster, node, 1)
    try:
        return await client.invoke(call, timeout_s)
    finally:
        await client.close()


@pytest.mark.netns
def test_changes_side_by_side_are_all_there(cluster: tuple[asyncio.Runner, Cluster]) -> None:
    runner, nodes = cluster

    async def side_by_side(f: str, values: list[int]) -> Value:
        wanted = (
            call(nodes, NODES[place % 3], Call(f, f, value)) for place, value in enumerate(values)
        )
        done = await asyncio.gather(*wanted)
        assert {item.outcome for item in done} == {Outcome.OK}, done
        return (await call(nodes, "n2", Call("read", f))).value

    assert runner.run(side_by_side("increment", [1] * 12)) == 12
    for f in ("append", "add"):
        held = runner.run(side_by_side(f, [1, 2, 3, 4, 5, 6]))
        assert isinstance(held, tuple)
        assert set(held) == {1, 2, 3, 4, 5, 6} and len(held) == 6


@pytest.mark.netns
def test_what_a_client_is_told_without_a_majority(cluster: tuple[asyncio.Runner, Cluster]) -> None:
    runner, nodes = cluster

    async def scenario() -> None:
        leader = await FaultContext(nodes, TARGET, "P1").leader()
        assert leader is not None
        for node in NODES:
            if node != leader:
                await nodes.processes.pause(node)
        written = await call(nodes, leader, Call("write", "x", 1), 0.5)
        assert written.outcome is Outcome.INFO
        changed = await call(nodes, leader, Call("increment", "c", 1), 0.5)
        assert (changed.outcome, changed.error) == (Outcome.FAIL, "not read: timed out")
        await nodes.processes.kill(leader)

        async def refused() -> bool:
            done = await call(nodes, leader, Call("write", "x", 2), 0.5)
            # The kernel may still accept, and then reset, when the process is gone already.
            assert done.outcome in (Outcome.FAIL, Outcome.INFO)
            return (done.outcome, done.error) == (Outcome.FAIL, "connection refused")

        await until(refused)

    runner.run(scenario())
