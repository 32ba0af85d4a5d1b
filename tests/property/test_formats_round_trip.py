"""What is written comes back: any values, any outcomes, in our format and in EDN."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from harness.core.operations import Call, Complete, Completion, Event, Invoke, Outcome, pair
from harness.core.values import Value, freeze
from harness.store import Header, HistoryWriter, read_history, to_edn
from tests.property.samples import register_events

VALUES: st.SearchStrategy[Value] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=3).map(freeze)
    ),
    max_leaves=6,
)
TEXTS = st.none() | st.text()


@st.composite
def event_streams(draw: st.DrawFn) -> list[Event]:
    """Calls of three processes, ended in any order, some never."""
    events: list[Event] = []
    busy: dict[int, int] = {}
    clock = 0
    for _ in range(draw(st.integers(0, 12))):
        clock += draw(st.integers(0, 5))
        process = draw(st.integers(0, 2))
        index = len(events)
        if process in busy:
            completion = Completion(
                draw(st.sampled_from(Outcome)),
                draw(VALUES),
                draw(TEXTS),
                draw(st.none() | st.just("n2")),
                draw(st.none() | st.integers(0, 2**62)),
            )
            events.append(Complete(index, busy.pop(process), clock, completion))
        else:
            call = Call(draw(st.text()), draw(VALUES), draw(VALUES))
            events.append(Invoke(index, process, draw(TEXTS), clock, call))
            busy[process] = index
    return events


def stored(events: list[Event], folder: Path) -> Path:
    path = folder / "history.jsonl"
    writer = HistoryWriter(path, Header())
    for event in events:
        writer.write(event)
    writer.close()
    return path


@given(event_streams())
def test_our_own_format(events: list[Event]) -> None:
    with TemporaryDirectory() as folder:
        history = read_history(stored(events, Path(folder))).history
    assert tuple(history.operations) == pair(events)
    assert not history.warnings


@given(st.integers(0, 10_000), st.sampled_from([(None,), ("a", "b"), (1, 2, 3)]))
def test_edn(seed: int, keys: tuple[Value, ...]) -> None:
    events = register_events(random.Random(seed), 40, keys)
    with TemporaryDirectory() as folder:
        history = read_history(stored(events, Path(folder))).history
        path = Path(folder) / "history.edn"
        path.write_text(to_edn(history))
        again = read_history(path, "edn").history

    kept = [
        (it.process, it.call, it.outcome, it.result, it.start, it.end) for it in history.operations
    ]
    back = [
        (it.process, it.call, it.outcome, it.result, it.start, it.end) for it in again.operations
    ]
    assert back == kept
    mismatches = [it.error == "mismatch" for it in history.operations]
    assert [it.error == "mismatch" for it in again.operations] == mismatches
