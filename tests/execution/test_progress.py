"""Progress: plain lines with the time left in logs, a bar on a terminal."""

import io
import itertools

import pytest

from jaxact.execution.progress import progress


def test_plain_lines_say_what_is_gone_and_what_is_left(capsys, monkeypatch):
    clock = itertools.count(100.0, 30.0)  # every look at the clock is half a minute later
    monkeypatch.setattr("jaxact.execution.progress.time.monotonic", lambda: next(clock))
    with progress(total=40, label="digits") as bar:
        bar.say("before")
        bar.advance(4)
        bar.advance(6)
        bar.say("a quarter")
    before, quarter = capsys.readouterr().out.splitlines()
    assert before.startswith("before ") and "0:00:30 gone" in before
    assert quarter.startswith("a quarter ") and "0:01:00 gone" in quarter and "0:03:00 left" in quarter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_and_whole_lines(monkeypatch):
    """Lines keep their text whatever it holds (markup, emoji codes) and are not wrapped into it."""
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    text = "elu:alpha=0.5-relu-:snake:-[red]relu: 10.00 % ± 0.00 over 9 seeds, range 10.00 to 10.00, 9 at chance"
    with progress(total=8, label="digits") as bar:
        bar.advance(3)
        bar.say(text)
        bar.advance(5)
    shown = screen.getvalue()
    assert text in shown and "8/8" in shown and "digits" in shown


def test_the_bar_is_taken_down_when_the_work_stops(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(KeyboardInterrupt), progress(total=8, label="digits"):
        raise KeyboardInterrupt
    assert screen.getvalue().endswith("\x1b[?25h")  # the cursor is back
