"""The hands on the kernel: effects and their undo, asked for in JSON lines.

The requests are in docs/agent-protocol.md.

Standard library only, and nothing of the project is imported: this program also runs in a bare
container on the engine's host. It knows machines, links, packets, signals and files; nothing of
plans, workloads or Raft.
"""

PROTOCOL = 1
"""Version of the requests and answers."""
