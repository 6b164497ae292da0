"""Runnable scripts, `python -m experiments.<name>`: each parses its options, calls `jaxact` and writes the outcome."""
