"""What clients do, and what judges it: pure state machines that hand out calls.

A workload has keys that retire: an object that a few clients fight over for some fifty calls can
be judged in no time, and a fresh one behaves as if nothing had happened before. Every thread and
every key draws from a stream of its own, so that a slow answer to one shifts nothing in another.
"""

INSIDE = (
    "majority-commit",
    "one-leader",
    "log-matching",
    "leader-completeness",
    "state-machine-safety",
    "monotonic-state",
    "pre-vote",
)
"""Checks of what the nodes do inside, the same whatever clients do: every workload names them."""
