"""What the netns runtime alone promises: nothing is left, whoever dies; no privilege is needed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import harness
from harness.core.cluster import LinkBehaviour, Provision, ServerSpec
from harness.core.errors import EnvironmentFailure
from harness.runtime.netns import NetnsRuntime
from tests.conformance.conftest import SERVER
from tests.conftest import unavailable

pytestmark = pytest.mark.netns

ROOT = Path(harness.__file__).resolve().parents[1]
NOBODY = 65534
RUN = """
import asyncio, sys
from pathlib import Path
from harness.core.cluster import LinkBehaviour, Provision, ServerSpec
from harness.runtime.netns import NetnsRuntime

async def main():
    folder, server, firewall, wait = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    request = Provision("life", ("n1", "n2"), folder, firewall)
    async with NetnsRuntime().provision(request) as cluster:
        for node in cluster.nodes:
            place = cluster.place(node)
            await cluster.processes.launch(node, ServerSpec((place.python, "-c", server)))
        network = cluster.network
        await network.shape("a", {("n2", "n1"): LinkBehaviour(30_000_000)})
        assert await network.round_trip(("n1", "n2")) >= 30_000_000
        await network.cut("a", {"n2": frozenset({"n1"})})
        through = await network.probe([("n1", "n2"), ("n2", "n1")], 0.5)
        assert list(through.values()) == [False, True], through
        assert (await network.dropped())["n1", "n2"] > 0
        await cluster.processes.pause("n2")
        print("up", flush=True)
        if wait == "wait":
            await asyncio.sleep(600)
    print("down", flush=True)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def works() -> None:
    missing = NetnsRuntime().missing()
    if missing:
        unavailable(missing)


