"""docs/cop1.md and its drawings are what the tables in the code and cop1-text.toml give."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from ccsds.procedures import farm1, fop1_table

DOCS = Path(__file__).parents[2] / "docs"


def test_tables_and_drawings_are_those_of_the_code() -> None:
    command = [sys.executable, str(DOCS / "generate_cop1.py"), "--check"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_every_part_of_the_page_is_filled() -> None:
    page = (DOCS / "cop1.md").read_text("utf-8")
    assert page.count("<!-- cop1 ") == page.count("<!-- end -->") == 6
    assert page.count("\n| **E") == 11 + 50


def test_where_each_action_is_defined_and_each_clause_was_read() -> None:
    text = tomllib.loads((DOCS / "cop1-text.toml").read_text("utf-8"))
    named = sorted((row["procedure"], name) for row in text["action"] for name in row["actions"])
    actions = [("FOP-1", one.name) for one in fop1_table.Action] + [("FARM-1", one.name) for one in farm1.Action]
    assert named == sorted(actions)
    assert {row["read"] for rows in text.values() for row in rows} == {"whole", "part", "quoted", "no"}
    cited = {clause for cell in fop1_table.TABLE.values() for clause in (cell.clause, cell.partly)}
    cited |= {clause for cell in farm1.TABLE.values() for clause in (cell.clause, cell.partly)}
    assert cited - {"", "table 6-1"} <= {row["clause"] for row in text["clause"]}
