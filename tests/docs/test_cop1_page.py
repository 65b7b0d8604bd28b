"""docs/cop1.md and its drawings are what the tables in the code give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_tables_and_drawings_are_those_of_the_code() -> None:
    command = [sys.executable, str(DOCS / "generate_cop1.py"), "--check"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_every_part_of_the_page_is_filled() -> None:
    page = (DOCS / "cop1.md").read_text("utf-8")
    assert page.count("<!-- cop1 ") == page.count("<!-- end -->") == 5
    assert page.count("\n| **E") == 11 + 50
