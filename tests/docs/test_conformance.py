"""The conformance table names code and tests that exist."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = tomllib.loads((ROOT / "docs" / "conformance.toml").read_text(encoding="utf-8"))["row"]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['document']} {row['clause']}" for row in ROWS])
def test_a_row_names_what_exists(row: dict[str, str]) -> None:
    assert set(row) - {"note"} == {"document", "clause", "unit", "status", "code", "tests"}
    assert re.fullmatch(r"(CCSDS \d{3}\.\d-B-\d+|ECSS-E-\S+)", row["document"])
    assert row["status"] in ("complete", "partial")
    assert ("note" in row) or row["status"] == "complete", "say what is missing"
    assert importlib.util.find_spec(row["code"]) is not None
    assert (ROOT / row["tests"]).is_file(), f"{row['tests']} does not exist"


def test_every_layout_is_on_the_layouts_page(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = generate
    spec.loader.exec_module(generate)
    generate.write_all(tmp_path)
    page = (tmp_path / "layouts.md").read_text(encoding="utf-8")
    declared = [
        path
        for package in ("packets", "frames", "security", "transport")
        for path in (ROOT / "ccsds" / package).rglob("*.py")
        if re.search(r"^\w+(: [\w\[\]]+)? = Layout\(", path.read_text(encoding="utf-8"), re.M)
    ]
    assert declared
    for path in declared:
        assert f"ccsds.{path.parent.name}.{path.stem}." in page
    assert page.count("| bit | bits | field | clause |") == len(list(generate.layouts()))
    assert "| 0 | 3 | `packet_version_number` | 4.1.3.2 |" in page
