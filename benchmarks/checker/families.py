"""The families of histories that the engines are compared on: what makes a search hard."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.checker import clients
from benchmarks.checker.clients import Clients
from benchmarks.checker.things import Counter, KeyValue, Members, Mutex, Queue, Register
from harness.core.operations import History
from harness.store.formats import read_history


@dataclass(frozen=True, slots=True)
class Family:
    """Histories that are measured as one line of the table.

    Attributes:
        name: for the table.
        model: the model string.
        make: the histories; called in the process that measures.
        long: left out of the quick table.
    """

    name: str
    model: str
    make: Callable[[], list[History]]
    long: bool = False


def families(recorded: Path | None) -> Iterator[Family]:
    """All of them, each linearizable and not; with ``recorded``, that folder's too."""
    if recorded is not None:
        yield from _recorded(recorded)
    for lies in (False, True):
        yield from _registers(lies)
        yield from _lost(lies)
        yield from _crowds(lies)
        yield from _others(lies)


def _of(
    words: str, model: str, make: Callable[[], clients.Thing], how: Clients, seeds: int = 1
) -> Family:
    parts = [words, f"{how.operations:,} ops", f"{how.clients} clients"]
    parts += [f"{how.lost} lost"] if how.lost else []
    parts += ["one wrong answer"] if how.lies else []
    parts += [f"× {seeds}"] if seeds > 1 else []
    return Family(
        " · ".join(parts),
        model,
        lambda: [clients.history(make, how, seed) for seed in range(seeds)],
        long=how.operations > 10_000,
    )


CAS = "cas-register:initial=first"


def _registers(lies: bool) -> Iterator[Family]:
    yield _of("register, short", CAS, Register, Clients(60, 4, lies=lies), seeds=100)
    for operations in (1_000, 10_000, 100_000, 1_000_000):
        yield _of("register", CAS, Register, Clients(operations, 10, lies=lies))
    for operations in (10_000, 100_000):
        how = Clients(operations, 10, lies=lies)
        yield _of("register, unique values", CAS, lambda: Register(0), how)
        yield _of("cas", CAS, lambda: Register(cas=True), how)


def _lost(lies: bool) -> Iterator[Family]:
    for lost in (0, 10, 50, 100, 200):
        yield _of("register", CAS, Register, Clients(1_000, 5, lost, lies))
        yield _of(
            "register, unique values", CAS, lambda: Register(0), Clients(1_000, 5, lost, lies)
        )
    for lost in (0, 10, 50, 100):
        yield _of("cas", CAS, lambda: Register(cas=True), Clients(1_000, 5, lost, lies))
    yield _of("cas, unique values", CAS, lambda: Register(0, cas=True), Clients(1_000, 5, 50, lies))


def _crowds(lies: bool) -> Iterator[Family]:
    yield _of("values 0–99", CAS, lambda: Register(100), Clients(20_000, 12, lies=lies))
    for number in (30, 100):
        how = Clients(10_000, number, lies=lies)
        yield _of("register", CAS, Register, how)
        yield _of("register, unique values", CAS, lambda: Register(0), how)
        yield _of("cas", CAS, lambda: Register(cas=True), how)


def _others(lies: bool) -> Iterator[Family]:
    yield _of("kv-append, 10 keys", "kv-append", KeyValue, Clients(2_000, 50, lies=lies))
    yield _of("set", "set", Members, Clients(1_000, 10, 10, lies))
    yield _of("counter", "counter", Counter, Clients(10_000, 10, lies=lies))
    yield _of("counter", "counter", Counter, Clients(1_000, 10, 20, lies))
    for backlog in (5, 500):
        words, how = f"fifo, backlog {backlog}", Clients(10_000, 10, lies=lies)
        yield _of(words, "fifo-queue", lambda size=backlog: Queue(size), how)  # type: ignore[misc]
        bag = f"unordered queue, backlog {backlog}"
        yield _of(
            bag,
            "unordered-queue",
            lambda size=backlog: Queue(size, orderly=False),  # type: ignore[misc]
            how,
        )
    few = Clients(2_000, 5, lies=lies)
    yield _of("fifo, backlog 5, 5 values", "fifo-queue", lambda: Queue(5, values=5), few)
    yield _of("mutex", "mutex", Mutex, Clients(10_000, 10, lies=lies))
    yield _of("mutex", "mutex", Mutex, Clients(1_000, 10, 20, lies))
    yield _of("owned mutex", "owned-mutex", Mutex, Clients(10_000, 10, lies=lies))


def _recorded(folder: Path) -> Iterator[Family]:
    """The files that ``EXPECTED.tsv`` lists, by folder."""
    groups: defaultdict[tuple[str, str], list[Path]] = defaultdict(list)
    with (folder / "EXPECTED.tsv").open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["linearizable"] in ("yes", "no"):
                groups[Path(row["file"]).parts[0], row["model"]].append(folder / row["file"])
    for (part, model), paths in groups.items():

        def make(paths: list[Path] = paths) -> list[History]:
            return [read_history(path).history for path in paths]

        yield Family(f"recorded, {part} × {len(paths)}", model, make)
