"""Tables that are Markdown and plain text, and numbers with their nouns."""

import csv
import io
import subprocess
import sys

import numpy as np

from jaxact.report.table import aligned, counted, csv_text, tidy_csv


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


def test_a_csv_is_what_the_csv_module_reads_back():
    rows = [["name", "x"], ['a, "b"', 0.1], ["é\nf", None]]
    text = csv_text(rows)
    assert list(csv.reader(io.StringIO(text))) == [["name", "x"], ['a, "b"', "0.1"], ["é\nf", ""]]
    assert text.endswith('"é\nf",\n') and "\r" not in text


def test_digits_shorten_numbers_with_a_fraction_alone():
    row = [1 / 3, np.float32(2 / 3), np.float64(1e9 / 3), 1234567, np.int64(1234567), True, "0.123456", None, np.nan]
    assert csv_text([row], 3) == "0.333,0.667,3.33e+08,1234567,1234567,True,0.123456,,nan\n"


def test_a_tidy_table_is_headed_by_its_columns():
    assert tidy_csv([{"a": 1, "b": 0.25}, {"a": 2, "b": 0.125}], 2) == "a,b\n1,0.25\n2,0.12\n"
