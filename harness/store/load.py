"""A run's folder read back, whatever state it was left in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from harness.core.errors import UsageError
from harness.core.faults import FaultRecord
from harness.core.operations import History
from harness.core.plan import Plan
from harness.core.protocols import Evidence
from harness.core.run import Ending, PhaseSpan, RunRecord
from harness.core.verdict import ExitCode
from harness.store.codec import decode, parse
from harness.store.jsonl import Header, read_jsonl
from harness.store.layout import (
    FAULTS,
    HISTORY,
    LOG,
    META,
    NODES,
    PLAN,
    SAMPLES,
    TRACE,
    VERDICT,
    FaultLine,
    Judgement,
    Meta,
    SampleLine,
)
from harness.store.roles import roles_from_samples, roles_from_traces

LOG_TAIL_BYTES = 16 << 10

T = TypeVar("T")


def is_run_folder(path: Path) -> bool:
    """Whether a run was begun in this folder."""
    return path.is_dir() and ((path / META).is_file() or (path / PLAN).is_file())


def load_run(folder: Path) -> RunRecord:
    """All there is to know of a run.

    A run that was cut off (no verdict, a last line that is half) loads with what there is, and
    its ending says ``interrupted``.

    Raises:
        UsageError: no run's folder.
        FormatError: one of its files is damaged.
    """
    meta = load_meta(folder)
    plan = _read(folder / PLAN, Plan)
    header, history = _history(folder)
    faults = load_faults(folder)
    samples = list(_lines(folder / SAMPLES, SampleLine))
    judgement = _read(folder / VERDICT, Judgement)
    duration_ns = _duration(meta, history, faults, samples)
    nodes = plan.nodes if plan else header.nodes
    load_ns = _load_phase(meta, duration_ns)
    origin_ns = meta.origin_monotonic_ns or header.origin_monotonic_ns
    traces = find_traces(folder)
    roles = roles_from_traces(traces, origin_ns, duration_ns, faults)
    if not roles:
        pairs = ((sample.at_ns, sample.statuses) for sample in samples)
        roles = roles_from_samples(pairs, nodes, duration_ns, faults)
    return RunRecord(
        folder=folder,
        plan=plan,
        started_utc=meta.started_utc,
        history=history,
        faults=faults,
        results=judgement.results if judgement else (),
        ending=judgement.ending if judgement else _unfinished(history),
        duration_ns=duration_ns,
        load_ns=load_ns,
        roles=roles,
        clocks=_clocks(samples, nodes),
        logs=_logs(folder),
        noticed=meta.noticed,
        digest=judgement.digest if judgement else "",
        phases=_phases(meta, duration_ns),
    )


def load_ending(folder: Path) -> Ending | None:
    """How a run ended, without reading its history; None when nothing was judged.

    Raises:
        UsageError: no run's folder.
        FormatError: verdict.json is damaged.
    """
    _must_be_run(folder)
    judgement = _read(folder / VERDICT, Judgement)
    return judgement.ending if judgement else None


def load_evidence(folder: Path, record: RunRecord | None = None) -> Evidence:
    """What the checkers may look at; ``model`` is the one that the run was made for.

    With the run's ``record``, its history is not read once more.

    Raises:
        UsageError: no run's folder.
        FormatError: the history is damaged.
    """
    meta = load_meta(folder)
    if record is None:
        plan = _read(folder / PLAN, Plan)
        header, history = _history(folder)
    else:
        plan, history = record.plan, record.history
        header = _header(folder)
    origin_ns = meta.origin_monotonic_ns
    return Evidence(
        history=history,
        nodes=plan.nodes if plan else header.nodes,
        model=header.model,
        traces=find_traces(folder),
        origin_ns=header.origin_monotonic_ns if origin_ns is None else origin_ns,
    )


def load_meta(folder: Path) -> Meta:
    """What is known of a run besides its plan.

    Raises:
        UsageError: no run's folder.
        FormatError: the file is damaged.
    """
    _must_be_run(folder)
    return _read(folder / META, Meta) or Meta(version=1, started_utc="")


def load_faults(folder: Path) -> tuple[FaultRecord, ...]:
    """The last word on each fault, in the order in which they were asked for.

    Raises:
        FormatError: the file is damaged.
    """
    records: dict[str, FaultRecord] = {}
    for line in _lines(folder / FAULTS, FaultLine):
        records[line.record.id] = line.record
    return tuple(sorted(records.values(), key=lambda record: (record.asked_ns, record.id)))


def find_traces(folder: Path) -> dict[str, Path]:
    """The nodes' trace files that exist, by node."""
    found = sorted((folder / NODES).glob(f"*/{TRACE}"))
    return {path.parent.name: path for path in found}


