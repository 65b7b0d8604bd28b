"""The conformance table names code and tests that exist."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

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


DOCUMENTS = [
    "CCSDS 131.0-B-5",
    "CCSDS 132.0-B-3",
    "CCSDS 133.0-B-2",
    "CCSDS 133.1-B-3",
    "CCSDS 231.0-B-4",
    "CCSDS 232.0-B-4",
    "CCSDS 232.1-B-2",
    "CCSDS 301.0-B-4",
    "CCSDS 702.1-B-1",
    "CCSDS 732.0-B-5",
    "CCSDS 732.1-B-3",
    "ECSS-E-ST-70-41C",
]


def module_of_docs(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_statement_of_conformance_has_what_the_markers_say() -> None:
    pics = module_of_docs("pics")
    claims, page = list(pics.claims()), pics.page()
    assert claims
    for claim in claims:
        assert re.fullmatch(r"(CCSDS \d{3}\.\d-B-\d+|ECSS-E-\S+)", claim.document), claim
        assert re.fullmatch(r"([1-9A-Z]|annex [A-Z])[\w.]*(, ([1-9A-Z]|annex [A-Z])[\w.]*)*", claim.clause), claim
        assert f"| {claim.clause} | {claim.feature} |" in page
    assert set(DOCUMENTS) <= {row.document for row in pics.rows()}
    for row in pics.rows():
        assert row.tests or row.supported == "no", row
        assert all(re.search(r"(\.py|::test_\w+)$", test) for test in row.tests), row
    for row in pics.not_built():
        assert set(row) == {"document", "clause", "feature", "reason"}, row
    assert len({row[:3] for row in pics.rows()}) == len(pics.rows()), "a feature has one answer"
    features = {(claim.document, claim.clause, claim.feature) for claim in claims}
    absent = {(row["document"], row["clause"], row["feature"]) for row in pics.not_built()}
    assert not features & absent


def cases_of(path: str, test: str, argument: str) -> set[tuple[str, str]]:
    """The cells that a test is run for: event and state."""
    spec = importlib.util.spec_from_file_location(f"cells_of_{test}", ROOT / "tests" / "procedures" / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (marks,) = (
        mark.args[1]
        for mark in getattr(module, test).pytestmark
        if mark.name == "parametrize" and mark.args[0] == argument
    )
    return {tuple(getattr(part, "name", part) for part in cell) for cell in marks}


def test_the_cells_said_to_be_tested_are_the_cases_of_the_tests() -> None:
    fop = cases_of("test_fop1.py", "test_each_cell_does_what_it_says", "cell")
    refused = cases_of("test_fop1.py", "test_what_cannot_occur_is_a_defect_of_ours", "cell")
    farm = cases_of("test_farm1.py", "test_each_cell_does_what_it_says", "cell")
    pics = module_of_docs("pics")
    assert not fop & refused
    assert pics.cells()["FOP-1"] == (len(fop | refused), len(fop), len(refused))
    whole, does, never = pics.cells()["FARM-1"]
    assert len(farm) == whole == does + never
    assert "300 of 300 cells" in pics.page()
    assert "33 of 33 cells" in pics.page()


@pytest.mark.parametrize("words", ["document, '1', 'x'", "'CCSDS', '1', 'x', whole='y'", "'CCSDS', '1'"])
def test_a_marker_that_says_nothing_is_told(words: str) -> None:
    tree = ast.parse(f"@pytest.mark.conforms({words})\ndef test_it(): pass")
    with pytest.raises(ValueError, match=r"test_a\.py, line 1"):
        list(module_of_docs("pics")._claims_of("test_a.py", tree))


def test_every_layout_is_on_the_layouts_page(tmp_path: Path) -> None:
    generate = module_of_docs("generate")
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
