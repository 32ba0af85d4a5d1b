"""What can be wrong inside a cluster, one trace for each."""

from __future__ import annotations

from tests.unit.check.lines import (
    Line,
    ack,
    apply,
    boot,
    commit,
    config,
    durable,
    role,
    snapshot,
    vote,
)

BAD: dict[str, tuple[str, str, list[Line]]] = {
    "two leaders": (
        "one-leader",
        "n2 and n3 both led term 2.",
        [role(50, "n3", "leader", 2)],
    ),
    "another content": (
        "log-matching",
        "n1 has another entry 3 of term 2 on disk than n2 had.",
        [durable(50, "n1", 2, [[2, 3, 2]], other=[3])],
    ),
    "another content after a restart": (
        "log-matching",
        "n3 has another entry 2 of term 2 on disk than n2 had.",
        [boot(50, "n3", [[1, 1, 1], [2, 3, 2]], other=[2])],
    ),
    "its own content after a restart": (
        "log-matching",
        "n2 has another entry 2 of term 2 on disk than before.",
        [boot(50, "n2", [[1, 1, 1], [2, 3, 2]], term=2, other=[2])],
    ),
    "another predecessor": (
        "log-matching",
        "On n1 entry 3 of term 2 follows an entry of term 1, on n2 it followed one of term 2.",
        [durable(50, "n1", 2, [[2, 2, 1], [3, 3, 2]])],
    ),
    "another predecessor than the first that was known": (
        "log-matching",
        "On n3 entry 5 of term 2 follows an entry of term 1, on n2 it followed one of term 2.",
        [
            snapshot(50, "n1", 9, 2),
            durable(51, "n1", 5, [[5, 5, 2]]),
            durable(52, "n2", 4, [[4, 5, 2]]),
            durable(53, "n3", 4, [[4, 4, 1], [5, 5, 2]]),
        ],
    ),
    "another commitment": (
        "leader-completeness",
        "n1 committed entry 2 of term 3 where n2 had committed one of term 2.",
        [durable(50, "n1", 2, [[2, 2, 3]]), commit(51, "n1", 2, 3)],
    ),
    "another commitment further back": (
        "leader-completeness",
        "n1 committed entry 3 of term 1 where n2 had committed one of term 2.",
        [durable(50, "n1", 2, [[2, 3, 1], [4, 4, 3]]), commit(51, "n1", 4, 3)],
    ),
    "another commitment in a snapshot": (
        "leader-completeness",
        "n1 committed entry 3 of term 3 where n2 had committed one of term 2.",
        [snapshot(50, "n1", 3, 3)],
    ),
    "a snapshot on disk": (
        "leader-completeness",
        "n1 committed entry 3 of term 3 where n2 had committed one of term 2.",
        [boot(50, "n1", snapshot=[3, 3], term=3)],
    ),
    "a leader with a short log": (
        "leader-completeness",
        "n1 became leader of term 3 without entry 2 of term 2, which was committed in term 2.",
        [role(50, "n1", "leader", 3)],
    ),
    "a leader with another log": (
        "leader-completeness",
        "n1 became leader of term 3 without entry 2 of term 2, which was committed in term 2.",
        [durable(45, "n1", 2, [[2, 4, 1]]), role(50, "n1", "leader", 3)],
    ),
    "a leader that lacks what turns out to be committed": (
        "leader-completeness",
        "n1 became leader of term 3 without entry 4 of term 2, which was committed in term 2.",
        [
            durable(50, "n1", 2, [[2, 3, 2]]),
            role(51, "n1", "leader", 3),
            durable(52, "n3", 4, [[4, 4, 2]]),
            commit(53, "n3", 4, 2),
        ],
    ),
    "a leader that lacks what turns out to have been committed earlier": (
        "leader-completeness",
        "n3 became leader of term 5 without entry 4 of term 2, which was committed in term 2.",
        [
            durable(50, "n2", 4, [[4, 4, 2]]),
            role(51, "n1", "follower", 9),
            durable(52, "n1", 2, [[2, 4, 2]]),
            commit(53, "n1", 4, 2),
            role(54, "n3", "leader", 5),
            commit(55, "n2", 4, 2),
        ],
    ),
    "dropped": (
        "leader-completeness",
        "n3 dropped entry 3 of term 2, which it knew to be committed.",
        [durable(50, "n3", 3, [])],
    ),
    "replaced": (
        "leader-completeness",
        "n3 dropped entry 3 of term 2, which it knew to be committed.",
        [durable(50, "n3", 3, [[3, 4, 3]])],
    ),
    "another state": (
        "state-machine-safety",
        "n2 and n3 have different states after entry 4.",
        [apply(50, "n2", 4), apply(51, "n3", 4, "another")],
    ),
    "another state in a snapshot": (
        "state-machine-safety",
        "n2 and n3 have different states after entry 3.",
        [boot(50, "n3", snapshot=[3, 2], term=2, state="another")],
    ),
    "applied twice": (
        "state-machine-safety",
        "n2 has another state after entry 3 than it had before.",
        [boot(50, "n2", [[2, 3, 2]], [1, 1], term=2), apply(51, "n2", 3, "applied twice")],
    ),
    "a term goes back": (
        "monotonic-state",
        "n3 went from term 2 back to term 1.",
        [role(50, "n3", "follower", 1)],
    ),
    "a saved term goes back": (
        "monotonic-state",
        "n2 saved term 0, after term 2.",
        [vote(50, "n2", 0, None)],
    ),
    "a term is forgotten": (
        "monotonic-state",
        "n3 started again in term 2, after term 5.",
        [vote(50, "n3", 5, "n3"), boot(51, "n3", [[1, 1, 1], [2, 3, 2]])],
    ),
    "a led term is forgotten": (
        "monotonic-state",
        "n2 started again in term 1, after term 2.",
        [boot(51, "n2", [[1, 1, 1]], term=1)],
    ),
    "an entry's term is forgotten": (
        "monotonic-state",
        "n3 started in term 1 with entries of term 2 in its log.",
        [boot(51, "n3", [[1, 1, 1], [2, 3, 2]], term=1)],
    ),
    "a vote is forgotten": (
        "monotonic-state",
        "n3 started again in term 5 with no vote, after it had voted for n1 in it.",
        [vote(50, "n3", 5, "n1"), boot(51, "n3", [[1, 1, 1], [2, 3, 2]], term=5)],
    ),
    "a vote changes": (
        "monotonic-state",
        "n3 saved term 5 with a vote for n2, after it had voted for n1 in it.",
        [vote(50, "n3", 5, "n1"), vote(51, "n3", 5, "n2")],
    ),
    "a leader's vote changes": (
        "monotonic-state",
        "n3 saved term 5 with a vote for n1, after it had voted for n3 in it.",
        [vote(50, "n3", 5, "n3"), role(51, "n3", "leader", 5), vote(52, "n3", 5, "n1")],
    ),
    "the commit index goes back": (
        "monotonic-state",
        "The commit index of n3 went from 3 back to 1.",
        [commit(50, "n3", 1, 1)],
    ),
    "a commit beyond the log": (
        "monotonic-state",
        "n3 commits entry 9, which its log does not have.",
        [commit(50, "n3", 9, 0)],
    ),
    "the state goes back": (
        "monotonic-state",
        "The state of n3 went from entry 3 back to 1.",
        [apply(50, "n3", 1)],
    ),
    "candidates that nobody asked for": (
        "pre-vote",
        "n3 stood for election in terms 3, 4, 5, 6 and 7, which no other node had heard of by "
        "then: it did not ask first.",
        [role(50 + term, "n3", "candidate", term) for term in range(3, 8)],
    ),
    "no majority": (
        "majority-commit",
        "n2 acknowledged entry 4 of term 2 when only n2 of 3 nodes had it on disk.",
        [durable(50, "n2", 4, [[4, 4, 2]]), ack(51, "n2", 4, 2)],
    ),
    "nobody": (
        "majority-commit",
        "n2 acknowledged entry 4 of term 2 when none of 3 nodes had it on disk.",
        [ack(51, "n2", 4, 2)],
    ),
    "a disk that was lost long before": (
        "majority-commit",
        "n2 acknowledged entry 4 of term 2 when only n2 of 3 nodes had it on disk.",
        [
            boot(50, "n3", identity=7),
            durable(51, "n2", 4, [[4, 4, 2]]),
            ack(52, "n2", 4, 2),
        ],
    ),
    "a node that lost its disk and says that it is the same": (
        "monotonic-state",
        "n2 started again in term 0, after term 2.",
        [boot(50, "n2", identity=0)],
    ),
    "no majority of the voters": (
        "majority-commit",
        "n2 acknowledged entry 3 of term 2 when only n2 of 2 nodes had it on disk.",
        [config(50, "n2", 0, "n1", "n2"), ack(51, "n2", 3, 2)],
    ),
    "no majority of the voters that the entry itself names": (
        "majority-commit",
        "n2 acknowledged entry 4 of term 2 when only n2 of 3 nodes had it on disk.",
        [
            config(50, "n2", 0, "n2"),
            config(51, "n2", 4, "n1", "n2", "n3"),
            durable(52, "n2", 4, [[4, 4, 2]]),
            ack(53, "n2", 4, 2),
        ],
    ),
    "no majority of the voters after others were cut off": (
        "majority-commit",
        "n2 acknowledged entry 4 of term 2 when only n2 of 3 nodes had it on disk.",
        [
            config(50, "n2", 5, "n2"),
            config(51, "n2", 0, "n1", "n2", "n3"),
            durable(52, "n2", 4, [[4, 4, 2]]),
            ack(53, "n2", 4, 2),
        ],
    ),
    "no majority of the voters after a restart": (
        "majority-commit",
        "n2 acknowledged entry 4 of term 2 when only n2 of 3 nodes had it on disk.",
        [
            config(50, "n2", 0, "n2"),
            boot(51, "n2", [[1, 1, 1], [2, 3, 2]]),
            durable(52, "n2", 4, [[4, 4, 2]]),
            ack(53, "n2", 4, 2),
        ],
    ),
}
"""What is wrong → the check that says so, its sentence, and what comes after the good trace."""