def _must_be_run(folder: Path) -> None:
    if not is_run_folder(folder):
        raise UsageError(f"{folder}: not the folder of a run (it has no {PLAN})")


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    return decode(kind, parse(raw, str(path)), str(path))


def _lines(path: Path, kind: type[T]) -> Iterator[T]:
    """One object a line; a last line without its newline was being written when the run died."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    rows = raw.split(b"\n")
    for number, row in enumerate(rows[:-1], start=1):
        where = f"{path}:{number}"
        yield decode(kind, parse(row, where), where)


def _history(folder: Path) -> tuple[Header, History]:
    path = folder / HISTORY
    try:
        return read_jsonl(path.read_bytes(), str(path))
    except FileNotFoundError:
        return Header(), History((), ("the run ended before its load began",))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _header(folder: Path) -> Header:
    path = folder / HISTORY
    try:
        with path.open("rb") as file:
            return read_jsonl(file.readline(), str(path))[0]
    except FileNotFoundError:
        return Header()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _unfinished(history: History) -> Ending:
    return Ending(
        word="interrupted",
        exit_code=ExitCode.INTERRUPTED,
        sentence=f"The run was cut off after {len(history):,} operations; nothing was judged.",
    )


def _duration(
    meta: Meta, history: History, faults: Sequence[FaultRecord], samples: Sequence[SampleLine]
) -> int:
    if meta.duration_ns is not None:
        return meta.duration_ns
    times = [0]
    times.append(history.until_ns())
    times += [fault.ended_ns or fault.began_ns or fault.asked_ns for fault in faults]
    times += [sample.at_ns for sample in samples]
    return max(times)


def _load_phase(meta: Meta, duration_ns: int) -> tuple[int, int]:
    """The load began at run time zero; it ended with the phase after it."""
    after = [phase.at_ns for phase in meta.phases if phase.name in ("recovery", "tear-down")]
    return (0, min(after, default=duration_ns))


def _phases(meta: Meta, duration_ns: int) -> tuple[PhaseSpan, ...]:
    """Each ends where the next begins; the last, if the run was cut off, with what is known."""
    ends = [*(phase.at_ns for phase in meta.phases[1:]), duration_ns]
    return tuple(
        PhaseSpan(phase.name, phase.at_ns, max(phase.at_ns, end))
        for phase, end in zip(meta.phases, ends, strict=False)
        if phase.name != "tear-down"
    )


def _clocks(
    samples: Sequence[SampleLine], nodes: Sequence[str]
) -> dict[str, tuple[tuple[int, int], ...]]:
    """Readings of samples in which every node answered.

    Where one did not, the others' answers waited for its time-out, and the wait would pass for
    a skew.
    """
    clocks: dict[str, list[tuple[int, int]]] = {}
    for sample in samples:
        if len(sample.statuses) < len(nodes):
            continue
        for status in sample.statuses:
            if status.wall_ns is not None:
                offset = status.wall_ns - sample.true_wall_ns
                clocks.setdefault(status.node, []).append((sample.at_ns, offset))
    return {node: tuple(readings) for node, readings in sorted(clocks.items())}


def _logs(folder: Path) -> dict[str, str]:
    return {path.parent.name: _tail(path) for path in sorted((folder / NODES).glob(f"*/{LOG}"))}


def _tail(path: Path) -> str:
    """The end of a log, from the beginning of a line."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - LOG_TAIL_BYTES))
        raw = file.read()
    if size > LOG_TAIL_BYTES:
        raw = raw.partition(b"\n")[2]
    return raw.decode(errors="replace")
