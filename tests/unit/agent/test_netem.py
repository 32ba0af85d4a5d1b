"""Commands for tc, and counts from a netem that also works when it should not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.agent import netem, tools
from harness.agent.machines import Behaviour, Counts, Machine
from harness.agent.tools import Command
from tests.conftest import unavailable

PLENTY = 40
PEERS = ["10.0.0.2", "10.0.0.3"]


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (None, ""),
        (Behaviour(50_000_000, 0, 0.0), " delay 50000us"),
        (Behaviour(50_000_000, 7_500_000, 0.0), " delay 50000us 7500us"),
        (Behaviour(0, 1_000_000, 0.0), " delay 0us 1000us"),
        (Behaviour(0, 0, 0.125), " loss random 12.5000%"),
        (Behaviour(1_000, 0, 1.0), " delay 1us loss random 100.0000%"),
        (Behaviour(bytes_per_s=8_000), " rate 64000bit"),
    ],
)
def test_parameters(behaviour: Behaviour | None, words: str) -> None:
    assert netem.parameters(behaviour) == words


def test_the_tree_has_a_band_for_each_peer() -> None:
    assert (
        netem.build("eth0", PEERS)
        == """\
qdisc replace dev eth0 root handle 1: htb default 0
class add dev eth0 parent 1: classid 1:1 htb rate 10gbit quantum 60000
qdisc add dev eth0 parent 1:1 handle 10: netem limit 100000
filter add dev eth0 parent 1: protocol ip prio 1 u32 match ip dst 10.0.0.2/32 flowid 1:1
class add dev eth0 parent 1: classid 1:2 htb rate 10gbit quantum 60000
qdisc add dev eth0 parent 1:2 handle 11: netem limit 100000
filter add dev eth0 parent 1: protocol ip prio 1 u32 match ip dst 10.0.0.3/32 flowid 1:2
"""
    )


def test_a_change_names_the_leaves_that_change() -> None:
    assert netem.change("eth0", {1: Behaviour(1_000_000, 0, 0.0), 0: None}) == (
        "qdisc change dev eth0 parent 1:1 handle 10: netem limit 100000\n"
        "qdisc change dev eth0 parent 1:2 handle 11: netem limit 100000 delay 1000us\n"
    )


def test_a_rate_has_a_short_queue() -> None:
    said = netem.change("eth0", {0: Behaviour(bytes_per_s=50_000), 1: Behaviour(bytes_per_s=9)})
    assert "netem limit 200 rate 400000bit" in said
    assert "netem limit 32 rate 72bit" in said


@pytest.mark.netns
def test_the_kernel_takes_a_large_tree() -> None:
    """With fifos for leaves: whether there is netem or not, bands and filters must be right."""
    tc = shutil.which("tc", path=f"{os.defpath}:/usr/sbin:/sbin")
    if tc is None:
        unavailable("tc is not installed")
    peers = [f"10.0.0.{number}" for number in range(PLENTY)]
    script = f"{tc} -batch - && {tc} -j qdisc show dev lo && {tc} filter show dev lo"
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    done = subprocess.run(
        [*unshare, "sh", "-c", script],
        input=netem.build("lo", peers, leaf="pfifo"),
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    shown, _, filters = done.stdout.partition("\n")
    leaves = {it["parent"]: it["handle"] for it in json.loads(shown) if it["kind"] == "pfifo"}
    assert leaves == {f"1:{n + 1:x}": f"{n + 16:x}:" for n in range(PLENTY)}
    for number in range(PLENTY):
        assert f"match 0a0000{number:02x}/ffffffff at 16" in filters


def test_readings() -> None:
    printed = json.dumps(
        [
            {"kind": "htb", "handle": "1:", "root": True, "packets": 9, "drops": 0},
            {"kind": "netem", "handle": "10:", "parent": "1:1", "packets": 5, "drops": 2},
            {"kind": "netem", "handle": "1e:", "parent": "1:f", "packets": 1, "drops": 0},
        ]
    )
    assert netem.readings(printed) == {0: (5, 2), 14: (1, 0)}
    assert netem.readings("") == {}


behaviours = st.one_of(
    st.none(),
    st.sampled_from(
        [
            Behaviour(5, 0, 0.0),
            Behaviour(0, 5, 0.5),
            Behaviour(0, 0, 0.5),
            Behaviour(bytes_per_s=9),
            Behaviour(loss=0.5, bytes_per_s=9),
        ]
    ),
)


@given(st.lists(st.tuples(behaviours, st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_only_packets_under_a_behaviour_count(
    spans: list[tuple[Behaviour | None, int, int]],
) -> None:
    tally = netem.Tally()
    sent = dropped = 0
    for behaviour, more, less in spans:
        tally.advance((sent, dropped), behaviour)
        sent, dropped = sent + more, dropped + less
    tally.advance((sent, dropped), None)
    slow = [span for span in spans if span[0] and (span[0].delay_ns or span[0].jitter_ns)]
    limited = [span for span in spans if span[0] and span[0].bytes_per_s]
    # Where nothing is lost by chance, what is dropped found its queue full.
    full = sum(less for how, _, less in limited if how and not how.loss)
    assert tally.counts == Counts(
        delayed=sum(more for _, more, _ in slow),
        lost=sum(less for behaviour, _, less in spans if behaviour) - full,
        limited=sum(more for _, more, _ in limited) + full,
    )


class FakeTc:
    """Nodes whose leaves have counters; remembers what each node was told."""

    def __init__(self) -> None:
        self.told: dict[int, list[str]] = {}
        self.counts: dict[tuple[int, int], tuple[int, int]] = {}

    def run_all(self, commands: Iterable[Command]) -> list[str]:
        return [self.run(command) for command in commands]

    def run(self, command: Command) -> str:
        assert command.netns is not None
        if "-batch" in command.argv:
            self.told.setdefault(command.netns, []).append(command.text)
            return ""
        return json.dumps(
            [
                {"kind": "netem", "handle": f"{16 + n:x}:", "packets": sent, "drops": dropped}
                for (netns, n), (sent, dropped) in self.counts.items()
                if netns == command.netns
            ]
        )


def test_a_shaper_over_its_life(monkeypatch: pytest.MonkeyPatch) -> None:
    tc = FakeTc()
    monkeypatch.setattr(tools, "run_all", tc.run_all)
    machines = [Machine(f"n{n}", f"10.0.0.{n}", n, Path("/")) for n in (1, 2, 3)]
    shaper = netem.NetemShaper(machines)
    shaper.shape({})
    assert shaper.shaped() == {}
    shaper.remove()
    assert tc.told == {}

    # n3 is the second peer of n1.
    slow = Behaviour(1_000_000, 0, 0.5)
    shaper.shape({("n1", "n3"): slow})
    assert tc.told == {
        1: [netem.build("eth0", ["10.0.0.2", "10.0.0.3"]), netem.change("eth0", {1: slow})],
        2: [netem.build("eth0", ["10.0.0.1", "10.0.0.3"])],
        3: [netem.build("eth0", ["10.0.0.1", "10.0.0.2"])],
    }
    tc.counts = {(1, 0): (7, 0), (1, 1): (10, 3), (2, 0): (8, 0)}
    assert shaper.shaped()["n1", "n3"] == Counts(10, 3)
    assert shaper.shaped()["n1", "n2"] == Counts()

    tc.told.clear()
    shaper.shape({("n1", "n3"): slow, ("n2", "n1"): slow})
    assert tc.told == {2: [netem.change("eth0", {0: slow})]}
    shaper.shape({})
    assert tc.told[1] == [netem.change("eth0", {1: None})]
    tc.counts = {(1, 0): (9, 0), (1, 1): (99, 3), (2, 0): (99, 0)}
    assert shaper.shaped()["n1", "n3"] == Counts(10, 3)
    assert shaper.shaped()["n2", "n1"] == Counts()
    tc.told.clear()
    shaper.remove()
    assert tc.told == {n: ["qdisc del dev eth0 root\n"] for n in (1, 2, 3)}
