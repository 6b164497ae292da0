"""Signals that stop a run: they wait while finished work is written, and several at once are one."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def held_back() -> Iterator[None]:
    """Signals that arrive in the block are delivered at its end, the first of them; ignored ones stay ignored.

    The handlers wait, not the signals: with a mask of the main thread, another thread's would take the signal.
    """
    if threading.current_thread() is not threading.main_thread():  # handlers are the main thread's alone
        yield
        return
    arrived: list[int] = []
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    ours = {number: old for number, old in handlers.items() if old not in (signal.SIG_IGN, None)}
    for number in ours:
        signal.signal(number, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        for number, old in ours.items():
            signal.signal(number, old)
        if arrived:
            os.kill(os.getpid(), arrived[0])
