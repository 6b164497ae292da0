"""Tables that are Markdown and plain text, and numbers with their nouns."""

import subprocess
import sys

from jaxact.report.table import aligned, counted


def test_a_table_is_aligned_first_column_left_the_others_right():
    assert aligned([["name", "x"], ["a", "12.5"], ["long name", "3"]]).splitlines() == [
        "| name      |    x |",
        "| --------- | ---: |",
        "| a         | 12.5 |",
        "| long name |    3 |",
    ]


def test_one_is_singular_and_thousands_are_separated():
    assert [counted(n, "seed") for n in (0, 1, 2, 12_000)] == ["0 seeds", "1 seed", "2 seeds", "12,000 seeds"]


def test_a_table_needs_no_scientific_package():
    code = "import sys, jaxact.report.table; sys.exit(bool({'numpy', 'scipy', 'jax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
