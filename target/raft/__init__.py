"""Raft as in Ongaro's dissertation, pure: no socket, no clock, no randomness of its own.

:mod:`target.raft.core` has the algorithm and the contract its driver must keep.
"""
