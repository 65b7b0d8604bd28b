"""Reading, writing and comparing transcripts: JSON Lines, one file for each subject.

The first line is the origin; then for each scenario a line {"scenario": id, "facts": text, "loose": [...]} and one line
for each step, {"do": ..., arguments, "saw": observation}.  `loose` holds shell patterns of places in observations that
are not compared because the real module does not always do the same: "rings/a.t0/tail".
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Scenario:
    """A sequence of steps, each with what was seen after it once it has been recorded."""

    id: str
    facts: str
    steps: list[dict[str, Any]]
    loose: list[str] = field(default_factory=list)
    needs: str = "virtual"
    """What it takes: "virtual" (VALE and pipes only) or "devices" (a pair of network devices)."""

    @property
    def head(self) -> dict[str, Any]:
        loose = {"loose": self.loose} if self.loose else {}
        return {"scenario": self.id, "facts": self.facts, "needs": self.needs, **loose}


def dump(origin: dict[str, Any], scenarios: list[Scenario]) -> str:
    lines = [origin]
    for scenario in scenarios:
        lines += [scenario.head, *scenario.steps]
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def load(path: Path) -> list[Scenario]:
    scenarios: list[Scenario] = []
    with path.open(encoding="utf-8") as lines:
        next(lines)  # the origin
        for line in lines:
            row = json.loads(line)
            if "scenario" in row:
                head = {name: row[name] for name in ("facts", "needs", "loose") if name in row}
                scenarios.append(Scenario(id=row["scenario"], steps=[], **head))
            else:
                scenarios[-1].steps.append(row)
    return scenarios


def differences(expected: Any, got: Any, loose: list[str]) -> list[str]:
    """Places where two observations differ, as "place: recorded ..., got ..."."""
    return list(_differences(expected, got, "", loose))


def _differences(expected: Any, got: Any, place: str, loose: list[str]) -> Iterator[str]:
    if any(fnmatch.fnmatchcase(place, pattern) for pattern in loose):
        return
    if isinstance(expected, dict) and isinstance(got, dict):
        for name in sorted(expected.keys() | got.keys()):
            inner = f"{place}/{name}" if place else name
            yield from _differences(expected.get(name, {}), got.get(name, {}), inner, loose)
    elif expected != got:
        yield f"{place}: recorded {json.dumps(expected)}, got {json.dumps(got)}"
