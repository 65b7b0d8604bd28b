"""What is supported, clause by clause, as the tests say it: the statement of conformance (PICS) of each document.

A test says which features it holds with the marker `conforms`, once per feature:

    @pytest.mark.conforms("CCSDS 232.0-B-4", "4.1.2.7", "frame length, of 5 to 1024 octets")

or, for all tests of a file, `pytestmark = pytest.mark.conforms(...)`, or a list of them.  `partial="what is missing"`
may follow.  What no test can show, because it is not built, stands in not-built.toml.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
NOT_BUILT = ROOT / "docs" / "not-built.toml"
MARKER = "conforms"


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


def page() -> str:
    """A table per document, sorted by clause."""
    tests: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for claim in claims():
        tests[claim[:4]].append(claim.test)
    rows = [
        (document, clause, feature, f"partly: {partial}" if partial else "yes", _tests(named))
        for (document, clause, feature, partial), named in tests.items()
    ]
    rows += [(row["document"], row["clause"], row["feature"], f"no: {row['reason']}", "") for row in not_built()]
    rows.sort(key=lambda row: (row[0], clause_order(row[1]), row[2]))
    parts = []
    for document in dict.fromkeys(row[0] for row in rows):
        parts.append(f"\n### {document}\n\n| clause | feature | supported | test |\n|---|---|---|---|")
        parts += [
            f"| {clause} | {feature} | {said} | {test} |"
            for name, clause, feature, said, test in rows
            if name == document
        ]
    return "\n".join(parts) + "\n"


def _tests(names: list[str]) -> str:
    shown = [f"`{name.removeprefix('tests/')}`" for name in names[:3]]
    more = [f"and {len(names) - 3} more"] if len(names) > 3 else []
    return "<br>".join(shown + more)


def clause_order(clause: str) -> list[tuple[int, str]]:
    """Clauses as they stand in a book: 4.1.10 behind 4.1.9."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"[.\s-]+", clause)]
