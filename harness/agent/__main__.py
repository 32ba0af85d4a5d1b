"""The program.

- ``harness.agent`` works in the namespaces it is started in, on machines that are registered;
- ``harness.agent cluster [FD]`` in namespaces of its own, in which it builds nodes, passing
  sockets over the unix socket FD;
- ``harness.agent hello`` only says what could be done there.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys

from harness.agent import abilities, namespaces
from harness.agent.journal import say
from harness.agent.server import Agent
from harness.agent.wiring import Hub


def main(arguments: list[str]) -> int:
    """The exit status: 0, or 1 after one line about what cannot be done here."""
    try:
        match arguments:
            case []:
                asyncio.run(Agent().serve())
            case ["cluster", *channel]:
                namespaces.enter()
                passing = socket.socket(fileno=int(channel[0])) if channel else None
                asyncio.run(Agent(Hub(), passing).serve())
            case ["hello"]:
                namespaces.enter()
                Hub().add_node(1)
                sys.stdout.write(json.dumps(abilities.lacks()) + "\n")
                sys.stdout.flush()
            case _:
                say("usage: harness.agent [cluster [FD] | hello]")
                return 2
    except namespaces.CannotIsolate as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"cannot build a network: {error.strerror or error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
