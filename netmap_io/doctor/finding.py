"""A finding: one fact, whether it is as it should be, and what to do where it is not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum

__all__ = ["Finding", "State", "read_text"]


class State(Enum):
    """How a fact stands."""

    GOOD = "good"
    LIMITED = "limited"
    """Works, but worse than it could, or with something to know."""
    ABSENT = "absent"
    UNKNOWN = "unknown"
    """The machine does not tell, or does not tell us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """subject: what it is about, an interface or a part of the system.  advice: empty where there is nothing to do."""

    subject: str
    name: str
    state: State
    fact: str
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        return asdict(self) | {"state": self.state.value}


def read_text(path: str) -> str | None:
    """A small file of the kernel's, stripped; None where there is none, or it may not be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None
