"""The pages about units: their tables are those of the code, and their examples run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "units").glob("*.md"))
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
pytestmark = pytest.mark.skipif(not PAGES, reason="the documentation is not part of an installed package")


def test_tables_are_those_of_the_code() -> None:
    command = [sys.executable, str(DOCS / "generate_tables.py"), "--check"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run(page: Path) -> None:
    examples = EXAMPLE.findall(page.read_text("utf-8"))
    assert examples
    for example in examples:
        exec(compile(example, str(page), "exec"), {"__name__": "example"})
