"""The page of the museum says what its table does, and the table has every case, all as they should be."""

import csv
from pathlib import Path

from jaxact import museum

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_has_every_case_with_the_numbers_of_the_table():
    lines = (ROOT / "results" / "museum" / "table.csv").read_text(encoding="utf-8").splitlines()
    page, rows = (ROOT / "docs" / "museum.md").read_text(encoding="utf-8"), list(csv.DictReader(lines))
    assert [(row["case"], row["state"]) for row in rows] == [
        (name, state) for name in museum.CASES for state in ("ill", "cured", "twin")
    ]
    assert {row["right"] for row in rows} == {"1"}
    sections = {section.split(".**")[0]: section for section in page.split("\n**")[1:]}
    assert set(sections) == set(museum.CASES)
    for row in rows:
        section = sections[row["case"]]
        assert f"{row['state']} {row['loss']} → {row['loss_after']}" in section
        if row["state"] == "ill":
            layer = f" at {row['layer']}" if row["layer"] else ""
            assert f"diagnose: {row['verdict']}{layer}, {row['number']} (limit {row['limit']})" in section
