"""The reference cluster: a replicated key-value store on Raft, and the adapters to systems.

``target.raft`` is the pure algorithm, ``target.machine`` the replicated state machine,
``target.node`` the two put together (still pure), ``target.storage`` the disk, ``target.wire``
the bytes between nodes, ``target.server`` the process. All but ``target.adapters`` is standard
library only: it runs where nothing but Python is installed.
"""

VERSION = "0.1.0"
"""Of the server, as it names itself in its log and status."""
