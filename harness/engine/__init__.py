"""Runs a plan: set-up, load under faults, heal, recovery, final reads, tear-down.

The engine knows no target, nemesis or workload by name; it is handed all three, tells what
happens as typed events (:mod:`harness.core.events`) and hands every fact to a
:class:`~harness.engine.journal.Recorder` at once, so that a crash loses nothing that happened.
"""

from harness.engine.conduct import Outcome, Parts, Watch, conduct
from harness.engine.journal import Recorder

__all__ = ["Outcome", "Parts", "Recorder", "Watch", "conduct"]
