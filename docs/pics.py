"""What is supported, clause by clause, as the tests say it: the statement of conformance (PICS) of each document.

A test says which features it holds with the marker `conforms`, once per feature:

    @pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.7", "frame length, frames of 6 to 1024 octets")

or, for all tests of a file, `pytestmark = pytest.mark.conforms(...)`, or a list of them.  `partial="what is missing"`
may follow.  What no test can show, because it is not built, stands in not-built.toml.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
NOT_BUILT = ROOT / "docs" / "not-built.toml"
MARKER = "conforms"
COP_1 = "CCSDS 232.1-B-2"


class Claim(NamedTuple):
    """One feature of a document that a test holds; `partial` says what of it is missing."""

    document: str
    clause: str
    feature: str
    partial: str
    test: str


def claims() -> Iterator[Claim]:
    """What the tests say, file by file.  Raises: ValueError: a marker that is not written out."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if MARKER in text:
            yield from _claims_of(path.relative_to(ROOT).as_posix(), ast.parse(text))


def _claims_of(path: str, tree: ast.Module) -> Iterator[Claim]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "pytestmark" for target in node.targets):
            marks = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
            yield from _claims_in(marks, path, path)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from _claims_in(node.decorator_list, path, f"{path}::{node.name}")
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef):
                    yield from _claims_in(inner.decorator_list, path, f"{path}::{node.name}::{inner.name}")


def _claims_in(marks: list[ast.expr], path: str, test: str) -> Iterator[Claim]:
    for mark in marks:
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute) and mark.func.attr == MARKER:
            try:
                document, clause, feature = (ast.literal_eval(argument) for argument in mark.args)
                options = {str(word.arg): ast.literal_eval(word.value) for word in mark.keywords}
                yield Claim(document, clause, feature, options.pop("partial", ""), test)
            except ValueError:
                raise ValueError(f"{path}, line {mark.lineno}: document, clause and feature, written out") from None
            if options:
                raise ValueError(f"{path}, line {mark.lineno}: conforms knows partial=, not {min(options)}=")


def not_built() -> list[dict[str, str]]:
    """The rows of not-built.toml: document, clause, feature, reason."""
    rows = tomllib.loads(NOT_BUILT.read_text(encoding="utf-8"))["row"]
    assert isinstance(rows, list)
    return rows


class Row(NamedTuple):
    """A line of a table; `supported` is yes, partly or no, with `why`."""

    document: str
    clause: str
    feature: str
    supported: str
    why: str
    tests: tuple[str, ...]


def rows() -> list[Row]:
    """Each feature once, by document and clause."""
    tests: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for claim in claims():
        tests[claim[:4]].append(claim.test)
    found = [
        Row(document, clause, feature, "partly" if partial else "yes", partial, tuple(named))
        for (document, clause, feature, partial), named in tests.items()
    ]
    found += [Row(row["document"], row["clause"], row["feature"], "no", row["reason"], ()) for row in not_built()]
    return sorted(found, key=lambda row: (row.document, clause_order(row.clause), _by_number(row.feature)))


def page() -> str:
    """A summary, and a table per document, sorted by clause."""
    by_document: dict[str, list[Row]] = defaultdict(list)
    for row in rows():
        by_document[row.document].append(row)
    parts = ["| document | features | yes | partly | no |\n|---|---:|---:|---:|---:|"]
    for document, own in by_document.items():
        counts = Counter(row.supported for row in own)
        parts.append(f"| {document} | {len(own)} | {counts['yes']} | {counts['partly']} | {counts['no']} |")
    for document, own in by_document.items():
        parts.append(f"\n### {document}\n")
        if document == COP_1:
            parts.append(cells_tested() + "\n")
        parts.append("| clause | feature | supported | test |\n|---|---|---|---|")
        parts += [
            f"| {row.clause} | {row.feature} | {': '.join(filter(None, row[3:5]))} | {_tests(row.tests)} |"
            for row in own
        ]
    return "\n".join(parts) + "\n"


def cells() -> dict[str, tuple[int, int, int]]:
    """Of FOP-1 and FARM-1: cells of the table, those tested by what they do, those tested to be refused.

    tests/docs/test_conformance.py holds these to the cases of the tests of both.
    """
    from ccsds.procedures import farm1, fop1_table
    from ccsds.testing.reference_fop1 import CANNOT_OCCUR, CELLS

    never = sum(farm1.Action.CANNOT_OCCUR in cell.actions for cell in farm1.TABLE.values())
    return {
        "FOP-1": (len(fop1_table.TABLE), len(set(CELLS) - CANNOT_OCCUR), len(CANNOT_OCCUR)),
        "FARM-1": (len(farm1.TABLE), len(farm1.TABLE) - never, never),
    }


def cells_tested() -> str:
    """The counts as a sentence for each machine."""
    return "\n".join(
        f"{name}: {does + never} of {whole} cells of the table are tested, {does} by what they do and {never}, which "
        "cannot occur, by how they are refused.  What each cell rests on is in [COP-1](cop1.md)."
        for name, (whole, does, never) in cells().items()
    )


def _tests(names: Sequence[str]) -> str:
    shown = [f"`{name.removeprefix('tests/')}`" for name in names[:3]]
    more = [f"and {len(names) - 3} more"] if len(names) > 3 else []
    return "<br>".join(shown + more)


def clause_order(clause: str) -> list[tuple[int, str]]:
    """Clauses as they stand in a book: 4.1.10 behind 4.1.9, annexes behind all sections."""
    return [(int(part), "") if part.isdecimal() else (1000, part) for part in re.split(r"[.,\s-]+", clause)]


def _by_number(feature: str) -> list[tuple[int, str]]:
    """E2 before E10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", feature)]
