"""Many runs over all cores, told in the order in which they were asked for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeAlias

from harness.core.plan import RunSpec
from harness.core.trials import Tried

Attempt: TypeAlias = Callable[[RunSpec], Tried]
"""Makes one run and judges it. It is called in another process, so it must be something that can
be sent there: a function of a module, or an object of a class of one."""

AHEAD = 4
"""Runs under way or done for each process, beyond the one that is told next."""


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def campaign(specs: Iterable[RunSpec], attempt: Attempt, jobs: int = 0) -> Generator[Tried]:
    """Each spec's run, in the order of the specs; ``jobs`` processes (0: one for each core).

    Whoever stops asking ends it: what is under way is killed, which is safe only for runs that
    touch nothing outside their process.
    """
    jobs = jobs or cores()
    if jobs == 1:
        yield from map(attempt, specs)
        return
    # Forked from a process without threads, which is what the server of `forkserver` is.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([attempt.__module__])
    pool = ProcessPoolExecutor(jobs, context, initializer=_in_a_worker)
    try:
        waiting: deque[Future[Tried]] = deque()
        for spec in specs:
            waiting.append(pool.submit(attempt, spec))
            if len(waiting) > jobs * AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        workers = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.join()


def _in_a_worker() -> None:
    """Ctrl-C is the parent's to answer; without a parent there is nobody to work for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Else a worker whose parent was killed would wait for work for ever: it holds the other end
    of the very pipe that it reads."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
