"""Promises of Raft itself, read from the nodes' traces (docs/trace-format.md).

:class:`~harness.check.invariants.watch.Watch` is fed line by line, while a run goes on or after
it, and keeps all promises at once; :mod:`~harness.check.invariants.checks` makes checks of it.
"""
