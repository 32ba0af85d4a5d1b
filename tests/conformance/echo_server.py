"""A node's server for the suite: small words over TCP, nothing else. Runs as ``python -c``.

One line in, one line out (PORT): ``echo X``, ``count`` (survives restarts in a file), ``now``,
``dial ADDRESS`` (a TCP connection to a peer), ``flood ADDRESS N`` (N datagrams), ``heard ADDRESS``,
``spread ADDRESS N`` (microseconds between the first and the last of N small messages at a peer).
"""

import os
import signal
import socket
import socketserver
import threading
import time
from pathlib import Path

PORT = 9000
heard: dict[str, int] = {}


def farewell(*_: object) -> None:
    Path("farewell").write_text("asked to end")
    os._exit(0)


def child() -> None:
    """A process that leaves our session and does not end when asked: a kill must find it."""
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.setsid()
        time.sleep(600)
        os._exit(0)


def listen() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("0.0.0.0", PORT))
        while True:
            _, (sender, _) = made.recvfrom(100)
            heard[sender] = heard.get(sender, 0) + 1


def count() -> str:
    path = Path("count")
    now = int(path.read_text()) + 1 if path.exists() else 1
    path.write_text(str(now))
    return str(now)


def flood(address: str, number: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        for _ in range(number):
            made.sendto(b"flood", (address, PORT))
    return "done"


def dial(address: str) -> str:
    try:
        with socket.create_connection((address, PORT), 0.5) as made:
            made.settimeout(0.5)
            made.sendall(b"echo hello\n")
            return made.recv(100).decode().strip()
    except OSError as error:
        return type(error).__name__


def spread(address: str, number: int) -> str:
    with socket.create_connection((address, PORT), 5) as made:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = made.makefile("r")
        made.sendall(b"now\n")
        answers.readline()
        for _ in range(number):
            made.sendall(b"now\n")
            time.sleep(0.001)
        times = [int(answers.readline()) for _ in range(number)]
        return str((times[-1] - times[0]) // 1000)


class Session(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        for line in self.rfile:
            word, *arguments = line.decode().split()
            match word:
                case "echo":
                    answer = " ".join(arguments)
                case "count":
                    answer = count()
                case "now":
                    answer = str(time.monotonic_ns())
                case "dial":
                    answer = dial(arguments[0])
                case "flood":
                    answer = flood(arguments[0], int(arguments[1]))
                case "heard":
                    answer = str(heard.get(arguments[0], 0))
                case "spread":
                    answer = spread(arguments[0], int(arguments[1]))
                case _:
                    answer = "what?"
            self.wfile.write(answer.encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, farewell)
    child()
    threading.Thread(target=listen, daemon=True).start()
    with Server(("0.0.0.0", PORT), Session) as server:
        print("listening", flush=True)
        server.serve_forever()
