"""A simulated network with ends that only note what reaches them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from harness.core.cluster import LinkBehaviour
from harness.core.units import MILLISECOND
from harness.runtime.sim.loop import SimLoop
from harness.runtime.sim.network import SimNetwork

MS = MILLISECOND
NODES = ("n1", "n2", "n3")


@dataclass
class End:
    """A node. Times are nanoseconds since the network was made."""

    loop: SimLoop
    origin_ns: int
    up: bool = True
    takes_damage: bool = False
    leading: bool = False
    came: list[tuple[int, str, Any]] = field(default_factory=list)
    broke: list[tuple[int, str]] = field(default_factory=list)
    noise: list[tuple[str, bytes]] = field(default_factory=list)

    def listening(self) -> bool:
        return self.up

    def leads(self) -> bool:
        return self.leading

    def arrive(self, peer: str, message: Any) -> None:
        self.came.append((self.loop.now_ns - self.origin_ns, peer, message))

    def broken(self, peer: str) -> None:
        self.broke.append((self.loop.now_ns - self.origin_ns, peer))

    def damaged(self, peer: str, data: bytes) -> bool:
        self.noise.append((peer, data))
        return self.takes_damage

    def messages(self, peer: str) -> list[Any]:
        """What came from a peer, in order."""
        return [message for _, sender, message in self.came if sender == peer]

    def times(self, peer: str) -> list[int]:
        """When it came."""
        return [at for at, sender, _ in self.came if sender == peer]


def encode(message: Any) -> bytes:
    return str(message).encode()


class Net:
    """Three nodes whose connections are made, unless they are not wanted to be."""

    def __init__(self, seed: int = 0, *, connected: bool = True) -> None:
        self.loop = SimLoop()
        self.network = SimNetwork(self.loop, NODES, seed)
        self.ends = {node: End(self.loop, self.loop.now_ns) for node in NODES}
        for node, end in self.ends.items():
            self.network.attach(node, end)
        if connected:
            for node in NODES:
                self.network.dial(node)
            self.pass_ms(5)
        for end in self.ends.values():
            end.origin_ns = self.loop.now_ns

    def __enter__(self) -> Net:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.close()

    def pass_ms(self, milliseconds: float) -> None:
        """Time goes by."""
        self.loop.run_until_complete(asyncio.sleep(milliseconds / 1000))

    def send(self, source: str, target: str, *messages: Any) -> None:
        """All at this instant."""
        for message in messages:
            self.network.send(source, target, message, encode)

    def cut(self, owner: str = "a", **drops: str) -> None:
        """``n2="n1 n3"``: n2 does not hear n1 and n3."""
        wish = {node: frozenset(sources.split()) for node, sources in drops.items()}
        self.loop.run_until_complete(self.network.cut(owner, wish))

    def shape(self, owner: str = "a", **links: LinkBehaviour) -> None:
        """``n1_n2=LinkBehaviour(…)``."""
        wish = {(name[:2], name[3:]): behaviour for name, behaviour in links.items()}
        self.loop.run_until_complete(self.network.shape(owner, wish))

    def dropped(self) -> dict[tuple[str, str], int]:
        """Only of the links on which something was."""
        counts = self.loop.run_until_complete(self.network.dropped())
        return {link: count for link, count in counts.items() if count}
