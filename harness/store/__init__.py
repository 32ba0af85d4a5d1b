"""The run's folder and the formats of histories."""

from harness.store.digest import digest
from harness.store.foreign import to_edn
from harness.store.formats import FORMATS, Recorded, read_history
from harness.store.jsonl import Header, HistoryWriter
from harness.store.load import (
    find_traces,
    is_run_folder,
    load_ending,
    load_evidence,
    load_faults,
    load_meta,
    load_run,
)
from harness.store.run import RunFolder, save_judgement

__all__ = [
    "FORMATS",
    "Header",
    "HistoryWriter",
    "Recorded",
    "RunFolder",
    "digest",
    "find_traces",
    "is_run_folder",
    "load_ending",
    "load_evidence",
    "load_faults",
    "load_meta",
    "load_run",
    "read_history",
    "save_judgement",
    "to_edn",
]
