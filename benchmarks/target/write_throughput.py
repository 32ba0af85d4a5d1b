"""Acknowledged writes a second of the reference cluster, with its disk synced for each batch.

    python benchmarks/target/write_throughput.py [--nodes 3] [--clients 32] [--seconds 10]
                                                 [--to spread|leader] [--profile NODE]

Starts the servers as processes on loopback ports, lets closed-loop clients write (each sends its
next write when the last is acknowledged, in a session of its own), and prints one JSON object:
rate, latencies, syncs, and the processor time of every process, the load generator's own included.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PEER_PORT, CLIENT_PORT = 17_400, 18_400


@dataclass(slots=True)
class Load:
    """What the clients share."""

    until: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: int = 0


class Writer(asyncio.Protocol):
    """A closed-loop client: as little Python per write as possible."""

    def __init__(self, load: Load, number: int) -> None:
        self.load = load
        self.number = number
        self.seq = 0
        self.buffer = b""
        self.sent = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.seq += 1
        body = b'{"value":%d,"session":"b%d","seq":%d}' % (self.seq, self.number, self.seq)
        head = b"PUT /v1/kv/k%d HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n"
        self.sent = time.perf_counter()
        self.transport.write(head % (self.number, len(body)) + body)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head[head.index(b"Content-Length: ") + 16 :].split()[0]):
            return
        self.buffer = b""
        now = time.perf_counter()
        if head.startswith(b"HTTP/1.1 200"):
            self.load.latencies.append(now - self.sent)
        else:
            self.load.errors += 1
        if now < self.load.until:
            self.send()
        else:
            self.transport.close()
            self.done.set_result(None)


def status(node: int) -> dict[str, object]:
    with urllib.request.urlopen(
        f"http://127.0.0.1:{CLIENT_PORT + node}/v1/status", timeout=1
    ) as it:
        answer: dict[str, object] = json.load(it)
        return answer


def wait_for_leader(nodes: int) -> int:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            found = [status(node) for node in range(nodes)]
            leaders = {str(it["leader"]) for it in found}
            if len(leaders) == 1 and leaders != {"None"}:
                return int(leaders.pop()[1:]) - 1
        time.sleep(0.05)
    raise SystemExit("no leader within 10 s")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(folder: Path, nodes: int, profiled: int | None) -> list[subprocess.Popen[bytes]]:
    peers = ",".join(f"n{node + 1}=127.0.0.1:{PEER_PORT + node}" for node in range(nodes))
    processes = []
    for node in range(nodes):
        home = folder / f"n{node + 1}"
        home.mkdir()
        profile = ["-m", "cProfile", "-o", str(folder / "profile")] if node == profiled else []
        arguments = ["--node", f"n{node + 1}", "--home", str(home), "--peers", peers]
        arguments += ["--client-port", str(CLIENT_PORT + node)]
        with (home / "log.txt").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [sys.executable, *profile, "-m", "target.server", *arguments],
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                    stdout=log,
                    stderr=log,
                )
            )
    return processes


async def drive(load: Load, clients: int, ports: list[int], seconds: float) -> float:
    loop = asyncio.get_running_loop()
    load.until = time.perf_counter() + seconds
    began = time.perf_counter()
    writers = []
    for number in range(clients):
        port = ports[number % len(ports)]
        _, writer = await loop.create_connection(
            functools.partial(Writer, load, number), "127.0.0.1", port
        )
        writers.append(writer)
    await asyncio.gather(*(writer.done for writer in writers))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--to", choices=("spread", "leader"), default="spread")
    parser.add_argument("--profile", type=int, help="number of a node to run under cProfile")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="write-throughput-") as name:
        folder = Path(name)
        profiled = given.profile - 1 if given.profile else None
        processes = start(folder, given.nodes, profiled)
        try:
            leader = wait_for_leader(given.nodes)
            chosen = [leader] if given.to == "leader" else list(range(given.nodes))
            before = [status(node) for node in range(given.nodes)]
            cpu = [cpu_seconds(process.pid) for process in processes]
            own = time.process_time()
            load = Load()
            ports = [CLIENT_PORT + node for node in chosen]
            took = asyncio.run(drive(load, given.clients, ports, given.seconds))
            own = time.process_time() - own
            after = [status(node) for node in range(given.nodes)]
            cpu = [cpu_seconds(it.pid) - was for it, was in zip(processes, cpu, strict=True)]
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(10)
        if profiled is not None:
            import pstats

            pstats.Stats(str(folder / "profile")).sort_stats("tottime").print_stats(35)
    ordered = sorted(load.latencies)
    syncs = [
        int(str(now["syncs"])) - int(str(was["syncs"]))
        for now, was in zip(after, before, strict=True)
    ]
    result = {
        "writes_per_s": round(len(ordered) / took),
        "latency_ms": {
            f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)] * 1e3, 2)
            for share in (50, 90, 99, 100)
        },
        "writes": len(ordered),
        "errors": load.errors,
        "syncs": syncs,
        "writes_per_leader_sync": round(len(ordered) / max(1, syncs[leader]), 1),
        "leader": leader + 1,
        "terms": sorted({str(it["term"]) for it in after}),
        "cpu_s": {
            "generator": round(own, 2),
            "servers": [round(seconds, 2) for seconds in cpu],
            "of": round(took, 2),
        },
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
