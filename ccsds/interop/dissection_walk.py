"""The walk over one unit that dissection makes: where each field lies, and what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bitstring import Bits

from ccsds.layout import Layout

__all__ = ["DissectedField", "Meanings", "UnitKind", "Walk", "flag", "how_much", "pointer_meaning"]

Meanings = Mapping[str, Callable[[int], str]]
_SHOWN_OCTETS = 16


class DissectedField(NamedTuple):
    """One field where it lies.  `bit_string` is empty for fields of octets, `octets` is empty for numbers."""

    unit: str
    name: str
    bit_offset: int
    bits: int
    bit_string: str
    value: int | None
    octets: bytes
    meaning: str
    clause: str

    def shown_value(self) -> str:
        """Number, or octets in hex, cut off where they are many."""
        if self.value is not None:
            return str(self.value)
        shown = self.octets[:_SHOWN_OCTETS].hex()
        return shown if len(self.octets) <= _SHOWN_OCTETS else f"{shown}... ({len(self.octets)} octets)"


class Walk:
    """Collects the fields of one unit, as far as there are octets for them."""

    def __init__(self, octets: bytes, managed: Mapping[str, Any]) -> None:
        self.octets = octets
        self.bits = Bits(octets)
        self.managed = managed
        self.fields: list[DissectedField] = []
        self.notes: list[str] = []

    def header(self, layout: Layout, at: int, meanings: Meanings | None = None) -> dict[str, int]:
        """Add the fields of a header at octet `at` that are wholly there; return their values."""
        values: dict[str, int] = {}
        for field in layout:
            begin = 8 * at + layout.bit_offset(field.name)
            cut = self.bits[begin : begin + field.bits] if begin + field.bits <= len(self.bits) else None
            if cut is None:
                continue
            value = int(cut.uint)
            values[field.name] = value
            meaning = (meanings or {}).get(field.name)
            self.fields.append(
                DissectedField(
                    layout.name,
                    field.name,
                    begin,
                    field.bits,
                    str(cut.bin),
                    value,
                    b"",
                    meaning(value) if meaning else "",
                    layout.clause(field.name),
                )
            )
        if len(values) < len(layout.fields):
            self.notes.append(f"{layout.name} is cut off: {len(layout.fields) - len(values)} fields are not there")
        return values

    def field(
        self, unit: str, name: str, begin: int, end: int, meaning: str, clause: str, number: bool = False
    ) -> None:
        """Add the octets from `begin` to `end`, as far as they are there, as one field."""
        end = min(end, len(self.octets))
        if end <= begin:
            return
        octets = self.octets[begin:end]
        value = int.from_bytes(octets, "big") if number else None
        binary = str(self.bits[8 * begin : 8 * end].bin) if number else ""
        kept = b"" if number else octets
        self.fields.append(
            DissectedField(unit, name, 8 * begin, 8 * (end - begin), binary, value, kept, meaning, clause)
        )


def _nothing_to_settle(octets: bytes, managed: dict[str, Any]) -> list[str]:
    return []


class UnitKind(NamedTuple):
    """A unit that can be dissected and encoded by name."""

    name: str
    cls: type[Any]
    description: str
    walk: Callable[[Walk], None]
    managed: tuple[str, ...] = ()
    """the managed parameters that its `decode` takes"""
    settle: Callable[[bytes, dict[str, Any]], list[str]] = _nothing_to_settle
    """fills in managed parameters that nobody gave and `decode` needs; what it says of them are notes"""


def flag(what: str, otherwise: str = "") -> Callable[[int], str]:
    """Meaning of a bit."""
    return lambda value: what if value else otherwise


def pointer_meaning(bits: int) -> Callable[[int], str]:
    """Meaning of a first header pointer of so many bits."""
    most = (1 << bits) - 1
    special = {most: "no packet starts here", most - 1: "only idle data"}
    return lambda value: special.get(value, f"the first packet starts at octet {value} of the zone")


def how_much(walk: Walk, end: int) -> str:
    """What is missing of a field that should end at octet `end`."""
    missing = end - len(walk.octets)
    return f"{missing} octets missing" if missing > 0 else ""
