"""Runnable scripts, `python -m experiments.<name>`: each parses its options, calls `jaxact` and writes the outcome."""

from jaxact import interrupts

interrupts.one_line_while_loading()