def parents() -> dict[int, int]:
    """Of every living process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] not in "ZX":
                    found[int(entry.name)] = int(fields[1])
    return found


def descendants(root: int) -> set[int]:
    """All below it, those in other pid namespaces included."""
    above = parents()
    found = {root}
    while more := {pid for pid, parent in above.items() if parent in found} - found:
        found |= more
    return found - {root}


def eventually(reached: Callable[[], bool], limit_s: float = 10.0) -> None:
    deadline = time.monotonic() + limit_s
    while not reached():
        assert time.monotonic() < deadline, f"not within {limit_s} s"
        time.sleep(0.01)


def namespaces(pid: int) -> set[str]:
    return {str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in ("net", "pid", "mnt")}


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def still_used(left: set[str]) -> bool:
    """Is any process in one of these namespaces?"""
    for pid in parents():
        with suppress(OSError):
            if namespaces(pid) & left:
                return True
    return False


@pytest.fixture
def run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A harness in a process of its own, its cluster up, cut, shaped and paused."""
    command = [sys.executable, "-c", RUN, str(tmp_path), SERVER, "auto", "wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
        process.kill()


def test_a_killed_harness_leaves_nothing(run: subprocess.Popen[str]) -> None:
    below = descendants(run.pid)
    # Two of the agent, the shaping helper, two servers and their children.
    assert len(below) >= 6
    ours = namespaces(os.getpid())
    theirs = set().union(*(namespaces(pid) for pid in below)) - ours
    assert len(theirs) >= 5
    os.kill(run.pid, signal.SIGKILL)
    eventually(lambda: not below & set(parents()))
    assert not still_used(theirs)


@pytest.mark.parametrize("which", ["the outer", "the inner"])
def test_a_killed_agent_takes_the_cluster_with_it(which: str, tmp_path: Path) -> None:
    others = descendants(os.getpid())

    async def body() -> None:
        request = Provision("agent", ("n1", "n2"), tmp_path)
        async with NetnsRuntime().provision(request) as cluster:
            python = cluster.place("n1").python
            await cluster.processes.launch("n1", ServerSpec((python, "-c", SERVER)))
            below = descendants(os.getpid()) - others
            above = parents()
            outer = next(pid for pid in below if above[pid] == os.getpid())
            inner = next(pid for pid in below if above[pid] == outer)
            os.kill(outer if which == "the outer" else inner, signal.SIGKILL)
            eventually(lambda: not below & set(parents()))
            with pytest.raises(EnvironmentFailure, match="the agent has ended"):
                await cluster.network.cut("a", {"n1": frozenset({"n2"})})

    asyncio.run(body())


def test_leaving_is_the_end_of_everything(tmp_path: Path) -> None:
    others = descendants(os.getpid())

    async def body() -> set[int]:
        async with NetnsRuntime().provision(Provision("end", ("n1",), tmp_path, "nft")) as cluster:
            python = cluster.place("n1").python
            await cluster.processes.launch("n1", ServerSpec((python, "-c", SERVER)))
            return descendants(os.getpid()) - others

    below = asyncio.run(body())
    assert len(below) >= 3
    assert not below & set(parents())
    assert (tmp_path / "n1/log.txt").exists()
    assert not NetnsRuntime().leftovers()


def test_packets_pass_when_the_shaping_helper_dies(tmp_path: Path) -> None:
    others = descendants(os.getpid())

    async def body() -> None:
        link = ("n1", "n2")
        slow = {link: LinkBehaviour(80_000_000)}
        async with NetnsRuntime().provision(Provision("helper", link, tmp_path)) as cluster:
            network = cluster.network
            if network.shaper != "nfqueue":
                unavailable("netem shapes here, without a helper")
            await network.shape("a", slow)
            assert (await network.round_trip(link) or 0) >= 80_000_000
            below = descendants(os.getpid()) - others
            [helper] = [pid for pid in below if "delayer" in command_line(pid)]
            counted = (await network.shaped())[link]
            os.kill(helper, signal.SIGKILL)
            eventually(lambda: helper not in parents())
            assert (await network.round_trip(link) or 1 << 60) < 80_000_000
            with pytest.raises(EnvironmentFailure, match="the helper that delays packets has died"):
                await network.shaped()
            # The next wish is obeyed by a new one, and nothing that was counted is forgotten.
            await network.shape("a", slow)
            assert (await network.round_trip(link) or 0) >= 80_000_000
            after = (await network.shaped())[link]
            assert (after.delayed, after.lost) == (counted.delayed + 1, counted.lost)

    asyncio.run(body())


FOREIGN = """
table bridge theirs {
  chain forward {
    type filter hook forward priority 0; policy accept;
    ip saddr 10.77.0.11 counter drop
  }
}
table ip quorum_life {
  set shaped {
    type ipv4_addr
    elements = { 10.9.9.9 }
  }
}
"""


@pytest.mark.parametrize("firewall", ["nft", "iptables"])
def test_foreign_rules_stay_as_they_are(firewall: str, tmp_path: Path) -> None:
    """In a network namespace that stands for the host's, before, during and after a run."""
    if shutil.which("nft") is None or shutil.which("iptables-legacy") is None:
        unavailable("nft and iptables-legacy are needed to look at the rules")
    script = """
        set -e
        nft -f "$2/foreign.nft"
        iptables-legacy -N QUORUM; iptables-legacy -A QUORUM -s 10.77.0.11 -j DROP
        show() { nft list ruleset; iptables-legacy -nvxL; tc qdisc show; ip -o address; }
        show > "$2/before"
        "$1" -c "$3" "$2" "$4" "$5" stop | while read -r word; do
            echo "$word"; show > "$2/$word"
        done
        show > "$2/after"
    """
    (tmp_path / "foreign.nft").write_text(FOREIGN)
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    command = [*unshare, "sh", "-c", script, "sh"]
    arguments = [sys.executable, str(tmp_path), RUN, SERVER, firewall]
    ended = subprocess.run(
        [*command, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        env={
            **os.environ,
            "XTABLES_LOCKFILE": "/dev/null",
            "PATH": f"{os.defpath}:/usr/sbin:/sbin",
        },
    )
    assert (ended.stdout, ended.stderr) == ("up\ndown\n", "")
    before = (tmp_path / "before").read_bytes()
    assert b"theirs" in before
    assert {(tmp_path / name).read_bytes() for name in ("up", "down", "after")} == {before}


@pytest.mark.parametrize("firewall", ["nft", "iptables"])
def test_an_ordinary_user_can_do_it_all(firewall: str) -> None:
    if os.geteuid() != 0:
        unavailable("all the other tests are run by an ordinary user already")
    candidates = (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin"))
    python = next((it for it in candidates if it and as_nobody([it, "-c", FRESH_ENOUGH])), None)
    if python is None:
        unavailable("no Python 3.11 that an ordinary user may run")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(
            ROOT / "harness", f"{folder}/harness", ignore=shutil.ignore_patterns("__pycache__")
        )
        Path(folder).chmod(0o755)
        home = Path(folder, "run")
        home.mkdir()
        os.chown(home, NOBODY, NOBODY)
        ended = subprocess.run(
            [*AS_NOBODY, python, "-c", RUN, str(home), SERVER, firewall, "stop"],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=60,
        )
        assert ended.stderr == ""
        assert ended.stdout == "up\ndown\n"


FRESH_ENOUGH = """
import subprocess, sys
sys.exit(sys.version_info < (3, 11) or subprocess.call([sys.executable, "-c", ""]))
"""
"""Setpriv itself may start more than an ordinary user: what counts is what that one can start."""

AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def as_nobody(command: list[str]) -> bool:
    ended = subprocess.run([*AS_NOBODY, *command], check=False, capture_output=True)
    return ended.returncode == 0


def test_two_clusters_at_once_do_not_meet(tmp_path: Path) -> None:
    async def body() -> None:
        runtime = NetnsRuntime()
        one = runtime.provision(Provision("one", ("n1", "n2"), tmp_path / "one"))
        two = runtime.provision(Provision("two", ("n1", "n2"), tmp_path / "two"))
        async with one as first, two as second:
            assert first.addresses == second.addresses
            await first.network.cut("a", {"n1": frozenset({"n2"})})
            link = ("n2", "n1")
            assert await first.network.probe([link], 0.15) == {link: False}
            assert await second.network.probe([link], 1.0) == {link: True}

    asyncio.run(body())


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def body() -> None:
        async with NetnsRuntime().provision(Provision("x", ("n1",), tmp_path / "file")):
            raise AssertionError("there is no such folder")

    with pytest.raises(EnvironmentFailure, match="cannot make a node's home: "):
        asyncio.run(body())


def test_a_firewall_that_there_is_not(tmp_path: Path) -> None:
    async def body() -> None:
        async with NetnsRuntime().provision(Provision("x", ("n1",), tmp_path, "pf")):
            raise AssertionError("there is no such firewall")

    with pytest.raises(EnvironmentFailure, match="firewall: no such firewall: 'pf'"):
        asyncio.run(body())


def test_why_it_cannot_work_is_one_line() -> None:
    """Where the kernel allows no more network namespaces."""
    say = (
        "from harness.runtime.netns import NetnsRuntime as Runtime\n"
        "print(Runtime().missing())\n"
        "print(Runtime().lacks('kill'))\n"
    )
    script = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$1" -c "$2"'
    ended = subprocess.run(
        ["unshare", "-Ur", "sh", "-c", script, "sh", sys.executable, say],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    missing, lacks = ended.stdout.splitlines()
    assert missing == lacks
    assert missing.startswith("unshare: No space left on device: namespaces of one's own need root")
