"""Progress with time left: a rich bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol, runtime_checkable

COMPILING = "compiling, up to a minute the first time and seconds after that …"
"""What is printed before a wait in which nothing else is."""


@runtime_checkable
class Progress(Protocol):
    """Where a running job reports to."""

    def advance(self, members: int) -> None:
        """So many members have finished one more epoch."""
        ...

    def say(self, text: str) -> None:
        """Print one line without disturbing the bar."""
        ...


class _Plain:
    """Lines, each with the time left, for logs and pipes."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.started = total, 0, time.monotonic()

    def advance(self, members: int) -> None:
        self.done += members

    def say(self, text: str) -> None:
        elapsed = time.monotonic() - self.started
        left = elapsed / self.done * (self.total - self.done) if self.done else 0.0
        print(f"{_clock(left)} left  {text}", flush=True)


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


@contextmanager
def progress(total: int, label: str) -> Iterator[Progress]:
    """Progress over `total` member-epochs."""
    if not sys.stdout.isatty():
        yield _Plain(total)
        return
    from rich import progress as rich  # slow to import, and of no use to logs and pipes

    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.MofNCompleteColumn())
    clocks = (rich.TextColumn("epochs"), rich.TimeElapsedColumn(), rich.TimeRemainingColumn())
    with rich.Progress(*columns, *clocks) as bar:
        task = bar.add_task(label, total=total)

        class Rich:
            def advance(self, members: int) -> None:
                bar.advance(task, members)

            def say(self, text: str) -> None:
                bar.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)

        yield Rich()
