"""The run's folder and the formats of histories."""

from harness.store.load import (
    find_traces,
    is_run_folder,
    load_evidence,
    load_faults,
    load_meta,
    load_run,
)
from harness.store.run import RunFolder, save_judgement

__all__ = [
    "RunFolder",
    "find_traces",
    "is_run_folder",
    "load_evidence",
    "load_faults",
    "load_meta",
    "load_run",
    "save_judgement",
]
