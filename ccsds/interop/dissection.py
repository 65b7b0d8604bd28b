"""Any unit field by field: bit offset, bits, value, meaning, clause.  Never raises on damaged octets."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ccsds.coding.cltu_unit import START_SEQUENCE
from ccsds.errors import DecodeError
from ccsds.frames import aos, tc, tm, uslp
from ccsds.frames import operational_control_field as control
from ccsds.frames.error_control import frame_error_control
from ccsds.interop import dissection_coding, dissection_frames, dissection_packets
from ccsds.interop.dissection_walk import DissectedField, UnitKind, Walk
from ccsds.layout import Octets

__all__ = ["UNITS", "DissectedField", "Dissection", "UnitKind", "dissect", "guess_unit", "unit_kind"]


class Dissection(NamedTuple):
    """What octets hold, taken for a unit; what is wrong with them; what was guessed."""

    unit: str
    octets: bytes
    fields: tuple[DissectedField, ...]
    values: dict[str, Any] | None
    """the constructor arguments of the unit; None where the octets do not decode"""
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data for json.dumps; octets as hex."""
        return {
            "format": "ccsds-dissect/1",
            "unit": self.unit,
            "octets": self.octets.hex(),
            "fields": [field._asdict() | {"octets": field.octets.hex()} for field in self.fields],
            "values": self.values,
            "problems": list(self.problems),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        rows = [("bit", "bits", "field", "value", "binary", "meaning", "clause")]
        for field in self.fields:
            rows.append(
                (
                    str(field.bit_offset),
                    str(field.bits),
                    field.name,
                    field.shown_value(),
                    field.bit_string,
                    field.meaning,
                    field.clause,
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [f"{self.unit}, {len(self.octets)} octets"]
        for row in rows:
            cells = [
                cell.rjust(width) if at < 2 else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        lines += [f"problem: {problem}" for problem in self.problems]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)


UNITS: Final[Mapping[str, UnitKind]] = {
    kind.name: kind for kind in (*dissection_packets.KINDS, *dissection_frames.KINDS, *dissection_coding.KINDS)
}


def unit_kind(name: str) -> UnitKind:
    """The unit of that name.  Raises ValueError with the nearest names."""
    kind = UNITS.get(name.lower().replace("_", "-"))
    if kind is None:
        near = difflib.get_close_matches(name.lower(), UNITS, n=3, cutoff=0.4)
        raise ValueError(f"no unit {name!r}; nearest: {', '.join(near or UNITS)}")
    return kind


def guess_unit(octets: Octets) -> str:
    """The unit that these octets most likely are, by length fields, version numbers and error control."""
    whole = bytes(octets)
    for name in ("space-packet", "encapsulation-packet"):
        if _decode(UNITS[name], whole, {})[0] is not None:
            return name
    if len(whole) == control.OCTETS:
        for name in ("clcw", "type-2-report"):
            if _decode(UNITS[name], whole, {})[0] is not None:
                return name
    if whole.startswith(START_SEQUENCE):  # of the others, only an encapsulation packet can begin so
        return "cltu"
    version = whole[0] >> 6 if whole else 0
    if version == aos.VERSION_NUMBER:
        return "aos-transfer-frame"
    if whole and whole[0] >> 4 == uslp.VERSION_NUMBER:
        return "uslp-transfer-frame"
    if version == 0 and tc.PRIMARY_HEADER.octets < len(whole) <= tc.MAXIMUM_OCTETS:
        uplink = tc.PRIMARY_HEADER.unpack(whole)
        if uplink["frame_length"] + 1 == len(whole) and not uplink["reserved_spare"]:
            return "tc-transfer-frame"
    if version == 0 and len(whole) > 8:
        status = tm.PRIMARY_HEADER.unpack(whole)
        pointer = status["first_header_pointer"]
        orderly = status["segment_length_id"] == 3 and not status["packet_order_flag"]
        reachable = pointer >= tm.ONLY_IDLE_DATA or pointer < len(whole)
        if frame_error_control(whole) == 0 or (orderly and reachable):
            return "tm-transfer-frame"
    return "encapsulation-packet" if version == 3 else "space-packet"


def _decode(kind: UnitKind, octets: bytes, managed: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """The unit, damaged if it must be, or None; and what is wrong with it."""
    keywords = {name: managed[name] for name in kind.managed if managed.get(name) is not None}
    problems: list[str] = []
    try:
        return kind.cls.decode(octets, **keywords), problems
    except DecodeError as error:
        problems.append(str(error))
    if "frame_error_control_present" not in kind.managed:
        return None, problems
    try:
        return kind.cls.decode(octets, **keywords, check=False), problems
    except DecodeError as error:
        if str(error) not in problems:
            problems.append(str(error))
        return None, problems


def dissect(octets: Octets, unit: str | None = None, **managed: Any) -> Dissection:
    """Take octets for a unit and show each field of it, as far as there are octets.

    Args:   unit: a name of UNITS; None guesses.
            managed: what `decode` of the unit takes, each with its default there.  Besides:
            frame_error_control_present None guesses; data_field "m-pdu", "b-pdu" or "octets" (AOS);
            packets True goes into the packets that start in a zone.
    Raises: ValueError: an unknown unit, or managed parameters that cannot be.  Octets never raise.
    """
    whole = bytes(octets)
    notes = []
    if unit is None:
        unit = guess_unit(whole)
        notes.append(f"unit guessed: {unit}")
    kind = unit_kind(unit)
    _check_managed(managed)
    settled = dict(managed)
    notes += kind.settle(whole, settled)
    walk = Walk(whole, settled)
    kind.walk(walk)
    if "frame_error_control_present" in kind.managed and settled.get("frame_error_control_present") is None:
        settled["frame_error_control_present"] = any(field.name == "frame_error_control_field" for field in walk.fields)
    decoded, problems = _decode(kind, whole, settled)
    covered = max((field.bit_offset + field.bits for field in walk.fields), default=0) // 8
    if covered < len(whole):
        walk.field(kind.name, "octets_after_the_unit", covered, len(whole), f"{len(whole) - covered} octets", "")
    fields = tuple(sorted(walk.fields, key=lambda field: (field.bit_offset, -field.bits)))
    return Dissection(kind.name, whole, fields, _values(decoded), tuple(problems), (*notes, *walk.notes))


_CHOICES: Final[Mapping[str, tuple[Any, ...]]] = {
    "issue": (1, 2, 3, 4, 5),
    "data_field": ("m-pdu", "b-pdu", "octets"),
    "frame_error_control_octets": (None, 2, 4),
    "packet_error_control": (0, 1, 2),
}


def _check_managed(managed: Mapping[str, Any]) -> None:
    known = {name for kind in UNITS.values() for name in kind.managed} | {"data_field", "packets"}
    for name, value in managed.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.3)
            raise ValueError(f"no managed parameter {name!r}; nearest: {', '.join(near or sorted(known))}")
        if name in _CHOICES and value not in _CHOICES[name]:
            choices = ", ".join(str(choice) for choice in _CHOICES[name] if choice is not None)
            raise ValueError(f"{name} is one of {choices}, not {value!r}")
        if name.endswith("_octets") and value is not None and value < 0:
            raise ValueError(f"{name} is {value}, not 0 or more")


def _values(unit: Any) -> dict[str, Any] | None:
    if unit is None:
        return None
    values = {name: getattr(unit, name) for name in unit.__struct_fields__}
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}
