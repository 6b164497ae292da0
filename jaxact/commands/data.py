"""Fetch or verify a data set and say in one line what it is.

jaxact data mnist                     finds or fetches it: half a minute the first time
python -m jaxact.data mnist --data-dir DIR
"""

from jaxact.data.__main__ import main, parser

__all__ = ["main", "parser"]
