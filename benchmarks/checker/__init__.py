"""Benchmarks of the linearizability checker."""
