"""What options a driver or wrapper takes, found by asking it: it is handed options that write down each question.

A driver takes all its options, calls `Options.finish` and opens only then; `finish` ends the questioning here.  Where
an option's value decides which others there are, each of its values is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from netmap_io.errors import PortError
from netmap_io.port import Options

__all__ = ["Option", "options_of_driver", "options_of_wrapper"]

_TARGETS = ("probe", "", "127.0.0.1:9", "lo")
_MOST_TRIES = 64


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its default in the address's spelling (None: none), and what it may be."""

    name: str
    default: str | None
    values: tuple[str, ...] = ()
    """Words to choose from; empty: anything of the kind."""
    kind: str = "text"


class _Answered(BaseException):
    """All questions have been asked; no Exception, so that no driver takes it for one of its own."""


@dataclass
class _Probe(Options):
    found: dict[str, Option] = field(default_factory=dict)

    def text(self, name: str, default: str | None = None) -> str | None:
        self.found.setdefault(name, Option(name, default))
        return self.given.get(name, default)

    def choice(self, name: str, choices: Mapping[str, Any], default: str) -> Any:
        self.found.setdefault(name, Option(name, default, tuple(choices), "choice"))
        return choices[self.given.get(name, default)]

    def integer(self, name: str, default: int, minimum: int = 0, maximum: int = 2**63 - 1) -> int:
        self.found.setdefault(name, Option(name, str(default), (), "whole number"))
        return int(self.given.get(name, default))

    def finish(self) -> None:
        raise _Answered


def options_of_driver(name: str, open_address: Callable[[str, Options], object]) -> list[Option]:
    """Every option of a driver, in the order in which it asks."""
    for target in _TARGETS:
        found = _explored(name, lambda options, target=target: open_address(target, options))  # type: ignore[misc]
        if found is not None:
            return found
    return []


def options_of_wrapper(name: str, prepare: Callable[[Options], object]) -> list[Option]:
    """Every option of a wrapper."""

    def ask(options: Options) -> None:
        with suppress(PortError):  # what it needs and was not given
            prepare(options)
        options.finish()

    return _explored(name, ask) or []


def _explored(name: str, ask: Callable[[Options], object]) -> list[Option] | None:
    """The options that come up with every value of every choice; None where it refused before it had asked."""
    found: dict[str, Option] = {}
    waiting: list[dict[str, str]] = [{}]
    answered = False
    for given in waiting:
        probe = _Probe(name, dict(given), found={})
        with suppress(PortError):
            try:
                ask(probe)
            except _Answered:
                answered = True
        new = [option for option in probe.found.values() if option.name not in found]
        found.update((option.name, option) for option in new)
        for option in new:
            others = [value for value in option.values if value != option.default]
            waiting += [given | {option.name: value} for value in others][: _MOST_TRIES - len(waiting)]
    return list(found.values()) if answered else None
