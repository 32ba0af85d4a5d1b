"""A node's server for the suite: small words over TCP, nothing else. Runs as ``python -c``.

One line in, one line out (PORT): ``echo X``, ``count`` (survives restarts in a file), ``now``,
``dial ADDRESS`` (a TCP connection to a peer), ``flood ADDRESS N`` (N datagrams), ``heard ADDRESS``,
``spread ADDRESS N`` (microseconds between the first and the last of N small messages at a peer),
``snmp PROTOCOL NAME`` (a counter of the node's kernel), ``store X`` (appends a line to a file on
the disk), ``sync X`` (and makes it durable): ``done``, how many ms later, or the error, ``stored``,
``digest`` (of that file), ``wipe`` (empties it, durably), ``spin N``
(N ms of work: after how many ms), ``hoard N`` (N MB of memory), ``open`` (a file).
"""

import errno
import hashlib
import os
import signal
import socket
import socketserver
import threading
import time
from pathlib import Path

PORT = 9000
heard: dict[str, int] = {}
hoard: list[bytes] = []


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


def snmp(protocol: str, name: str) -> str:
    """From /proc/net/snmp: a line of names, then one of numbers."""
    lines = Path("/proc/net/snmp").read_text().splitlines()
    names, numbers = (line.split() for line in lines if line.startswith(f"{protocol}:"))
    return numbers[names.index(name)]


def store(words: str, *, durably: bool) -> str:
    began = time.monotonic()
    try:
        Path("data").mkdir(exist_ok=True)
        with Path("data/log").open("a") as file:
            file.write(words + "\n")
            file.flush()
            if durably:
                os.fsync(file.fileno())
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return f"done {round((time.monotonic() - began) * 1000)}"


def stored() -> str:
    path = Path("data/log")
    return " ".join(path.read_text().split()) if path.exists() else ""


def digest() -> str:
    return hashlib.sha256(Path("data/log").read_bytes()).hexdigest()


def wipe() -> str:
    Path("data").mkdir(exist_ok=True)
    with Path("data/log").open("wb") as file:
        os.fsync(file.fileno())
    return "done"


def spin(work_ms: int) -> str:
    began, until = time.monotonic(), time.thread_time() + work_ms / 1000
    while time.thread_time() < until:
        pass
    return str(round((time.monotonic() - began) * 1000))


def opened() -> str:
    try:
        Path("/dev/null").open().close()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


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
                case "store" | "sync":
                    answer = store(" ".join(arguments), durably=word == "sync")
                case "stored":
                    answer = stored()
                case "spin":
                    answer = spin(int(arguments[0]))
                case "hoard":
                    hoard.append(os.urandom(int(arguments[0]) << 20))
                    answer = "done"
                case "open":
                    answer = opened()
                case "digest":
                    answer = digest()
                case "wipe":
                    answer = wipe()
                case "snmp":
                    answer = snmp(arguments[0], arguments[1])
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
