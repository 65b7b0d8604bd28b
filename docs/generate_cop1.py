"""Tables and drawings of docs/cop1.md, made from the tables of FOP-1 and FARM-1 in the code.

python docs/generate_cop1.py --check    exit code 1 where the page or a drawing is behind the code
python docs/generate_cop1.py --write    bring them up to date

The page asks for a part with a pair of comments: <!-- cop1 NAME --> and <!-- end -->.
"""

from __future__ import annotations

import argparse
import html
import math
import re
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from ccsds.procedures import farm1, fop1_table
from ccsds.procedures.fop1_primitives import Fop1State
from ccsds.testing import load_vectors

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "cop1.md"
PART = re.compile(r"(<!-- cop1 (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def matrix(table: Mapping[tuple[Any, Any], Any], states: type[Enum]) -> str:
    """One row per event, one column per state; a cell has its actions and the next state where it changes."""
    rows = ["| event | " + " | ".join(f"{one.value} {one.name.replace('_', ' ').lower()}" for one in states) + " |"]
    rows.append("|---|" + "---|" * len(states))
    for event in dict.fromkeys(event for event, _ in table):
        cells = [cell_text(table[event, state], state) for state in states]
        rows.append(f"| **{event.name}** {event.value} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def cell_text(cell: Any, state: Enum) -> str:
    """One cell; a choice of ours is marked with an asterisk."""
    words = ", ".join(action.name.replace("_", " ").lower() for action in cell.actions)
    goes = "" if cell.next_state is state else f" → {cell.next_state.value}"
    return f"{words}{goes}{' *' if cell.implementations == 0 else ''}"


def basis() -> str:
    """How many cells rest on what."""
    rows = ["| | FARM-1 | FOP-1 |", "|---|---:|---:|"]
    kinds: dict[str, Callable[[Any], bool]] = {
        "the text states it, and implementations agree": lambda cell: _is_text(cell) and cell.implementations > 0,
        "the text states it, others call it not applicable": lambda cell: _is_text(cell) and not cell.implementations,
        "a cell of the table, as others quote it": lambda cell: bool(cell.clause) and not _is_text(cell),
        "the text states a part, two or more implementations the whole": lambda cell: (
            bool(cell.partly) and cell.implementations > 1
        ),
        "the text states a part, others call it not applicable": lambda cell: bool(cell.partly),
        "implementations alone, two or more that agree": lambda cell: cell.implementations > 1,
        "our choice, others call it not applicable": lambda cell: not cell.implementations,
    }
    counts: Counter[tuple[str, str]] = Counter()
    for name, table in (("farm", farm1.TABLE), ("fop", fop1_table.TABLE)):
        for cell in table.values():
            what = next(kind for kind, fits in kinds.items() if fits(cell)) if not _cannot(cell) else "cannot occur"
            counts[what, name] += 1
    rows += [f"| {kind} | {counts[kind, 'farm']} | {counts[kind, 'fop']} |" for kind in [*kinds, "cannot occur"]]
    return "\n".join([*rows, f"| **cells** | **{len(farm1.TABLE)}** | **{len(fop1_table.TABLE)}** |"])


def _is_text(cell: Any) -> bool:
    return bool(cell.clause) and not cell.clause.startswith("table 6-1")


def _cannot(cell: Any) -> bool:
    return any(action.name == "CANNOT_OCCUR" for action in cell.actions)


def clauses() -> str:
    """What was read of the text, and which cells it states, whole or in part."""
    whole: dict[str, list[str]] = defaultdict(list)
    part: dict[str, list[str]] = defaultdict(list)
    for table in (farm1.TABLE, fop1_table.TABLE):
        for (event, state), cell in table.items():
            whole[cell.clause].append(f"{event.name}-{state.value}")
            part[cell.partly].append(f"{event.name}-{state.value}")
    rows = ["| clause | read | it says | cells | a part of |", "|---|---|---|---|---|"]
    for row in _text()["clause"]:
        clause = row["clause"]
        cells = " | ".join((" ".join(whole.pop(clause, [])), " ".join(part.pop(clause, []))))
        rows.append(f"| {clause} | {row['read']} | {row['says']} | {cells} |")
    rows.append(f"| table 6-1 | quoted | by another's tests | {' '.join(whole.pop('table 6-1'))} | |")
    assert whole.keys() | part.keys() == {""}, "cop1-text.toml lacks a clause that a cell names"
    return "\n".join(rows)


def actions() -> str:
    """Where each action of the tables is defined, and whether that was read."""
    rows = ["| | action | clause | read |", "|---|---|---|---|"]
    for row in _text()["action"]:
        names = ", ".join(name.replace("_", " ").lower() for name in row["actions"])
        rows.append(f"| {row['procedure']} | {names} | {row['clause']} | {row['read']} |")
    return "\n".join(rows)


def _text() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads((DOCS / "cop1-text.toml").read_text("utf-8"))


def readings() -> str:
    """What other implementations do, cell by cell, where they differ."""
    rows = ["| | cell | other readings |", "|---|---|---|"]
    for name, who in (("farm1", "FARM-1"), ("fop1", "FOP-1")):
        grouped: dict[str, list[str]] = {}
        for case in load_vectors(f"232.1-B-2/{name}.toml"):
            if case["kind"] == "cell" and "note" in case:
                grouped.setdefault(case["note"], []).append(case["id"])
        rows += [f"| {who} | {' '.join(cells)} | {_plain(note)} |" for note, cells in grouped.items()]
    return "\n".join(rows)


def _plain(note: str) -> str:
    return note.replace("(see fop_note nnr-after-purge)", "").replace(" ;", ";").replace("|", "\\|")


# -- drawings ----------------------------------------------------------------------------------------------------------

Point = tuple[float, float]
FOP_PLACES = {"S1": (430, 90), "S2": (130, 250), "S3": (730, 250), "S4": (130, 520), "S5": (730, 520), "S6": (430, 690)}
FARM_PLACES = {"S1": (430, 90), "S2": (130, 330), "S3": (730, 330)}


def drawing(table: Mapping[tuple[Any, Any], Any], places: Mapping[str, Point], title: str) -> str:
    """States and the events that lead from one to another; events that change no state are left out."""
    arrows: dict[tuple[str, str], list[str]] = {}
    names = {state.value: state.name.replace("_", " ").lower() for _, state in table}
    for (event, state), cell in table.items():
        if cell.next_state is not state:
            arrows.setdefault((state.value, cell.next_state.value), []).append(event.name)
    height = int(max(y for _, y in places.values())) + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {height}" font-family="sans-serif" font-size="12">',
        f"<title>{html.escape(title)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker></defs>',
        f'<rect width="860" height="{height}" fill="white"/>',
    ]
    parts += [_arrow(places[begin], places[end], events) for (begin, end), events in arrows.items()]
    for name, (x, y) in places.items():
        parts.append(f'<rect x="{x - 95}" y="{y - 24}" width="190" height="48" rx="10" fill="#eef" stroke="black"/>')
        parts.append(f'<text x="{x}" y="{y - 4}" text-anchor="middle" font-weight="bold">{name}</text>')
        parts.append(f'<text x="{x}" y="{y + 13}" text-anchor="middle">{html.escape(names[name])}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _arrow(begin: Point, end: Point, events: list[str]) -> str:
    (x0, y0), (x1, y1) = begin, end
    length = math.hypot(x1 - x0, y1 - y0)
    aside = (-(y1 - y0) / length, (x1 - x0) / length)
    bend = 120 if x0 == x1 else 46
    mx, my = (x0 + x1) / 2 + aside[0] * bend, (y0 + y1) / 2 + aside[1] * bend
    sx, sy = _edge(begin, (mx, my))
    ex, ey = _edge(end, (mx, my))
    lines = [" ".join(events[at : at + 4]) for at in range(0, len(events), 4)]
    # nearer to where the arrow begins, so that the labels of two opposite ones stay apart
    first, middle, last = (0.25, 0.5, 0.25) if x0 == x1 else (0.42, 0.46, 0.12)
    tx = first * sx + middle * mx + last * ex
    ty = first * sy + middle * my + last * ey - 6 * (len(lines) - 1)
    text = "".join(
        f'<tspan x="{tx:.0f}" dy="{13 if number else 0}">{line}</tspan>' for number, line in enumerate(lines)
    )
    where = f'x="{tx:.0f}" y="{ty:.0f}" text-anchor="middle"'
    return (
        f'<path d="M{sx:.0f} {sy:.0f}Q{mx:.0f} {my:.0f} {ex:.0f} {ey:.0f}" fill="none" stroke="#555" '
        f'marker-end="url(#tip)"/><text {where} stroke="white" stroke-width="4">{text}</text>'
        f"<text {where}>{text}</text>"
    )


def _edge(centre: Point, towards: Point) -> Point:
    """Where the line from the middle of a box leaves it."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    scale = min(95 / abs(dx) if dx else math.inf, 24 / abs(dy) if dy else math.inf)
    return centre[0] + dx * scale, centre[1] + dy * scale


PARTS: dict[str, Callable[[], str]] = {
    "fop1-table": lambda: matrix(fop1_table.TABLE, Fop1State),
    "farm1-table": lambda: matrix(farm1.TABLE, farm1.Farm1State),
    "basis": basis,
    "clauses": clauses,
    "actions": actions,
    "readings": readings,
}
DRAWINGS: dict[str, Callable[[], str]] = {
    "cop1-fop1.svg": lambda: drawing(fop1_table.TABLE, FOP_PLACES, "States of FOP-1"),
    "cop1-farm1.svg": lambda: drawing(farm1.TABLE, FARM_PLACES, "States of FARM-1"),
}


def filled(page: str) -> str:
    """The page with every part as the code has it now."""
    return PART.sub(lambda match: f"{match[1]}\n{PARTS[match['name']]()}\n\n{match[3]}", page)


def wanted() -> dict[Path, str]:
    """Every file with what it should hold."""
    return {PAGE: filled(PAGE.read_text("utf-8"))} | {DOCS / name: draw() for name, draw in DRAWINGS.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description="Tables and drawings of docs/cop1.md, made from the code.")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="say what is behind the code")
    mode.add_argument("--write", action="store_true", help="bring it up to date")
    write = parser.parse_args().write
    behind = [path for path, text in wanted().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in behind:
        if write:
            path.write_text(wanted()[path], "utf-8")
        print(f"{path.name}: {'written' if write else 'behind the code; run docs/generate_cop1.py --write'}")
    return 1 if behind and not write else 0


if __name__ == "__main__":
    sys.exit(main())
