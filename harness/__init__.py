"""Quorum Harness: drives a replicated system, hurts it, and judges what it promised."""

__version__ = "0.1.0"
